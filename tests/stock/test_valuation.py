"""The ledger is followed by value: in its order, each movement once, block by block, whoever else is at it."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager, nullcontext
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from unittest.mock import patch

import pytest
from django.apps import apps
from django.db import IntegrityError, connections, transaction
from django.db.utils import InternalError, ProgrammingError
from django.urls import reverse
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from hypothesis.extra.django import TestCase

from catalog.models import Pack
from partners.problems import InvalidInput
from stock import ledger, settled, valuation
from stock.models import (
    CostBook,
    CostDraw,
    CostingRule,
    CostLanding,
    CostLayer,
    CostNote,
    CostPool,
    Location,
    Movement,
    Revaluation,
    ValuedUpTo,
)
from stock.operations import breaks, owning, valuing
from stock.operations.valuing import Cost
from tests import make
from tests.races import pauses
from tests.races.crowd import all_at_once

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SUPPLIER, CUSTOMER, LOST, ROAD = (
    ledger.virtual(kind)
    for kind in (Location.Kind.SUPPLIER, Location.Kind.CUSTOMER, Location.Kind.LOST, Location.Kind.IN_TRANSIT)
)

READ = 6
"""The follower's statement after those by which it has read where to begin, and the block."""


def now():
    return {"actor": make.TESTER, "at": timezone.now()}


def shelf(warehouse) -> ledger.Place:
    return ledger.Place(location_id=warehouse.locations.get().pk, condition="sellable")


def move(variant, source, target, quantity, *, kind="move", day=0, cost=None, **more) -> int:
    posting = ledger.Posting(
        variant_id=variant.pk, batch_id=None, quantity=quantity, source=source, target=target,
        kind=Movement.Kind(kind), **more,
    )  # fmt: skip
    [booked] = ledger.post([posting], occurred_at=NOON + timedelta(days=day), **now())
    if cost is not None:
        tell(booked, cost)
    return booked


def tell(movement_id: int, amount, *, kind="price", currency="") -> None:
    cost = Cost(movement_id=movement_id, amount=Decimal(amount), currency=currency)
    valuing.tell(costs=[cost], kind=CostNote.Kind(kind), reference="", at=timezone.now())


def follow(**more) -> int | None:
    return valuing.follow(at=timezone.now(), **more)


def worth(**more) -> dict[str, tuple[int, Decimal]]:
    names = dict(Location.objects.filter(is_default=True).values_list("warehouse", "warehouse__code"))
    return {names.get(row.warehouse_id, "road"): (row.quantity, row.value) for row in valuation.worth(**more)}


@pytest.fixture
def nut(db):
    """Ten nuts bought for 20 and ten for 40, at W1."""
    variant, west = make.make_variant(sku="NUT"), make.make_warehouse(code="W1")
    make.make_warehouse(code="W2")
    move(variant, SUPPLIER, shelf(west), 10, kind="receipt", cost=20)
    move(variant, SUPPLIER, shelf(west), 10, kind="receipt", day=40, cost=40)
    return variant


def place(code: str) -> ledger.Place:
    return shelf(Location.objects.get(warehouse__code=code).warehouse)


class AnyHistory(TestCase):
    """Any movements, valued in blocks of any size, whenever."""

    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        method=some.sampled_from(["fifo", "average"]),
        history=some.lists(
            some.one_of(
                some.tuples(some.integers(0, 3), some.integers(1, 5), some.integers(1, 5), some.integers(0, 9)),
                some.integers(1, 3),  # follow, in blocks so large
                some.tuples(some.integers(0, 9), some.integers(1, 50)),  # freight of a movement
            ),
            max_size=16,
        ),
    )
    def test_nothing_is_lost_between_blocks_and_what_came_is_what_went_and_what_is_there(self, method, history):
        variant = make.make_variant()
        CostingRule.objects.create(variant=variant, method=method)
        west, east = make.make_warehouse(code="W1"), make.make_warehouse(code="W2")
        places = [SUPPLIER, shelf(west), shelf(east), ROAD, CUSTOMER, LOST]
        lying: Counter[int] = Counter()
        came: list[int] = []
        total = Decimal(0)
        for entry in history:
            if isinstance(entry, int):
                follow(block_rows=entry)
            elif len(entry) == 2:
                if came:
                    tell(came[entry[0] % len(came)], entry[1], kind="landed")
                    total += entry[1]
            else:
                source, target, quantity, cost = entry
                if source == target or (source and lying[source] < quantity) or (not source and target > 3):
                    continue
                booked = move(
                    variant, places[source], places[target], quantity, cost=None if source else cost * quantity
                )
                lying.update({source: -quantity, target: quantity})
                if not source:
                    came.append(booked)
                    total += cost * quantity
        follow(block_rows=2)
        assert valuation.differences() == []
        held = {code: units for code, units in (("W1", lying[1]), ("W2", lying[2]), ("road", lying[3])) if units}
        assert {code: units for code, (units, _) in worth().items()} == held
        assert worth(at=timezone.now()) == worth()
        gone = [pk for pk, to in Movement.objects.values_list("pk", "to_location") if to in {-2, -4}]
        out = sum(CostDraw.objects.filter(movement_id__in=gone).values_list("value", flat=True))
        variance = sum(CostLanding.objects.filter(layer=None).values_list("amount", flat=True))
        assert sum(value for _, value in worth().values()) == total - out - variance


