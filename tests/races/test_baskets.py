"""Many baskets of the same products in any order, and many promises that end at the very moment they run out."""

from __future__ import annotations

import itertools
import os
import random
import threading
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.utils import timezone
from psycopg import errors as pg

from partners.models import OutboxEvent
from stock import proof
from stock.models import Level, Movement, Reservation
from stock.models.reservation import ReservationQuerySet
from stock.operations import reservations
from stock.operations.promising import Wanted
from tests import make
from tests.races.crowd import all_at_once, rewrite

CONNECTIONS, TURNS = 32, 4
# BACKSTOCK_EXPIRY_PAIRS=5000 makes a long run of it.
PAIRS = int(os.environ.get("BACKSTOCK_EXPIRY_PAIRS", "200"))
COMMITTERS, SWEEPERS = 4, 4


def now():
    return {"actor": make.TESTER, "at": timezone.now()}


@pytest.fixture
def variants(own_database):
    warehouse = make.make_warehouse(code="HALL")
    made = [make.make_variant() for _ in range(8)]
    for variant in made:
        make.make_level(variant=variant, warehouse=warehouse, on_hand=100_000)
    return made


def fill_baskets(variants):
    """What each of the connections met: nothing, or its first error."""

    def basket(place: int) -> str:
        dice = random.Random(place)  # noqa: S311  chance that can be had again
        for turn in range(TURNS):
            lines = dice.sample(variants, dice.randint(2, len(variants)))
            held, _ = reservations.reserve(
                reference=f"{place}-{turn}",
                wanted=[Wanted(variant=variant, quantity=1) for variant in lines],
                partner=None,
                **now(),
            )
            if turn % 2:
                reservations.commit(reservation=held, reference="", **now())
            elif place % 2:
                reservations.release(reservation=held, **now())
            else:
                Reservation.objects.filter(pk=held.pk).update(expires_at=timezone.now())
                reservations.expire_due(**now())
        return "done"

    return all_at_once(CONNECTIONS, basket)


def deadlocks(results):
    return [
        one for one in results if isinstance(one, OperationalError) and isinstance(one.__cause__, pg.DeadlockDetected)
    ]


@pytest.mark.races
def test_crossed_baskets_on_thirty_two_connections_never_deadlock(variants):
    results = fill_baskets(variants)
    assert results == ["done"] * CONNECTIONS
    reservations.expire_due(**now())
    assert {row.reserved for row in Level.objects.all()} == {0}
    assert proof.prove_ledger().differences == []


@pytest.mark.races
def test_without_the_order_of_the_locks_they_deadlock(variants):
    """The negative control: each locks its levels in the order of its basket."""
    rewrite("stock_reserve", (" ORDER BY pick.level", ""))
    rewrite("stock_keep", ("UPDATE stock_level", "PERFORM pg_sleep(0.002); UPDATE stock_level"))
    assert deadlocks(fill_baskets(variants)), "nobody got stuck: the test above proves nothing"


def patiently(call):
    """Who waited too long for a lock on a busy machine asks again, as any caller would."""
    while True:
        try:
            return call()
        except OperationalError as error:
            if not isinstance(error.__cause__, pg.LockNotAvailable):
                raise


def end_at_the_very_moment(variants, pairs):
    """Each promise runs out within 20 ms of its commit, while four sweep: what the committers were told, how many
    were swept, and what went wrong."""
    held = [
        reservations.reserve(
            reference=f"cart-{number}",
            wanted=[Wanted(variant=variants[number % len(variants)], quantity=1)],
            partner=None,
            **now(),
        )[0]
        for number in range(pairs)
    ]
    is_over = threading.Event()
    finished = itertools.count(1)

    def sweep() -> int:
        ended = 0
        while not is_over.is_set():
            ended += patiently(lambda: reservations.expire_due(**now()))
        return ended

    def commit(place: int) -> dict[int, str]:
        dice, told = random.Random(place), {}  # noqa: S311  likewise
        try:
            for one in held[place::COMMITTERS]:
                # It takes some milliseconds to get to the point.
                moment = timedelta(milliseconds=dice.uniform(-20, 20) + 8)
                with connection.cursor() as cursor:
                    cursor.execute(
                        "UPDATE stock_reservation SET expires_at = clock_timestamp() + %s WHERE id = %s",
                        [moment, one.pk],
                    )
                try:
                    done = patiently(
                        lambda one=one: reservations.commit(reservation=one, reference=f"SO-{one.pk}", **now())
                    )
                    told[one.pk] = done.state
                except reservations.ReservationExpired:
                    told[one.pk] = "expired"
        finally:
            if next(finished) == COMMITTERS:
                is_over.set()
        return told

    results = all_at_once(
        COMMITTERS + SWEEPERS, lambda place: commit(place) if place < COMMITTERS else sweep(), patience_seconds=3_600
    )
    faults = [one for one in results if isinstance(one, Exception)]
    told = {key: state for one in results if isinstance(one, dict) for key, state in one.items()}
    swept = sum(one for one in results if isinstance(one, int)) + reservations.expire_due(**now())
    return told, swept, faults


@pytest.mark.races
def test_a_promise_that_runs_out_while_it_is_committed_ends_once(variants):
    told, swept, faults = end_at_the_very_moment(variants, PAIRS)
    assert faults == []
    assert told == dict(Reservation.objects.values_list("pk", "state"))
    committed = [key for key, state in told.items() if state == "committed"]
    expired = [key for key, state in told.items() if state == "expired"]
    print(f"{PAIRS} pairs: {len(committed)} committed, {len(expired)} expired")
    assert len(committed) + len(expired) == PAIRS
    assert committed, "all ran out: nobody met anybody"
    assert expired, "none ran out: nobody met anybody"
    shipped = Movement.objects.filter(kind="shipment")
    assert sorted(shipped.values_list("reference", flat=True)) == sorted(f"SO-{key}" for key in committed)
    assert swept == len(expired) == OutboxEvent.objects.filter(type="reservation.expired").count()
    assert sum(Level.objects.values_list("on_hand", flat=True)) == 800_000 - len(committed)
    assert {row.reserved for row in Level.objects.all()} == {0}
    assert proof.prove_ledger().differences == []


@pytest.mark.races
def test_without_the_lock_of_the_reservation_they_run_into_one_another(variants, monkeypatch):
    """The negative control: who commits does not hold the reservation, and some end twice or get stuck."""
    monkeypatch.setattr(ReservationQuerySet, "lock", lambda rows: rows)
    told, swept, faults = end_at_the_very_moment(variants, 60)
    ended = sum(state == "committed" for state in told.values()) + swept
    assert faults or ended > 60, "each ended once: the test above proves nothing"
