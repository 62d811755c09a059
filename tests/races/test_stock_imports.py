"""Numbers of another system are applied while goods leave, and while workers are killed: counted and later, always."""

from __future__ import annotations

import os
import signal
import threading

import pytest
from django.db import connections

from stock import ledger, proof
from stock.models import Level, StockImport
from stock.operations import stating_work
from tests import make
from tests.orders import stating
from tests.orders.stating import apply, assigned, book, completed, opened
from tests.races.crowd import all_at_once

SHIPPERS = 6


@pytest.fixture
def hall(own_database):
    hall = stating.external()
    make.make_level(variant=make.make_variant(sku="P"), warehouse=hall, on_hand=100)
    return hall


def in_a_thread(call) -> threading.Thread:
    def run() -> None:
        try:
            call()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.races
def test_whoever_comes_first_counted_less_what_left_later_lies_there(hall):
    buyer = make.make_partner()
    requests = [assigned(buyer, "P", f"O-{number}") for number in range(SHIPPERS)]
    imports = [opened(hall, {"P": 50}), opened(hall, {"P": 80})]
    steps = [lambda request=request: completed(request) for request in requests]
    steps += [lambda made=made: apply(made) for made in imports]
    steps += [lambda number=number: assigned(buyer, "P", f"N-{number}") for number in range(SHIPPERS)]
    results = all_at_once(len(steps), lambda place: steps[place]())
    # A lock that was not given in time is tried again, as the sweep and any client would.
    for step, result in zip(steps, results, strict=True):
        if isinstance(result, Exception):
            step()
    for made in imports:
        stating_work.work_on(stock_import=made, actor=make.TESTER, at=made.created_at)
    assert set(StockImport.objects.values_list("state", flat=True)) <= {"applied", "failed"}
    assert book("P", hall) == (80 - SHIPPERS, 80 - 2 * SHIPPERS)
    assert proof.prove_ledger().differences == []


def unlocked(places) -> None:
    for place in places:
        found = Level.objects.filter(variant=place.variant).values_list(*ledger.LockedLevel._fields)
        place.levels = [ledger.LockedLevel(*row) for row in found]


@pytest.mark.races
@pytest.mark.parametrize(("is_locked", "on_hand"), [(True, 99), (False, 98)])
def test_a_departure_between_looking_and_writing_waits_for_the_levels_lock(hall, monkeypatch, is_locked, on_hand):
    """Without the lock, the negative control, what leaves in between is taken off twice."""
    request = assigned(make.make_partner(), "P", "O-1")
    made = opened(hall, {"P": 100})
    leaving: list[threading.Thread] = []
    contain = stating_work._contain

    def meanwhile(*args) -> None:
        leaving.append(in_a_thread(lambda: completed(request)))
        if not is_locked:
            leaving[0].join()
        contain(*args)

    monkeypatch.setattr(stating_work, "_contain", meanwhile)
    if not is_locked:
        monkeypatch.setattr(stating_work, "_lock", unlocked)
    apply(made)
    leaving[0].join()
    assert book("P", hall)[0] == on_hand


@pytest.mark.races
def test_a_worker_that_is_killed_between_or_within_chunks_is_resumed_where_it_was(hall, monkeypatch):
    monkeypatch.setattr(stating_work, "CHUNK_ROWS", 2)
    skus = [make.make_variant(sku=f"K-{number}").sku for number in range(7)]
    made = opened(hall, dict.fromkeys(skus, 5))
    started = stating.starting.start(stock_import=made, actor=make.TESTER, at=made.created_at)
    connections.close_all()
    if not (child := os.fork()):
        remember, chunks = stating_work._remember, []

        def killed(*args) -> None:
            chunks.append(args)
            remember(*args)
            if len(chunks) == 2:
                os.kill(os.getpid(), signal.SIGKILL)

        stating_work._remember = killed
        try:
            stating_work.work_on(stock_import=started, actor=make.TESTER, at=made.created_at)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    made.refresh_from_db()
    assert (made.state, made.changed_count) == ("running", 2)
    ended = stating_work.work_on(stock_import=made, actor=make.TESTER, at=made.created_at)
    assert (ended.state, ended.changed_count, [book(sku, hall)[0] for sku in skus]) == ("applied", 7, [5] * 7)
    assert proof.prove_ledger().differences == []
