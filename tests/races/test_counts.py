"""Counts are posted while everybody else goes on working."""

from __future__ import annotations

import pytest
from django.utils import timezone

from partners import actors
from partners.problems import Problem
from stock import ledger, proof
from stock.models import Allocation, CountLine, Level, Movement
from stock.operations import counting, movements, reservations
from stock.operations.counting import Found, Posted, Rules, Scope
from stock.operations.promising import InsufficientStock, Wanted
from tests import make
from tests.races.crowd import all_at_once

EASY = Rules(tolerance_units=1_000)


@pytest.fixture
def shelf(own_database):
    """A hundred by the book; ninety really lie there."""
    warehouse, variant = make.make_warehouse(), make.make_variant()
    return warehouse, variant, make.make_level(variant=variant, warehouse=warehouse, on_hand=100)


def now():
    return timezone.now()


def opened(warehouse):
    return counting.open(warehouse=warehouse, scope=Scope(), rules=EASY, actor=make.TESTER, at=now())


def say(count, variant, counted, by=make.TESTER):
    return counting.record(count=count, found=[Found(variant=variant, counted=counted)], actor=by, at=now())[0]


def post(count):
    return counting.post(count=count, actor=make.TESTER, at=now())


def reserve(variant, reference, quantity=1):
    wanted = [Wanted(variant=variant, quantity=quantity)]
    return reservations.reserve(reference=reference, wanted=wanted, partner=None, actor=make.TESTER, at=now())[0]


def commit(held):
    return reservations.commit(reservation=held, reference="", actor=make.TESTER, at=now())


def refused(results):
    """What is neither an answer nor a refusal in words is a fault."""
    faults = [one for one in results if isinstance(one, Exception) and not isinstance(one, Problem)]
    assert faults == []
    return [one for one in results if isinstance(one, Problem)]


@pytest.mark.races
def test_a_count_is_posted_while_forty_reserve(shelf):
    warehouse, variant, level = shelf
    count = opened(warehouse)
    say(count, variant, 90)
    results = all_at_once(41, lambda place: reserve(variant, f"cart-{place}", 3) if place else post(count))
    short = refused(results)
    level.refresh_from_db()
    assert all(isinstance(one, InsufficientStock) for one in short)
    assert level.on_hand == 90
    assert 0 <= level.reserved <= 90
    # Thirty of three fit in what lies there; who promised more before the count was posted lost its youngest.
    assert level.reserved >= 88
    assert proof.prove_ledger().differences == []


@pytest.mark.races
def test_a_count_is_posted_while_promises_leave(shelf):
    """Some promises are broken by the count and some leave; each unit does one of the two."""
    warehouse, variant, level = shelf
    held = [reserve(variant, f"cart-{number}", 5) for number in range(20)]
    count = opened(warehouse)
    say(count, variant, 40)
    results = all_at_once(21, lambda place: commit(held[place - 1]) if place else post(count))
    assert refused(results) == []
    level.refresh_from_db()
    [posted] = [one for one in results if isinstance(one, Posted)]
    lost = Movement.objects.filter(kind="count").first()
    shipped = sum(Movement.objects.filter(kind="shipment").values_list("quantity", flat=True))
    booked, unbooked = lost.quantity if lost else 0, sum(row.quantity for row in posted.unbooked)
    assert booked + unbooked == 60
    assert level.on_hand == 100 - booked - shipped
    assert level.reserved == 0
    freed = sum(Allocation.objects.values_list("freed", flat=True))
    assert shipped + freed == 100
    assert proof.prove_ledger().differences == []


@pytest.mark.races
def test_a_count_is_recorded_while_goods_come_and_go_and_the_sum_is_right(shelf):
    """Each recording remembers the book of its own moment, whoever moves the level beside it."""
    warehouse, variant, level = shelf
    count = opened(warehouse)

    def work(place):
        if place % 4 == 0:
            return say(count, variant, 90)
        kind = "receipt" if place % 2 else "writeOff"
        booked = movements.book(
            kind=kind, variant=variant, warehouse=warehouse, quantity=2, actor=make.TESTER, at=now()
        )
        return booked.movement_ids

    assert refused(all_at_once(16, work)) == []
    line = CountLine.objects.get()
    before = Movement.objects.filter(pk__lte=line.position)
    sign = {"receipt": 1, "writeOff": -1}
    assert line.balance == sum(sign[row.kind] * row.quantity for row in before)
    level.refresh_from_db()
    assert post(count).sent_back == []
    difference = 90 - line.balance
    before_posting = level.on_hand
    level.refresh_from_db()
    assert level.on_hand == before_posting + difference
    assert proof.prove_ledger().differences == []


