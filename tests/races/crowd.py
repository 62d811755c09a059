"""Many callers at once on real connections: all wait at a barrier, then go together."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from django.db import connection, connections


def all_at_once(count: int, call: Callable[[int], Any], *, patience_seconds: float = 60) -> list[Any]:
    """Run `call(place)` in `count` threads that start together; results or exceptions, in order."""
    barrier = threading.Barrier(count)
    results: list[Any] = [None] * count

    def run(place: int) -> None:
        try:
            barrier.wait(timeout=120)
            results[place] = call(place)
        except Exception as error:  # noqa: BLE001  the test looks at whatever came
            results[place] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=patience_seconds)
    return results


def rewrite(function: str, *changes: tuple[str, str]) -> None:
    """Take a step out of a function of the database, or put one in, for a negative control."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_functiondef(%s::regproc)", [function])
        [text] = cursor.fetchone()
        for before, after in changes:
            assert before in text, f"{function} has no {before!r}"
            text = text.replace(before, after)
        cursor.execute(text)
