"""The sender: takes letters that are due, tries them side by side, and reports. It holds no lock and no transaction
while it waits for anybody.

Any number of senders may run; one that dies costs its letters their turn and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime

from django.utils import timezone

from partners import outbound, webhooks
from partners.operations import deliveries
from partners.operations.deliveries import Letter, Outcome

SLOTS = 32
# Those who failed last share these, so that all the dead together leave most slots to the living.
SHAKY_SLOTS = 8
# A task is over in time to let others run; the timetable starts the next.
RUN_SECONDS = 25.0
LOOK_AGAIN_SECONDS = 0.2

Clock = Callable[[], datetime]


def send_due(*, run_seconds: float = RUN_SECONDS, clock: Clock = timezone.now) -> int:
    """Send what is due until nothing is, or the time is over; answers how many tries were made."""
    until = time.monotonic() + run_seconds
    flying: dict[Future[Outcome], Letter] = {}
    tries = 0
    with ThreadPoolExecutor(max_workers=SLOTS, thread_name_prefix="letter") as pool:
        while True:
            shaky = sum(letter.is_shaky for letter in flying.values())
            free = SLOTS - len(flying)
            if free and time.monotonic() < until:
                for letter in deliveries.take(at=clock(), limit=free, shaky_limit=SHAKY_SLOTS - shaky):
                    flying[pool.submit(attempt, letter, clock=clock)] = letter
                    tries += 1
            if not flying:
                return tries
            done, _ = wait(flying, timeout=LOOK_AGAIN_SECONDS, return_when=FIRST_COMPLETED)
            if done:
                deliveries.record(results=[(flying.pop(future), future.result()) for future in done], at=clock())


def attempt(letter: Letter, *, clock: Clock = timezone.now) -> Outcome:
    """One try. Whatever the other side does is an outcome; nothing it says is kept but its status."""
    at = clock()
    signed = webhooks.headers(
        letter_id=letter.letter_id, timestamp=int(at.timestamp()), body=letter.body, keys=letter.keys
    )
    began = time.monotonic()
    try:
        answer = outbound.post(letter.url, body=letter.body, headers=signed)
    except outbound.Unsafe:
        return Outcome(milliseconds=_since(began), error="unsafe_address")
    except outbound.Unreachable as error:
        return Outcome(milliseconds=_since(began), error=error.code)
    retry_after = webhooks.seconds_of(answer.retry_after, at=at) if answer.status in {429, 503} else None
    said = "" if 200 <= answer.status < 300 else "redirect" if 300 <= answer.status < 400 else "status"
    return Outcome(milliseconds=_since(began), status=answer.status, error=said, retry_after_seconds=retry_after)


def _since(began: float) -> int:
    return round((time.monotonic() - began) * 1_000)