def test_what_leaves_costs_what_came_first_and_each_figure_says_up_to_where(nut):
    last = move(nut, place("W1"), CUSTOMER, 12, kind="shipment", reference="SH-1")
    assert (follow(), follow()) == (3, 0)
    assert valuation.cost_of_goods(references=["SH-1"]) == {("SH-1", nut.pk): (12, 28)}
    assert (worth(), valuation.valued_up_to().movement_id) == ({"W1": (8, 32)}, last)


def test_what_moves_to_another_warehouse_takes_its_cost_and_its_age_along(nut):
    before = move(nut, place("W1"), ROAD, 12)
    move(nut, ROAD, place("W2"), 11)
    follow()
    assert worth() == {"W1": (8, 32), "road": (1, 4), "W2": (11, 24)}
    at_departure = Movement.objects.get(pk=before).recorded_at
    assert worth(at=at_departure) == {"W1": (8, 32), "road": (12, 28)}
    ages = [(row.days, row.quantity, row.value) for row in valuation.ageing(on=date(2026, 3, 3)) if row.warehouse_id]
    assert ages == [(30, 8, 32), (30, 1, 4), (90, 10, 20)]


@pytest.mark.parametrize(
    ("age", "bucket"), [(0, 30), (30, 30), (31, 60), (60, 60), (61, 90), (90, 90), (91, 180), (180, 180), (181, None)]
)
def test_an_age_is_in_the_bucket_whose_bound_it_has_not_passed(db, age, bucket):
    variant = make.make_variant()
    move(variant, SUPPLIER, shelf(make.make_warehouse()), 3, cost=6)
    follow()
    [row] = valuation.ageing(on=NOON.date() + timedelta(days=age))
    assert (row.days, row.quantity, row.value) == (bucket, 3, 6)


def test_an_average_is_shared_out_by_age_to_the_last_digit(db):
    CostingRule.objects.create(method="average")
    variant, warehouse = make.make_variant(), make.make_warehouse()
    move(variant, SUPPLIER, shelf(warehouse), 1, cost=1)
    move(variant, SUPPLIER, shelf(warehouse), 2, day=40, cost=9)
    follow()
    rows = valuation.ageing(on=date(2026, 2, 20))
    assert [(row.days, row.value) for row in rows] == [(30, Decimal("6.6667")), (60, Decimal("3.3333"))]


def test_what_is_another_s_is_worth_nothing_to_us_until_it_is_ours(nut):
    owner, west = make.make_partner(), Location.objects.get(warehouse__code="W1").warehouse
    owning.consign(variant=nut, warehouse=west, owner=owner, quantity=12, **now())
    follow()
    assert worth() == {"W1": (8, 32)}
    owning.take_over(variant=nut, warehouse=west, owner=owner, quantity=2, **now())
    follow()
    assert (worth(), CostLayer.objects.filter(is_estimated=True).count()) == ({"W1": (10, 40)}, 1)
    assert valuation.differences() == []


@pytest.mark.parametrize("block_rows", [1, 100])
def test_an_opened_pack_is_worth_in_units_what_it_was_whole(db, block_rows):
    unit, pack, warehouse = make.make_variant(sku="UNIT"), make.make_variant(sku="PACK"), make.make_warehouse()
    Pack.objects.create(variant=unit, name="case", quantity=12, stocked_as=pack)
    move(pack, SUPPLIER, shelf(warehouse), 5, cost=60)
    breaks.break_open(variant=pack, quantity=2, warehouse=warehouse, **now())
    follow(block_rows=block_rows)
    assert dict(CostPool.objects.values_list("variant__sku", "value")) == {"PACK": 36, "UNIT": 24}
    assert [layer.acquired_at for layer in CostLayer.objects.filter(variant=unit)] == [NOON]


