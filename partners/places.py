"""Reading never takes all the hands of a server: some of its threads are always left to those who write.

A read that finds no place waits in line while few wait, holding nothing but its thread; what comes beyond that is
told to try again. Few read at once, since the interpreter runs one of them at a time and a write has to get its
turn among them.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from partners.problems import Problem

WAIT_SECONDS_MAX = 2.0


class Crowded(Problem):
    """As many read already as may, here or of this partner. Nothing was done."""

    code = "busy"
    title = "Busy, try again"
    remedy = "Ask again after the seconds of Retry-After, with fewer requests at once."
    status = 503
    is_final = False
    retry_after_seconds = 1


class Places:
    """The reading places of one process with so many threads."""

    def __init__(self, threads: int) -> None:
        self.inside_max = max(1, threads * 3 // 4)
        self.partner_max = max(1, self.inside_max * 3 // 4)
        self.reading_max = max(1, threads // 4)
        self.guard = threading.Lock()
        self.reading = 0
        self.line: deque[threading.Lock] = deque()
        self.of_partner: Counter[Hashable] = Counter()

    @contextmanager
    def taken(self, partner: Hashable) -> Iterator[None]:
        """A place for as long as the block lasts. Raises Crowded at once, or after waiting in line."""
        self.take(partner)
        try:
            yield
        finally:
            self.leave(partner)

    def take(self, partner: Hashable) -> None:
        turn = None
        with self.guard:
            # Alone it takes nothing from anybody.
            if self.of_partner[partner] >= self.partner_max and len(self.of_partner) > 1:
                raise Crowded("You are reading as much at once as one may. Send fewer at a time.")
            if self.reading + len(self.line) >= self.inside_max:
                raise Crowded("Too many are reading just now. Send the same request again.")
            self.of_partner[partner] += 1
            if self.reading < self.reading_max:
                self.reading += 1
            else:
                turn = threading.Lock()
                turn.acquire()
                self.line.append(turn)
        if turn is not None and not turn.acquire(timeout=WAIT_SECONDS_MAX):
            self._give_up(turn, partner)

    def leave(self, partner: Hashable) -> None:
        with self.guard:
            self._forget(partner)
            if self.line:
                self.line.popleft().release()  # whoever is next has our place
            else:
                self.reading -= 1

    def _give_up(self, turn: threading.Lock, partner: Hashable) -> None:
        """Waited too long; unless our turn came at that very moment."""
        with self.guard:
            if turn not in self.line:
                return
            self.line.remove(turn)
            self._forget(partner)
        raise Crowded("Too many are reading just now. Send the same request again.")

    def _forget(self, partner: Hashable) -> None:
        self.of_partner[partner] -= 1
        if not self.of_partner[partner]:
            del self.of_partner[partner]
