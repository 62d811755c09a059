"""One operation stands still before a statement of its own while somebody else acts, then goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from django.db import connection, connections

from partners import prepared

PATIENCE_SECONDS = 30


@contextmanager
def before_each_statement(look: Callable[[str], None]) -> Iterator[None]:
    """Call `look` with each statement this thread sends, by Django's cursor or by the hot path's own; with those sent
    in one trip together, and again once they are all done."""
    fetch, fetch_together, thread = prepared.fetch, prepared.fetch_together, threading.get_ident()

    def wrap(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001
        look(sql)
        return execute(sql, params, many, context)

    def fetch_too(statement: str, parameters: Any) -> Any:
        if threading.get_ident() == thread:
            look(statement)
        return fetch(statement, parameters)

    def fetch_together_too(*steps: Any) -> Any:
        if threading.get_ident() != thread:
            return fetch_together(*steps)
        look("; ".join(statement for statement, _ in steps))
        rows = fetch_together(*steps)
        look("")
        return rows

    with (
        connection.execute_wrapper(wrap),
        mock.patch.object(prepared, "fetch", fetch_too),
        mock.patch.object(prepared, "fetch_together", fetch_together_too),
    ):
        yield


class _Caller(threading.Thread):
    """Does a call on a connection of its own; its result or exception is kept."""

    def __init__(self, call: Callable[[], Any], look: Callable[[str], None] | None = None) -> None:
        super().__init__()
        self.call, self.look, self.result, self.pid = call, look or (lambda sql: None), None, 0

    def run(self) -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                self.pid = cursor.fetchone()[0]
            with before_each_statement(self.look):
                self.result = self.call()
        except Exception as error:  # noqa: BLE001  the test looks at whatever came
            self.result = error
        finally:
            connections.close_all()

    def is_waiting(self) -> bool:
        """Whether its statement waits for a lock of somebody else's."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0", [self.pid])
            return bool(cursor.fetchone()[0])

    def until_done_or_waiting(self) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while self.is_alive() and not (self.pid and self.is_waiting()):
            assert time.monotonic() < end, "it neither ended nor waits for a lock"
            self.join(0.002)


def meet(call: Callable[[], Any], rival: Callable[[], Any], *, step: int) -> tuple[Any, Any] | None:
    """`rival` acts while `call` stands before its statement number `step`; both results.

    The rival is done, or waits for a lock, when the first goes on. None where `call` has no such statement.
    """
    stands, go_on = threading.Event(), threading.Event()
    seen = 0

    def look(sql: str) -> None:
        nonlocal seen
        seen += 1
        if seen == step:
            stands.set()
            assert go_on.wait(PATIENCE_SECONDS)

    first = _Caller(call, look)
    first.start()
    while first.is_alive() and not stands.wait(0.002):
        pass
    if not stands.is_set():
        first.join()
        return None
    second = _Caller(rival)
    second.start()
    second.until_done_or_waiting()
    go_on.set()
    first.join(PATIENCE_SECONDS)
    second.join(PATIENCE_SECONDS)
    return first.result, second.result


def start(call: Callable[[], Any]) -> _Caller:
    """Begin `call`; comes back when it is done or waits for a lock."""
    caller = _Caller(call)
    caller.start()
    caller.until_done_or_waiting()
    return caller