def test_freight_that_comes_later_raises_what_is_left_and_the_rest_is_a_variance(nut):
    move(nut, place("W1"), CUSTOMER, 5, kind="shipment", reference="SH-1")
    follow()
    first = Movement.objects.order_by("id")[0].pk
    tell(first, 10, kind="landed")
    tell(first, 7, kind="landed", currency="USD")
    assert follow() == 0
    assert worth() == {"W1": (15, 55)}
    assert [landing.amount for landing in CostLanding.objects.filter(layer=None)] == [5]
    assert valuation.cost_of_goods(references=["SH-1"]) == {("SH-1", nut.pk): (5, 10)}
    assert [note.currency for note in CostNote.objects.filter(is_booked=False)] == ["USD"]
    assert (follow(), CostLanding.objects.count()) == (0, 2)


def test_the_method_is_kept_from_the_first_unit_on_whatever_the_rule_says_later(nut):
    follow()
    CostingRule.objects.create(variant=nut, method="average")
    move(nut, place("W1"), CUSTOMER, 10, kind="shipment")
    follow()
    assert (CostBook.objects.get().method, worth()) == ("fifo", {"W1": (10, 40)})


def test_a_rule_of_the_product_beats_one_of_its_type_which_beats_the_house_s(db):
    CostingRule.objects.create(method="average")
    CostingRule.objects.create(product_type_id=make.make_variant(sku="A").product_type_id, method="fifo")
    own = make.make_variant(sku="B")
    CostingRule.objects.create(variant=own, method="average")
    with pytest.raises(IntegrityError), transaction.atomic():
        CostingRule.objects.create(method="fifo")
    warehouse = make.make_warehouse()
    for variant in (own, make.make_variant(sku="C")):
        move(variant, SUPPLIER, shelf(warehouse), 1, cost=1)
    follow()
    assert dict(CostBook.objects.values_list("variant__sku", "method")) == {"B": "average", "C": "fifo"}


def test_a_revaluation_sets_what_is_there_and_leaves_what_went_and_how_old_it_is(nut):
    move(nut, place("W1"), CUSTOMER, 5, kind="shipment", reference="SH-1")
    follow()
    booked = valuing.revalue(variant=nut, unit_cost=Decimal(3), method="average", reason="year's end", **now())
    assert (booked.value_before, booked.value_after, booked.quantity) == (50, 45, 15)
    assert (worth(), CostBook.objects.get().method) == ({"W1": (15, 45)}, "average")
    assert sorted(row.quantity for row in valuation.ageing(on=date(2026, 3, 3))) == [5, 10]
    move(nut, SUPPLIER, place("W1"), 15, kind="receipt", cost=75)
    move(nut, place("W1"), CUSTOMER, 10, kind="shipment", reference="SH-2")
    follow()
    assert valuation.cost_of_goods(references=["SH-1", "SH-2"]) == {
        ("SH-1", nut.pk): (5, 10), ("SH-2", nut.pk): (10, 40)
    }  # fmt: skip
    assert valuation.differences() == []


def test_to_go_back_to_first_in_first_out_gives_each_layer_its_part_of_the_average(db):
    CostingRule.objects.create(method="average")
    variant, warehouse = make.make_variant(), make.make_warehouse(code="W1")
    move(variant, SUPPLIER, shelf(warehouse), 10, cost=20)
    move(variant, SUPPLIER, shelf(warehouse), 10, cost=40)
    follow()
    valuing.revalue(variant=variant, method="fifo", reason="as the auditor says", **now())
    assert worth() == {"W1": (20, 60)}
    assert [(row.left_quantity, row.left_value) for row in CostLayer.objects.filter(left_quantity__gt=0)] == [
        (10, 30)
    ] * 2
    assert valuation.differences() == []


@pytest.mark.parametrize(
    "change", [{}, {"method": "fifo"}, {"unit_cost": Decimal(-1)}, {"unit_cost": Decimal(3), "reason": ""}],
    ids=["nothing", "the same method", "below nothing", "no reason"],
)  # fmt: skip
def test_a_revaluation_that_cannot_be_is_refused_and_changes_nothing(nut, change):
    follow()
    before = worth(), CostLayer.objects.count()
    with pytest.raises(InvalidInput):
        valuing.revalue(variant=nut, **{"reason": "why not"} | change, **now())
    assert (worth(), CostLayer.objects.count(), Revaluation.objects.count()) == (*before, 0)


def test_what_was_never_valued_is_not_revalued(nut):
    with pytest.raises(valuing.NothingValued):
        valuing.revalue(variant=nut, unit_cost=Decimal(3), reason="why not", **now())
    assert Revaluation.objects.count() == 0


@pytest.mark.parametrize(
    ("model", "change"),
    [(CostLayer, {"value": 1}), (CostDraw, {"quantity": 1}), (CostNote, {"amount": 1}), (CostLayer, None)],
    ids=["a layer's value", "a draw", "what a document said", "a layer away"],
)
def test_what_units_cost_is_never_written_over(nut, model, change):
    move(nut, place("W1"), CUSTOMER, 2)
    follow()
    rows = model.objects.all()
    with (
        pytest.raises((InternalError, ProgrammingError, IntegrityError), match="once and for all"),
        transaction.atomic(),
    ):
        rows._raw_delete("default") if change is None else rows.update(**change)
    assert valuation.differences() == []