@pytest.mark.races
def test_ten_counts_of_one_place_book_its_loss_once(shelf):
    warehouse, variant, level = shelf
    counts = [opened(warehouse) for _ in range(10)]
    for count in counts:
        say(count, variant, 90)
    results = all_at_once(10, lambda place: post(counts[place]))
    assert refused(results) == []
    assert sorted(one.count.state for one in results) == ["open"] * 9 + ["posted"]
    level.refresh_from_db()
    assert level.on_hand == 90
    assert CountLine.objects.filter(state="recount").count() == 9


@pytest.mark.races
def test_without_the_look_at_others_counts_the_loss_is_booked_ten_times(shelf, monkeypatch):
    """The negative control: the ledger alone does not know that the ten losses are one."""
    warehouse, variant, level = shelf
    counts = [opened(warehouse) for _ in range(10)]
    for count in counts:
        say(count, variant, 90)
    monkeypatch.setattr(counting, "_outdated", lambda count: [])
    all_at_once(10, lambda place: post(counts[place]))
    level.refresh_from_db()
    assert level.on_hand == 0


@pytest.mark.races
def test_a_count_posted_by_ten_at_once_is_posted_once(shelf):
    warehouse, variant, level = shelf
    count = opened(warehouse)
    say(count, variant, 90)
    assert refused(all_at_once(10, lambda place: post(count))) == []
    level.refresh_from_db()
    assert (level.on_hand, Movement.objects.filter(kind="count").count()) == (90, 1)


@pytest.mark.races
def test_a_number_written_down_while_the_count_is_posted_is_booked_or_refused(shelf):
    warehouse, variant, level = shelf
    count = opened(warehouse)
    say(count, variant, 90)
    results = all_at_once(2, lambda place: say(count, variant, 80) if place else post(count))
    level.refresh_from_db()
    assert level.on_hand == (90 if isinstance(results[1], Problem) else 80)
    assert proof.prove_ledger().differences == []


@pytest.mark.races
def test_two_who_decide_at_once_decide_once(shelf):
    warehouse, variant, _ = shelf
    rules = Rules(tolerance_units=1_000, approval_value=0)
    count = counting.open(warehouse=warehouse, scope=Scope(), rules=rules, actor=make.TESTER, at=now())
    line = say(count, variant, 90)
    people = [actors.staff(1, "anna"), actors.staff(2, "bert")]
    steps = [counting.approve, counting.reject]
    results = all_at_once(2, lambda place: steps[place](line=line, actor=people[place], at=now()))
    assert len(refused(results)) == 1


@pytest.mark.races
def test_without_the_levels_lock_a_recording_may_remember_a_book_that_is_no_more(shelf, monkeypatch):
    """The negative control of recording: balance and position read apart, with a receipt in between."""
    warehouse, variant, _ = shelf
    count = opened(warehouse)

    def read_only(ids):
        rows = {row.pk: row for row in Level.objects.filter(pk__in=list(ids))}
        stale = {
            pk: ledger.LockedLevel(
                id=pk, variant_id=row.variant_id, location_id=row.location_id, batch_id=row.batch_id,
                condition=row.condition, owner_id=row.owner_id, on_hand=row.on_hand, reserved=row.reserved,
                version=row.version,
            )
            for pk, row in rows.items()
        }  # fmt: skip
        all_at_once(1, lambda place: receive_ten())
        return stale

    def receive_ten():
        monkeypatch.undo()
        return movements.book(
            kind="receipt", variant=variant, warehouse=warehouse, quantity=10, actor=make.TESTER, at=now()
        )

    monkeypatch.setattr(ledger, "lock", read_only)
    line = say(count, variant, 90)
    received = Movement.objects.get(quantity=10)
    assert (line.balance, line.position) == (100, received.pk), "without the lock the two agreed: it proves nothing"
