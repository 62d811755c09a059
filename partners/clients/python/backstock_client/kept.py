"""What is kept between calls and between processes: a token, how often it was renewed, how renewing went.

Pure: text in, values out, and the moments computed from them.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field, replace

# RFC 6750's alphabet and what else is seen in the wild: visible ASCII, so that no header can be smuggled in.
TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")
LIFETIME_SECONDS_MAX = 10 * 365 * 86_400
BACKOFF_SECONDS_MAX = 30.0
PAUSE_SECONDS_MAX = 300.0


@dataclass(frozen=True)
class Kept:
    """One state of the store. Times are wall-clock seconds of this machine, and only ever compared to give an age.

    `generation` grows with every new token; 0 is none yet. `failures` are attempts in vain since the last token,
    `doubts` are tokens in a row that were refused as soon as they were new; after either, nobody asks for another
    before `pause_seconds` from `paused_at` have passed. `reason` says why, in words without secrets.
    """

    generation: int = 0
    token: str = field(default="", repr=False)
    taken_at: float = 0.0
    lifetime_seconds: float = 0.0
    failures: int = 0
    doubts: int = 0
    paused_at: float = 0.0
    pause_seconds: float = 0.0
    reason: str = ""
    is_rejected: bool = False

    def age_seconds(self, now: float) -> float:
        """A clock that was set back must not make the token younger than new."""
        return max(0.0, now - self.taken_at)

    def left_seconds(self, now: float) -> float:
        return self.lifetime_seconds - self.age_seconds(now) if self.token else 0.0

    def pause_left_seconds(self, now: float) -> float:
        """Never longer than the whole pause, whatever was done to the clock."""
        return max(0.0, min(self.pause_seconds, self.paused_at + self.pause_seconds - now))

    def renewed(self, *, token: str, lifetime_seconds: float, now: float, known: int) -> Kept:
        """The next generation; greater than any this machine has seen even where the store was lost."""
        generation = max(self.generation, known, int(now * 1000)) + 1
        # A token that served for a while was refused for being revoked, not for never being good.
        doubts = self.doubts if self.age_seconds(now) < 60 else 0
        return Kept(generation, token, now, lifetime_seconds, doubts=doubts)

    def failed(self, *, now: float, reason: str, jitter: float, is_rejected: bool, asked_seconds: float | None) -> Kept:
        """An attempt in vain: 1, 2, 4 … 30 s of quiet, or as long as the other side asked for (5 minutes at most)."""
        pause = max(backoff_seconds(self.failures, jitter), min(asked_seconds or 0.0, PAUSE_SECONDS_MAX))
        return replace(
            self,
            failures=self.failures + 1,
            paused_at=now,
            pause_seconds=pause,
            reason=reason,
            is_rejected=is_rejected,
        )

    def doubted(self, *, now: float, jitter: float) -> Kept:
        """A new token was refused at once: another new one would fare no better, so not at the pace of the calls."""
        return replace(
            self,
            doubts=self.doubts + 1,
            paused_at=now,
            pause_seconds=backoff_seconds(self.doubts, jitter),
            reason="a new token was refused, too",
            is_rejected=False,
        )

    def as_text(self) -> str:
        return json.dumps(asdict(self))


def backoff_seconds(before: int, jitter: float) -> float:
    """Doubling from 1 s to 30 s, less up to a quarter by `jitter` (0 to 1) so that machines do not march in step."""
    return float(min(BACKOFF_SECONDS_MAX, 2.0 ** min(before, 10)) * (1 - jitter / 4))


def latest(one: Kept, other: Kept) -> Kept:
    """Of two states of the same token, what was known last."""
    return max(one, other, key=lambda state: (state.generation, state.paused_at))


def read(text: str | None) -> Kept:
    """What was kept; nothing where there is none, or what is there is cut, changed or somebody else's."""
    try:
        kept = Kept(**json.loads(text or ""))
    except (TypeError, ValueError, RecursionError):
        return Kept()
    numbers = (kept.taken_at, kept.lifetime_seconds, kept.paused_at, kept.pause_seconds)
    counts = (kept.generation, kept.failures, kept.doubts)
    is_sound = (
        all(type(count) is int and count >= 0 for count in counts)
        and all(type(number) in (int, float) and 0 <= number < 1e12 for number in numbers)
        and kept.lifetime_seconds <= LIFETIME_SECONDS_MAX
        and kept.pause_seconds <= PAUSE_SECONDS_MAX
        and isinstance(kept.reason, str)
        and isinstance(kept.is_rejected, bool)
        and isinstance(kept.token, str)
        and (TOKEN.fullmatch(kept.token) is not None if kept.generation else kept.token == "")
    )
    return kept if is_sound else Kept()