def test_a_figure_that_was_tampered_with_is_told(nut):
    follow()
    CostPool.objects.update(value=61)
    CostLayer.objects.filter(value=20).update(left_quantity=9)
    [told] = valuation.differences()
    assert "worth 61" in told
    assert "some layer has another rest" in told


PAGES = ["costpool", "costlayer", "costnote", "revaluation", "costingrule"]


def test_staff_look_at_values_and_type_over_none(client, staff, nut):
    client.force_login(staff)
    follow()
    CostingRule.objects.create(variant=nut, method="average")
    valuing.revalue(variant=nut, unit_cost=Decimal(4), reason="year's end", **now())
    for page in PAGES:
        shown = client.get(reverse(f"admin:stock_{page}_changelist"), {"q": "NUT"} if page != "costnote" else {})
        assert shown.status_code == 200
        row = apps.get_model("stock", page).objects.first()
        change = reverse(f"admin:stock_{page}_change", args=[row.pk])
        assert client.get(change).status_code == 200
        if page != "costingrule":
            assert client.post(change, {"value": 9}).status_code == 403
    listed = client.get(reverse("admin:stock_costpool_changelist")).content.decode()
    assert f"Valued up to movement {ValuedUpTo.objects.get().movement_id}" in listed
    assert worth() == {"W1": (20, 80)}


def test_staff_revalue_by_a_form_and_a_refusal_is_a_sentence(client, staff, nut):
    client.force_login(staff)
    follow()
    page = reverse("admin:stock_revaluation_revalue")
    assert "Nothing would change" in client.post(page, {"sku": "NUT", "reason": "why not"}).content.decode()
    assert worth() == {"W1": (20, 60)}
    assert client.post(page, {"sku": "NUT", "reason": "year's end", "unit_cost": "4"}).status_code == 302
    assert (worth(), Revaluation.objects.get().actor) == ({"W1": (20, 80)}, "staff:keeper")


@pytest.fixture
def busy(own_database):
    variant, warehouse = make.make_variant(), make.make_warehouse()
    for _ in range(30):
        move(variant, SUPPLIER, shelf(warehouse), 2, cost=4)
        move(variant, shelf(warehouse), CUSTOMER, 1)
    return variant


@pytest.mark.races
def test_followers_at_once_value_each_movement_once(busy):
    results = all_at_once(4, lambda turn: follow(block_rows=7))
    assert sum(result or 0 for result in results) == 60
    assert (CostLayer.objects.count(), CostDraw.objects.count()) == (30, 30)
    assert valuation.differences() == []


@contextmanager
def unlocked():
    """No lock keeps a second follower away."""
    with (
        patch.object(settled, "alone", lambda key: nullcontext(True)),
        patch.object(ValuedUpTo.objects, "select_for_update", ValuedUpTo.objects.all),
    ):
        yield


@pytest.mark.races
def test_even_without_a_lock_a_block_is_valued_once(busy):
    """The second reads the block before the first is done with it."""
    with unlocked():
        results = pauses.meet(follow, follow, step=READ)
    assert sorted(results) == [0, 60]
    assert (CostLayer.objects.count(), valuation.differences()) == (30, [])


@pytest.mark.races
def test_without_looking_again_it_would_be_valued_twice(busy):
    """The negative control."""

    def careless(*, begun: int, reached: int, at: datetime) -> None:
        ValuedUpTo.objects.update(movement_id=reached)

    with unlocked(), patch.object(valuing, "_advance", careless):
        assert pauses.meet(follow, follow, step=READ) == (60, 60)
    assert CostLayer.objects.count() == 60


@pytest.mark.races
def test_what_is_still_being_written_is_waited_for_and_never_passed_over(busy):
    """Its number is lower than those others are given and commit meanwhile."""
    written, go_on = threading.Event(), threading.Event()
    place = shelf(Location.objects.get(is_default=True).warehouse)

    def write() -> None:
        with transaction.atomic():
            move(busy, SUPPLIER, place, 5, cost=5)
            written.set()
            go_on.wait(pauses.PATIENCE_SECONDS)
        connections.close_all()

    writer = threading.Thread(target=write)
    writer.start()
    assert written.wait(pauses.PATIENCE_SECONDS)
    assert (follow(wait_seconds=0), CostLayer.objects.count()) == (None, 0)
    go_on.set()
    writer.join()
    assert (follow(), CostLayer.objects.count()) == (61, 31)
