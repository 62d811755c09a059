"""A rival acts at each step of reserve, commit, expire, post and set_level, and nothing is lost or done twice."""

from __future__ import annotations

import itertools
from datetime import date, timedelta

import pytest
from django.db import OperationalError, transaction
from django.utils import timezone

from partners.problems import Problem
from stock import ledger, proof
from stock.models import Allocation, Level, Location, Movement, Reservation, ReservationLine
from stock.models.reservation import ReservationQuerySet
from stock.operations import counting, departures, movements, moving, reservations, warehouses
from stock.operations.counting import Found, Rules, Scope
from stock.operations.promising import InsufficientStock, Wanted
from tests import make
from tests.races import pauses

STEPS_MAX = 60
_numbers = itertools.count(1)


def now():
    return {"actor": make.TESTER, "at": timezone.now()}


def hold(*variants, quantity=8, reference=None, warehouse_code=""):
    wanted = [Wanted(variant=variant, quantity=quantity, warehouse_code=warehouse_code) for variant in variants]
    reference = reference or f"cart-{next(_numbers)}"
    return reservations.reserve(reference=reference, wanted=wanted, partner=None, **now())[0]


def let_run_out(held):
    Reservation.objects.filter(pk=held.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    held.refresh_from_db()
    return held


class Shelf:
    """Ten units of a product in two bins, of which eight may be held; another shelf for each step."""

    def __init__(self, warehouse, *, is_held=False, is_over=False):
        self.warehouse, self.variant = warehouse, make.make_variant()
        for bin_ in warehouse.locations.order_by("code"):
            movements.book(
                kind="receipt", variant=self.variant, warehouse=warehouse, location=bin_, quantity=5, **now()
            )
        self.held = hold(self.variant) if is_held else None
        if is_over:
            let_run_out(self.held)

    @property
    def levels(self):
        rows = Level.objects.filter(variant=self.variant).values_list("on_hand", "reserved")
        return tuple(map(sum, zip(*rows, strict=True)))

    @property
    def shipped(self):
        rows = Movement.objects.filter(variant=self.variant, kind="shipment")
        return sum(rows.values_list("quantity", flat=True))

    def reserve(self):
        return hold(self.variant)

    def commit(self):
        return reservations.commit(reservation=self.held, reference="", **now())

    def release(self):
        return reservations.release(reservation=self.held, **now())

    def extend(self):
        return reservations.extend(reservation=self.held, seconds=60, **now())

    def expire(self):
        return reservations.expire_due(**now())

    def reserve_again(self):
        return hold(self.variant, reference=self.held.reference)

    def write_off(self):
        return movements.book(kind="writeOff", variant=self.variant, warehouse=self.warehouse, quantity=5, **now())

    def set_level(self):
        return movements.set_level(variant=self.variant, warehouse=self.warehouse, on_hand=2, reason="seen", **now())

    def put_away(self):
        return moving.move(
            variant=self.variant, warehouse=self.warehouse, from_code="MAIN", to_code="A-01", quantity=5, **now()
        )

    def count(self):
        """Three of the five in the default bin are gone, says a count that is not posted yet."""
        count = counting.open(
            warehouse=self.warehouse, scope=Scope(skus=(self.variant.sku,)), rules=Rules(tolerance_units=100), **now()
        )
        counting.record(count=count, found=[Found(variant=self.variant, counted=2)], **now())
        self.counted = count

    def post(self):
        return counting.post(count=self.counted, close_uncounted=True, **now())


@pytest.fixture
def hall(own_database):
    warehouse = make.make_warehouse(code="HALL")
    warehouses.open_location(warehouse=warehouse, code="A-01", actor=make.TESTER)
    return warehouse


def at_each_step(shelf_for, call, rival):
    """Both results for a rival at step after step, each time on a new shelf; with the shelf."""
    met = []
    for step in range(1, STEPS_MAX):
        shelf = shelf_for()
        results = pauses.meet(getattr(shelf, call), getattr(shelf, rival), step=step)
        if results is None:
            assert len(met) > 1, "nobody met anybody: it proves nothing"
            return met
        faults = [one for one in results if isinstance(one, Exception) and not isinstance(one, Problem)]
        assert faults == [], f"at step {step}"
        met.append((shelf, *results))
    raise AssertionError("more steps than are looked at")


def granted(*results):
    return [one for one in results if not isinstance(one, Exception)]


@pytest.mark.races
@pytest.mark.parametrize("rival", ["reserve", "write_off", "set_level", "put_away"])
def test_a_rival_at_each_step_of_reserve_never_gets_the_same_units(hall, rival):
    for shelf, mine, theirs in at_each_step(lambda: Shelf(hall), "reserve", rival):
        on_hand, reserved = shelf.levels
        if rival == "reserve":
            assert (len(granted(mine, theirs)), on_hand, reserved) == (1, 10, 8)
        elif rival == "put_away":
            assert (len(granted(mine, theirs)), on_hand, reserved) == (2, 10, 8)
        else:
            assert granted(theirs)
            assert reserved <= on_hand <= 7
    assert proof.prove_ledger().differences == []


@pytest.mark.races
@pytest.mark.parametrize("rival", ["commit", "release", "extend", "put_away", "set_level", "reserve"])
def test_a_rival_at_each_step_of_commit_lets_it_end_once(hall, rival):
    for shelf, mine, theirs in at_each_step(lambda: Shelf(hall, is_held=True), "commit", rival):
        shelf.held.refresh_from_db()
        ends = {"committed": 8, "released": 0}
        assert shelf.levels[1] == 0
        if rival == "set_level":
            # The shelf is truth: of the five in the default bin two are there, so three promised ones may be gone.
            assert (shelf.held.state, len(granted(mine, theirs))) == ("committed", 2)
            assert shelf.shipped in {7, 8}
        else:
            assert shelf.shipped == ends[shelf.held.state]
        if rival == "release":
            assert len(granted(mine, theirs)) == 1
    assert proof.prove_ledger().differences == []


@pytest.mark.races
@pytest.mark.parametrize("rival", ["commit", "release", "extend", "expire", "reserve_again", "put_away"])
def test_a_rival_at_each_step_of_expire_lets_it_end_once(hall, rival):
    for shelf, mine, theirs in at_each_step(lambda: Shelf(hall, is_held=True, is_over=True), "expire", rival):
        shelf.held.refresh_from_db()
        assert shelf.held.state in {"expired", "released"}
        assert shelf.levels == (10, 8 if rival == "reserve_again" else 0)
        assert shelf.shipped == 0
        if rival in {"commit", "extend"}:
            assert isinstance(theirs, reservations.ReservationExpired)
        if rival == "expire":
            assert mine + theirs == 1
    assert proof.prove_ledger().differences == []


@pytest.mark.races
@pytest.mark.parametrize("rival", ["reserve", "commit", "write_off", "set_level", "put_away", "post"])
def test_a_rival_at_each_step_of_posting_a_count_changes_no_difference(hall, rival):
    def shelf_for():
        shelf = Shelf(hall, is_held=rival == "commit")
        shelf.count()
        return shelf

    for shelf, mine, theirs in at_each_step(shelf_for, "post", rival):
        lost = sum(Movement.objects.filter(variant=shelf.variant, kind="count").values_list("quantity", flat=True))
        on_hand, reserved = shelf.levels
        assert reserved <= on_hand
        if rival == "set_level":
            # Both found the same three units gone: they are booked once, by whoever was first.
            assert on_hand == 7
        elif isinstance(theirs, Problem):
            assert (on_hand, lost) == (7, 3)
        else:
            taken = {"write_off": 5, "commit": shelf.shipped}.get(rival, 0)
            assert on_hand == 10 - lost - taken
            assert lost + sum(row.quantity for row in mine.unbooked) == 3
    assert proof.prove_ledger().differences == []


@pytest.mark.races
@pytest.mark.parametrize("rival", ["reserve", "set_level", "write_off", "put_away"])
def test_a_rival_at_each_step_of_set_level_does_not_make_it_wrong(hall, rival):
    main = Location.objects.get(warehouse=hall, is_default=True)
    for shelf, mine, theirs in at_each_step(lambda: Shelf(hall), "set_level", rival):
        assert granted(mine) == [mine]
        lies = Level.objects.get(variant=shelf.variant, location=main)
        if rival in {"reserve", "set_level"}:
            assert lies.on_hand == 2
        elif isinstance(theirs, Problem):
            assert (theirs.code, lies.on_hand) == ("not_enough_on_hand", 2)
        else:
            assert lies.on_hand == 2, "the rival was first, and then the level was set"
    assert proof.prove_ledger().differences == []


@pytest.mark.races
def test_without_the_lock_of_the_reservation_it_ends_twice(hall, monkeypatch):
    """The negative control: one who commits and one who releases both believe they did."""
    monkeypatch.setattr(ReservationQuerySet, "lock", lambda rows: rows)
    met = at_each_step(lambda: Shelf(hall, is_held=True), "commit", "release")
    assert any(len(granted(mine, theirs)) == 2 for _, mine, theirs in met), "it ended once: it proves nothing"


# -- Lock order: what each of these did once ended in a deadlock


@pytest.fixture
def two(own_database):
    """Two products; the levels of the first were made before those of the second."""
    warehouse = make.make_warehouse(code="HALL")
    variants = [make.make_variant() for _ in range(2)]
    for variant in variants:
        make.make_level(variant=variant, warehouse=warehouse, on_hand=1000)
    return variants


def at_no_step_a_deadlock(prepare):
    steps = 0
    for step in range(1, STEPS_MAX * 2):
        results = pauses.meet(*prepare(), step=step)
        if results is None:
            break
        steps += 1
        assert not [one for one in results if isinstance(one, OperationalError)], f"at step {step}"
    assert steps > 1
    assert proof.prove_ledger().differences == []


@pytest.mark.races
def test_those_that_run_out_together_are_ended_under_one_lock(two):
    first, second = two

    def prepare():
        let_run_out(hold(second, quantity=1))
        let_run_out(hold(first, quantity=1))
        return lambda: reservations.expire_due(**now()), lambda: hold(first, second, quantity=1)

    at_no_step_a_deadlock(prepare)


@pytest.mark.races
def test_an_order_that_ships_one_line_meets_one_that_ships_another(two):
    def order():
        return reservations.hold_for_order(reservation=hold(*two, quantity=2), **now())

    def ship(held, variant):
        line = ReservationLine.objects.get(reservation=held, variant=variant)
        warehouse = Level.objects.get(variant=variant).location.warehouse
        leaving = [departures.Departure(line=line, quantity=1, warehouse=warehouse)]
        return reservations.consume(reservation=held, leaving=leaving, reference="SO", **now())

    def prepare():
        mine, theirs = order(), order()
        return lambda: ship(mine, two[1]), lambda: ship(theirs, two[0])

    at_no_step_a_deadlock(prepare)


@pytest.mark.races
def test_a_name_that_ran_out_is_given_again_while_others_fill_their_baskets(two):
    first, second = two

    def prepare():
        earlier = let_run_out(hold(second, quantity=1))
        again = earlier.reference
        return lambda: hold(first, second, quantity=1, reference=again), lambda: hold(first, second, quantity=1)

    at_no_step_a_deadlock(prepare)


@pytest.fixture
def early_and_late(own_database):
    """The batch that expires first came last, so that its level has the higher id."""
    warehouse, variant = make.make_warehouse(code="HALL"), make.make_variant(tracking="batch")
    for number, day, units in (("LATE", date(2091, 1, 1), 30), ("EARLY", date(2090, 1, 1), 10)):
        make.make_level(variant=variant, warehouse=warehouse, on_hand=units, batch_number=number, expires_on=day)
    return variant


@pytest.mark.races
def test_one_who_tried_the_quick_way_in_vain_holds_nothing_when_it_takes_the_long_one(early_and_late):
    variant = early_and_late

    def reserve_in_a_larger_transaction():
        with transaction.atomic():
            return hold(variant, quantity=5)

    with transaction.atomic():
        hold(variant, quantity=8)
        quick = pauses.start(reserve_in_a_larger_transaction)  # wants EARLY, which will not suffice any more
        long = pauses.start(lambda: hold(variant, quantity=12))  # needs both: holds LATE and wants EARLY
    for one in (quick, long):
        one.join(pauses.PATIENCE_SECONDS)
    assert [type(one.result) for one in (quick, long)] == [Reservation, Reservation]
    assert sum(Level.objects.values_list("reserved", flat=True)) == 25
    assert proof.prove_ledger().differences == []


@pytest.mark.races
def test_what_came_after_the_lock_and_went_again_is_not_promised(hall, monkeypatch):
    """Between the lock and the look a bin is filled, and after the look somebody takes that: nothing is granted."""
    shelf = Shelf(hall)
    other = make.make_warehouse(code="LATER")
    lock, decide = ledger.lock_variants, reservations.promising.Desk.decide

    def lock_and_wait(variant_ids):
        held = lock(variant_ids)
        monkeypatch.setattr(ledger, "lock_variants", lock)
        caller = pauses.start(
            lambda: movements.book(kind="receipt", variant=shelf.variant, warehouse=other, quantity=50, **now())
        )
        caller.join(pauses.PATIENCE_SECONDS)
        return held

    def decide_and_wait(desk, *wish_and_rows):
        monkeypatch.setattr(reservations.promising.Desk, "decide", decide)
        try:
            return decide(desk, *wish_and_rows)
        finally:
            caller = pauses.start(lambda: hold(shelf.variant, quantity=50, warehouse_code="LATER"))
            caller.join(pauses.PATIENCE_SECONDS)
            assert isinstance(caller.result, Reservation)

    monkeypatch.setattr(ledger, "lock_variants", lock_and_wait)
    monkeypatch.setattr(reservations.promising.Desk, "decide", decide_and_wait)
    with pytest.raises(InsufficientStock):
        hold(shelf.variant, quantity=20)
    kept = Reservation.objects.get()
    assert sum(Allocation.objects.filter(line__reservation=kept).values_list("quantity", flat=True)) == 50
