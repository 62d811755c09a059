"""Counting while the warehouse works: the difference is booked, never the number."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from partners import actors
from partners.models import OutboxEvent
from partners.problems import IllegalStep, InvalidInput
from stock import abc, ledger, proof
from stock.models import Count, CountLine, Level, Location, Movement, OwnerGrant
from stock.operations import counting, movements, reservations, warehouses
from stock.operations.counting import Found, Rules, Scope
from stock.operations.promising import InsufficientStock, Wanted
from tests import make

ANNA, BERT = actors.staff(1, "anna"), actors.staff(2, "bert")
EASY = Rules(tolerance_units=1_000)


def now():
    return timezone.now()


def start(warehouse, scope=None, rules=EASY, **more):
    return counting.open(warehouse=warehouse, scope=scope or Scope(), rules=rules, actor=make.TESTER, at=now(), **more)


def say(count, variant, counted, by=ANNA, **more):
    [line] = counting.record(count=count, found=[Found(variant=variant, counted=counted, **more)], actor=by, at=now())
    return line


def post(count, **more):
    return counting.post(count=count, actor=make.TESTER, at=now(), **more)


def receive(variant, warehouse, quantity):
    make.make_level(variant=variant, warehouse=warehouse, on_hand=quantity)


def reserve(variant, quantity, reference="cart", seconds=None):
    return reservations.reserve(
        reference=reference, wanted=[Wanted(variant=variant, quantity=quantity)], partner=None, actor=make.TESTER,
        at=now(), seconds=seconds or 900,
    )[0]  # fmt: skip


def ship(variant, quantity, reference="cart"):
    held = reserve(variant, quantity, reference)
    reservations.commit(reservation=held, reference="", actor=make.TESTER, at=now())


def add_bin(warehouse, code):
    return Location.objects.create(warehouse=warehouse, code=code)


@pytest.fixture
def shelf(db):
    """Ten units of a sauce in the default bin."""
    warehouse = make.make_warehouse(code="W1")
    variant = make.make_variant(sku="SAUCE", unit_cost=Decimal(3))
    return warehouse, variant, make.make_level(variant=variant, warehouse=warehouse, on_hand=10)


def book() -> tuple[list[tuple[int, int]], int]:
    """What a refusal must leave alone: the levels and the number of ledger rows."""
    return list(Level.objects.order_by("id").values_list("on_hand", "reserved")), Movement.objects.count()


# -- what is counted ---------------------------------------------------------------------------


def test_a_count_of_everything_has_a_line_for_each_place_where_something_lies(shelf):
    warehouse, variant, _ = shelf
    make.make_level(variant=make.make_variant(), warehouse=make.make_warehouse(), on_hand=5)
    batch = make.make_variant(tracking="batch")
    make.make_level(variant=batch, warehouse=warehouse, on_hand=5, batch_number="A")
    movements.book(kind="damage", variant=variant, warehouse=warehouse, quantity=10, actor=ANNA, at=now())
    count = start(warehouse)
    lines = count.lines.values_list("variant__sku", "batch__number", "condition", "state", "balance")
    assert list(lines) == [
        ("SAUCE", None, "damaged", "waiting", None),
        (batch.sku, "A", "sellable", "waiting", None),
    ]
    assert (count.scope, count.state, count.number[:4]) == ("Everything", "open", "CNT-")


@pytest.mark.parametrize(
    ("scope", "skus", "words"),
    [
        (Scope(locations=("A-01",)), ["OIL"], "Bins A-01"),
        (Scope(skus=("SAUCE", "OIL")), ["OIL", "SAUCE"], "Products SAUCE, OIL"),
        (Scope(abc_class="A"), ["SAUCE"], "Class A"),
        (Scope(abc_class="C"), ["OIL"], "Class C"),
    ],
)
def test_a_scope_is_bins_products_or_a_class(shelf, scope, skus, words):
    warehouse, variant, _ = shelf
    oil = make.make_variant(sku="OIL")
    bin_ = add_bin(warehouse, "A-01")
    source, target = ledger.virtual(Location.Kind.SUPPLIER), ledger.Place(location_id=bin_.pk, condition="sellable")
    ledger.post(
        [
            ledger.Posting(
                variant_id=oil.pk, batch_id=None, quantity=4, source=source, target=target, kind=Movement.Kind.RECEIPT
            )
        ],
        actor=ANNA,
        at=now(),
    )
    ship(variant, 1)
    count = start(warehouse, scope)
    assert sorted(count.lines.values_list("variant__sku", flat=True)) == skus
    assert count.scope == words


@pytest.mark.parametrize(
    ("scope", "fields"),
    [
        (Scope(locations=("MAIN", "NONE")), ["locations[1]"]),
        (Scope(skus=("NONE", "SAUCE", "PARENT")), ["productIds[0]", "productIds[2]"]),
        (Scope(abc_class="D"), ["abcClass"]),
        (Scope(locations=("MAIN",), abc_class="A"), ["locations"]),
    ],
)
def test_a_scope_that_names_what_is_not_there_opens_nothing(shelf, scope, fields):
    make.make_variant(sku="PARENT", is_parent=True)
    with pytest.raises(InvalidInput) as refusal:
        start(shelf[0], scope)
    assert [row["field"] for row in refusal.value.data["errors"]] == fields
    assert Count.objects.count() == 0


def test_a_count_that_is_too_large_is_refused_and_not_begun(shelf, monkeypatch):
    warehouse, *_ = shelf
    make.make_level(variant=make.make_variant(), warehouse=warehouse, on_hand=1)
    monkeypatch.setattr(counting, "LINES_MAX", 1)
    with pytest.raises(counting.CountTooLarge) as refusal:
        start(warehouse)
    assert refusal.value.data == {"linesMax": 1}
    assert (Count.objects.count(), CountLine.objects.count()) == (0, 0)
    monkeypatch.setattr(counting, "LINES_MAX", 2)
    assert start(warehouse).lines.count() == 2


def test_a_partner_counts_no_stock_of_owners_who_do_not_show_it(shelf):
    warehouse, variant, level = shelf
    owner, other = make.make_partner(kind="supplier"), make.make_partner(kind="supplier")
    for partner in (owner, other):
        ledger.post([consigned(variant, level, partner)], actor=ANNA, at=now())
    retailer = make.make_partner()
    OwnerGrant.objects.create(owner=owner, partner=retailer)
    assert set(start(warehouse, partner=retailer).lines.values_list("owner", flat=True)) == {None, owner.pk}
    assert start(warehouse).lines.count() == 3


def consigned(variant, level, owner):
    return ledger.Posting(
        variant_id=variant.pk, batch_id=None, quantity=2, source=ledger.virtual(Location.Kind.SUPPLIER),
        target=ledger.Place(location_id=level.location_id, condition="sellable"), kind=Movement.Kind.RECEIPT,
        owner_id=owner.pk,
    )  # fmt: skip


# -- what is written down ----------------------------------------------------------------------


def test_a_line_remembers_the_book_at_the_moment_of_counting(shelf):
    warehouse, variant, _ = shelf
    count = start(warehouse)
    receive(variant, warehouse, 5)
    line = say(count, variant, 13)
    last = Movement.objects.order_by("-id").first()
    assert (line.state, line.counted, line.balance, line.position) == ("counted", 13, 15, last.pk)
    assert (line.variance, line.counted_by, line.first_counted) == (-2, "staff:anna", None)


@pytest.mark.parametrize(
    ("units", "percent", "counted", "state"),
    [
        (0, "0", 10, "counted"),
        (0, "0", 9, "recount"),
        (1, "0", 9, "counted"),
        (1, "0", 12, "recount"),
        (0, "20", 8, "counted"),
        (0, "20", 7, "recount"),
        (3, "20", 7, "counted"),
    ],
)
def test_a_difference_above_the_tolerance_is_counted_again(shelf, units, percent, counted, state):
    warehouse, variant, _ = shelf
    rules = Rules(tolerance_units=units, tolerance_percent=Decimal(percent))
    line = say(start(warehouse, rules=rules), variant, counted)
    assert line.state == state
    assert (line.first_counted, line.counted) == ((counted, None) if state == "recount" else (None, counted))


def test_the_second_number_decides_and_the_first_is_kept(shelf):
    warehouse, variant, _ = shelf
    count = start(warehouse, rules=Rules())
    say(count, variant, 7)
    line = say(count, variant, 6, by=BERT)
    assert (line.state, line.first_counted, line.counted, line.variance) == ("counted", 7, 6, -4)
    assert line.counted_by == "staff:bert"


@pytest.mark.parametrize(
    ("cost", "limit", "counted", "state"),
    [
        (3, 6, 8, "counted"),
        (3, 5, 8, "approval"),
        (3, 5, 12, "approval"),
        (None, 5, 9, "approval"),
        (None, 5, 10, "counted"),
        (None, None, 2, "counted"),
    ],
)
def test_a_difference_worth_too_much_waits_for_approval(shelf, cost, limit, counted, state):
    warehouse, variant, _ = shelf
    variant.unit_cost = None if cost is None else Decimal(cost)
    variant.save()
    rules = Rules(tolerance_units=100, approval_value=None if limit is None else Decimal(limit))
    assert say(start(warehouse, rules=rules), variant, counted).state == state


def test_what_nobody_expected_becomes_a_line_of_its_own(shelf):
    warehouse, _, _ = shelf
    add_bin(warehouse, "A-01")
    oil = make.make_variant(sku="OIL", tracking="batch")
    count = start(warehouse)
    line = say(count, oil, 4, place="A-01", batch_number="B7", expires_on=date(2095, 1, 1), condition="damaged")
    assert (line.balance, line.position, line.variance, line.batch.number) == (0, 0, 4, "B7")
    assert count.lines.count() == 2
    assert post(count, close_uncounted=True).count.state == "posted"
    found = Level.objects.get(variant=oil)
    assert (found.on_hand, found.location.code, found.condition) == (4, "A-01", "damaged")


def test_a_number_may_be_mended_until_the_count_is_posted(shelf):
    warehouse, variant, _ = shelf
    count = start(warehouse)
    say(count, variant, 1)
    line = say(count, variant, 9)
    assert (line.counted, count.lines.count()) == (9, 1)
    post(count)
    with pytest.raises(IllegalStep) as refusal:
        say(count, variant, 8)
    assert refusal.value.data == {"currentStatus": "posted", "allowedFrom": ["open"]}
    assert Level.objects.get().on_hand == 9


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"place": "NONE"}, "lines[1].location"),
        ({"sku": "PARENT"}, "lines[1].productId"),
        ({"sku": "KIT"}, "lines[1].productId"),
        ({"sku": "OIL"}, "lines[1].batchNumber"),
        ({"sku": "SAUCE"}, "lines[1]"),
    ],
)
def test_many_are_written_down_or_none(shelf, wrong, field):
    warehouse, variant, _ = shelf
    make.make_variant(sku="PARENT", is_parent=True)
    make.make_variant(sku="OIL", tracking="batch")
    make.make_variant(sku="KIT").components.create(component=variant, quantity=2)
    other = type(variant).objects.get(sku=wrong.pop("sku", "OIL"))
    count = start(warehouse)
    found = [Found(variant=variant, counted=10), Found(variant=other, counted=1, **wrong)]
    with pytest.raises(InvalidInput) as refusal:
        counting.record(count=count, found=found, actor=ANNA, at=now())
    assert [row["field"] for row in refusal.value.data["errors"]] == [field]
    assert list(count.lines.values_list("state", flat=True)) == ["waiting"]


def test_a_hundred_places_cost_no_more_queries_than_one(shelf, django_assert_num_queries):
    warehouse, variant, _ = shelf
    variants = [make.make_variant() for _ in range(100)]
    for other in variants:
        make.make_level(variant=other, warehouse=warehouse, on_hand=3)
    count = start(warehouse)
    with django_assert_num_queries(11):
        counting.record(count=count, found=[Found(variant=variant, counted=10)], actor=ANNA, at=now())
    with django_assert_num_queries(11):
        counting.record(
            count=count, found=[Found(variant=other, counted=2) for other in variants], actor=ANNA, at=now()
        )
    with django_assert_num_queries(19):
        post(count)
    assert Level.objects.exclude(variant=variant).filter(on_hand=2).count() == 100


# -- who decides -------------------------------------------------------------------------------


@pytest.fixture
def waiting(shelf):
    warehouse, variant, _ = shelf
    count = start(warehouse, rules=Rules(tolerance_units=100, approval_value=Decimal(1)))
    return count, say(count, variant, 8)


def test_another_person_approves_and_the_difference_is_booked(waiting):
    count, line = waiting
    assert counting.approve(line=line, actor=BERT, at=now()).state == "approved"
    assert counting.approve(line=line, actor=BERT, at=now()).approved_by == "staff:bert"
    post(count)
    assert Level.objects.get().on_hand == 8


@pytest.mark.parametrize("step", [counting.approve, counting.reject])
def test_who_counted_does_not_decide(waiting, step):
    _, line = waiting
    with pytest.raises(counting.SamePerson):
        step(line=line, actor=ANNA, at=now())
    line.refresh_from_db()
    assert (line.state, line.approved_by) == ("approval", "")


def test_what_is_rejected_is_counted_again(waiting):
    count, line = waiting
    rejected = counting.reject(line=line, actor=BERT, at=now())
    assert (rejected.state, rejected.first_counted, rejected.counted, rejected.approved_by) == (
        "rejected", 8, None, "staff:bert",
    )  # fmt: skip
    with pytest.raises(counting.LinesOpen):
        post(count)
    again = say(count, Level.objects.get().variant, 10)
    assert (again.state, again.approved_by) == ("counted", "")


def test_only_a_line_that_waits_can_be_approved(shelf):
    warehouse, variant, _ = shelf
    line = say(start(warehouse), variant, 9)
    with pytest.raises(IllegalStep) as refusal:
        counting.approve(line=line, actor=BERT, at=now())
    assert refusal.value.data == {"currentStatus": "counted", "allowedFrom": ["approval"]}


# -- what is booked ----------------------------------------------------------------------------


def test_posting_books_the_difference_in_the_ledger(shelf):
    warehouse, variant, _ = shelf
    oil = make.make_variant(sku="OIL")
    make.make_level(variant=oil, warehouse=warehouse, on_hand=5)
    count = start(warehouse)
    say(count, variant, 8)
    say(count, oil, 6)
    post(count)
    rows = Movement.objects.filter(reference=count.number).order_by("variant__sku")
    assert [
        (row.variant.sku, row.kind, row.quantity, row.from_location.kind, row.to_location.kind, row.reason)
        for row in rows
    ] == [
        ("OIL", "count", 1, "found", "bin", "count-variance"),
        ("SAUCE", "count", 2, "bin", "lost", "count-variance"),
    ]
    assert dict(count.lines.values_list("variant__sku", "movement_id")) == {row.variant.sku: row.pk for row in rows}
    event = OutboxEvent.objects.get(type="count.posted")
    assert event.payload == {
        "countId": count.number, "warehouseLocation": "W1", "lines": 2, "differences": 2, "unitsFound": 1,
        "unitsMissing": 2, "unbooked": [],
    }  # fmt: skip
    assert event.is_about_stock is False
    assert proof.prove_ledger().differences == []


def test_posting_twice_books_once(shelf):
    warehouse, variant, _ = shelf
    count = start(warehouse)
    say(count, variant, 8)
    post(count)
    assert post(count).count.state == "posted"
    assert (Level.objects.get().on_hand, OutboxEvent.objects.filter(type="count.posted").count()) == (8, 1)


@pytest.mark.parametrize(
    ("later", "on_hand"),
    [
        (lambda variant, warehouse: receive(variant, warehouse, 5), 13),
        (lambda variant, warehouse: ship(variant, 4), 4),
        (lambda variant, warehouse: reserve(variant, 10), 8),
        (
            lambda variant, warehouse: movements.book(
                kind="damage", variant=variant, warehouse=warehouse, quantity=3, actor=ANNA, at=now()
            ),
            5,
        ),
    ],
)
def test_what_moves_between_counting_and_posting_stays_right(shelf, later, on_hand):
    warehouse, variant, level = shelf
    count = start(warehouse)
    say(count, variant, 8)
    later(variant, warehouse)
    post(count, close_uncounted=True)
    level.refresh_from_db()
    assert level.on_hand == on_hand
    assert proof.prove_ledger().differences == []


def test_setting_the_counted_number_instead_would_destroy_what_came_in(shelf):
    """The negative control: what posting does not do, and why."""
    warehouse, variant, level = shelf
    count = start(warehouse)
    line = say(count, variant, 8)
    receive(variant, warehouse, 5)
    with transaction.atomic():
        movements.set_level(
            variant=variant, warehouse=warehouse, on_hand=line.counted, actor=ANNA, at=now(), reason="naive"
        )
        level.refresh_from_db()
        assert level.on_hand == 8, "five units that were received are gone: the test above proves something"
        transaction.set_rollback(True)
    post(count)
    level.refresh_from_db()
    assert level.on_hand == 13


def test_the_shelf_is_truth_and_the_youngest_promise_is_broken(shelf):
    warehouse, variant, level = shelf
    older, younger = reserve(variant, 6, "older"), reserve(variant, 4, "younger")
    count = start(warehouse)
    say(count, variant, 7)
    post(count)
    level.refresh_from_db()
    assert (level.on_hand, level.reserved) == (7, 7)
    told = OutboxEvent.objects.get(type="inventory.shortage").payload
    assert (told["reservationId"], told["quantity"]) == (str(younger.public_id), 3)
    reservations.commit(reservation=older, reference="", actor=make.TESTER, at=now())
    assert proof.prove_ledger().differences == []


def test_of_a_loss_no_more_is_booked_than_lies_there_and_the_rest_is_told(shelf):
    warehouse, variant, level = shelf
    count = start(warehouse)
    say(count, variant, 3)
    ship(variant, 6)
    posted = post(count)
    level.refresh_from_db()
    told = {"productId": "SAUCE", "location": "MAIN", "batchNumber": None, "quantity": 3}
    assert (level.on_hand, [row.as_json() for row in posted.unbooked]) == (0, [told])
    assert OutboxEvent.objects.get(type="count.posted").payload["unbooked"] == [told]
    assert Movement.objects.get(kind="count").quantity == 4


def test_a_loss_of_what_has_left_altogether_books_nothing(shelf):
    warehouse, variant, _ = shelf
    count = start(warehouse)
    say(count, variant, 3)
    ship(variant, 10)
    assert [row.quantity for row in post(count).unbooked] == [7]
    assert not Movement.objects.filter(kind="count").exists()


def test_places_not_counted_hold_the_count_open_unless_they_are_left_out(shelf):
    warehouse, variant, _ = shelf
    oil = make.make_variant(sku="OIL")
    make.make_level(variant=oil, warehouse=warehouse, on_hand=5)
    count = start(warehouse)
    say(count, variant, 8)
    before = book()
    with pytest.raises(counting.LinesOpen) as refusal:
        post(count)
    assert refusal.value.data == {"toCount": 1, "waitingForApproval": 0}
    assert book() == before
    post(count, close_uncounted=True)
    assert dict(count.lines.values_list("variant__sku", "state")) == {"SAUCE": "posted", "OIL": "waiting"}
    assert dict(Level.objects.values_list("variant__sku", "on_hand")) == {"SAUCE": 8, "OIL": 5}


def test_a_line_that_waits_for_approval_is_never_left_out(waiting):
    count, _ = waiting
    before = book()
    with pytest.raises(counting.LinesOpen) as refusal:
        post(count, close_uncounted=True)
    assert refusal.value.data == {"toCount": 0, "waitingForApproval": 1}
    assert book() == before


def test_a_cancelled_count_books_nothing_and_stays_cancelled(shelf):
    warehouse, variant, _ = shelf
    count = start(warehouse)
    say(count, variant, 8)
    before = book()
    for _ in range(2):
        assert counting.cancel(count=count, actor=ANNA, at=now()).state == "cancelled"
    with pytest.raises(IllegalStep):
        post(count)
    assert book() == before
    done = start(warehouse, Scope(skus=("SAUCE",)))
    post(done, close_uncounted=True)
    with pytest.raises(IllegalStep):
        counting.cancel(count=done, actor=ANNA, at=now())


# -- two who count the same --------------------------------------------------------------------


def test_two_counts_of_the_same_place_do_not_book_the_same_loss_twice(shelf):
    warehouse, variant, level = shelf
    first, second = start(warehouse), start(warehouse)
    say(first, variant, 8)
    say(second, variant, 8, by=BERT)
    post(first)
    before = book()
    posted = post(second)
    line = second.lines.get()
    assert (posted.count.state, posted.sent_back) == ("open", [line.pk])
    assert (line.state, line.first_counted, line.counted) == ("recount", 8, None)
    assert book() == before
    say(second, variant, 8, by=BERT)
    assert post(second).count.state == "posted"
    level.refresh_from_db()
    assert level.on_hand == 8


def test_a_count_after_anothers_posting_stands(shelf):
    warehouse, variant, level = shelf
    first, second = start(warehouse), start(warehouse)
    say(first, variant, 8)
    post(first)
    say(second, variant, 7)
    assert post(second).sent_back == []
    level.refresh_from_db()
    assert level.on_hand == 7


def test_an_adjustment_in_between_may_be_the_same_loss_and_is_counted_again(shelf):
    warehouse, variant, level = shelf
    count = start(warehouse)
    say(count, variant, 8)
    movements.book(kind="adjustment", variant=variant, warehouse=warehouse, quantity=-2, actor=BERT, at=now())
    assert len(post(count).sent_back) == 1
    level.refresh_from_db()
    assert level.on_hand == 8


def test_another_place_of_the_same_product_disturbs_nothing(shelf):
    warehouse, variant, _ = shelf
    bin_ = add_bin(warehouse, "A-01")
    first, second = start(warehouse), start(warehouse)
    say(first, variant, 4, place=bin_.code)
    say(second, variant, 8)
    post(first, close_uncounted=True)
    assert post(second).sent_back == []
    assert dict(Level.objects.values_list("location__code", "on_hand")) == {"MAIN": 8, "A-01": 4}


# -- serial numbers ----------------------------------------------------------------------------


def test_a_number_does_not_say_which_unit_is_missing(db):
    warehouse, drill = make.make_warehouse(), make.make_variant(sku="DRILL", tracking="serial")
    place = ledger.Place(location_id=warehouses.default_location(warehouse).pk, condition="sellable")
    units = {"variant_id": drill.pk, "batch_id": None, "kind": Movement.Kind.RECEIPT}
    supplier = ledger.virtual(Location.Kind.SUPPLIER)
    ledger.post(
        [ledger.Posting(**units, quantity=2, source=supplier, target=place, serials=("S1", "S2"))], actor=ANNA, at=now()
    )
    count = start(warehouse)
    say(count, drill, 1)
    before = book()
    with pytest.raises(counting.SerialsDiffer) as refusal:
        post(count)
    assert refusal.value.data == {"productIds": ["DRILL"]}
    assert book() == before
    say(count, drill, 2)
    assert post(count).count.state == "posted"
    assert book() == before


# -- classes -----------------------------------------------------------------------------------


def test_a_product_is_in_the_class_its_shipped_value_begins_in(db, django_assert_num_queries):
    warehouse = make.make_warehouse()
    values = {"TOP": (70, None), "NEXT": (5, 3), "LAST": (10, None), "DUST": (5, None), "NEVER": (0, 9)}
    made = {sku: make.make_variant(sku=sku, unit_cost=cost) for sku, (_, cost) in values.items()}
    for sku, (units, _) in values.items():
        receive(made[sku], warehouse, 100)
        if units:
            ship(made[sku], units, sku)
    skus = {variant.pk: sku for sku, variant in made.items()}
    with django_assert_num_queries(3):
        found = {name: {skus[pk] for pk in abc.variant_ids(abc_class=name, at=now())} for name in abc.CLASSES}
    assert found == {"A": {"TOP", "NEXT"}, "B": {"LAST"}, "C": {"DUST", "NEVER"}}
    later = now() + timedelta(days=abc.DAYS + 1)
    assert abc.variant_ids(abc_class="A", at=later) == []
    assert len(abc.variant_ids(abc_class="C", at=later)) == 5


# -- against a model ---------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(st.sampled_from(["receive", "ship", "reserve", "count", "recount"]), st.integers(1, 6)),
    min_size=1,
    max_size=8,
)


@settings(derandomize=True, max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start_with=st.integers(0, 12), off_by=st.integers(-4, 4), steps=STEPS)
def test_after_posting_lies_there_what_was_counted_and_what_came_and_went_since(db, start_with, off_by, steps):
    """The model has a true shelf, which the book may not know: counting reads it, posting makes the book say it."""
    with transaction.atomic():
        run_against_model(start_with, off_by, steps)
        transaction.set_rollback(True)


def run_against_model(start_with, off_by, steps):
    warehouse, variant = make.make_warehouse(), make.make_variant()
    receive(variant, warehouse, start_with + 1)
    level = Level.objects.get()
    shelf_truth = max(0, start_with + 1 + off_by)
    counted = None
    count = start(warehouse)
    for number, (step, units) in enumerate(steps):
        if step == "receive":
            receive(variant, warehouse, units)
            shelf_truth += units
        elif step in {"count", "recount"}:
            say(count, variant, shelf_truth)
            counted = True
        elif step == "ship":
            # Nobody ships what is not there, whatever the book says.
            if shelf_truth >= units and may_promise(variant, units, f"ship-{number}", ship):
                shelf_truth -= units
        else:
            may_promise(variant, units, f"reserve-{number}", reserve)
    level.refresh_from_db()
    before = level.on_hand
    posted = post(count, close_uncounted=True)
    level.refresh_from_db()
    assert posted.sent_back == []
    assert level.on_hand == (shelf_truth if counted else before)
    assert 0 <= level.reserved <= level.on_hand
    assert sum(row.quantity for row in posted.unbooked) == 0
    assert proof.prove_ledger().differences == []


def may_promise(variant, units, reference, step):
    try:
        step(variant, units, reference)
    except InsufficientStock:
        return False
    return True
