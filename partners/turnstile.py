"""Where everybody wants the same thing at once: the crowd waits here, in the application, not on a row's lock.

Callers with the same key line up. The first goes through and does the work of all who wait behind it in one go
(one transaction, one lock, one flush to disk), in the order they came; meanwhile the next line up. A caller
who is alone goes through at once. Each process has its own lines; between processes the row's lock still holds.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Sequence

# More in one go gains little and makes the last one wait for all.
GROUP_MAX = 50
# Right after a crowd went through, the next to come waits a moment for the others; who is alone never waits.
LINGER_SECONDS = 0.002
CROWDS_MAX = 1_000


class _Place[Item, Result]:
    """One caller in the line: what it wants, and what came of it."""

    __slots__ = ("error", "is_leader", "item", "result", "woken")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.woken = threading.Event()
        self.is_leader = False
        self.result: Result | None = None
        self.error: BaseException | None = None


class Turnstile[Item, Result]:
    """`work` does the wants of a group and answers one result each; `marks` of one want are never twice in a group."""

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Sequence[Result]],
        *,
        marks: Callable[[Item], set[Hashable]],
        group_max: int = GROUP_MAX,
    ) -> None:
        self.work, self.marks, self.group_max = work, marks, group_max
        self.lines: dict[Hashable, deque[_Place[Item, Result]]] = defaultdict(deque)
        self.crowded: dict[Hashable, float] = {}
        self.guard = threading.Lock()

    def pass_through(self, key: Hashable, item: Item) -> Result:
        """The result of this want, once it is done; raises what doing it raised."""
        place: _Place[Item, Result] = _Place(item)
        with self.guard:
            line = self.lines[key]
            line.append(place)
            place.is_leader = len(line) == 1
            is_crowded = time.monotonic() - self.crowded.get(key, 0.0) < LINGER_SECONDS
        if not place.is_leader:
            place.woken.wait()
        elif is_crowded:
            time.sleep(LINGER_SECONDS)
        if place.is_leader:
            self._lead(key)
        if place.error is not None:
            raise place.error
        return place.result  # type: ignore[return-value]  # it was done, or there is an error

    def _lead(self, key: Hashable) -> None:
        """Do the group at the head of the line, ourselves first, then let the next one lead."""
        with self.guard:
            group = self._group(self.lines[key])
        try:
            self._do(group)
        finally:
            with self.guard:
                line = self.lines[key]
                done = set(map(id, group))
                self._remember(key, is_crowd=len(group) > 1)
                left = deque(place for place in line if id(place) not in done)
                if left:
                    self.lines[key] = left
                    left[0].is_leader = True
                    left[0].woken.set()
                else:
                    del self.lines[key]
            for place in group[1:]:
                place.woken.set()

    def _remember(self, key: Hashable, *, is_crowd: bool) -> None:
        """When a crowd last went through; who comes right after belongs to it."""
        now = time.monotonic()
        if is_crowd:
            self.crowded[key] = now
        if len(self.crowded) > CROWDS_MAX:
            self.crowded = {key: at for key, at in self.crowded.items() if now - at < LINGER_SECONDS}

    def _group(self, line: deque[_Place[Item, Result]]) -> list[_Place[Item, Result]]:
        group: list[_Place[Item, Result]] = []
        seen: set[Hashable] = set()
        for place in line:
            marks = self.marks(place.item)
            if len(group) < self.group_max and not marks & seen:
                group.append(place)
            seen |= marks
        return group

    def _do(self, group: Sequence[_Place[Item, Result]]) -> None:
        try:
            for place, result in zip(group, self.work([place.item for place in group]), strict=True):
                place.result = result
        except Exception as error:  # noqa: BLE001  handed to whom it concerns
            if len(group) == 1:
                group[0].error = error
                return
            # One want may have spoiled it for all: nothing was done, so each is done by itself.
            for place in group:
                self._do([place])
