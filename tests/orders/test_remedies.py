"""What is short is listed by its rank and seen to once, whoever sees to it, and no unit is won or lost."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, timedelta
from unittest.mock import patch

import pytest
from django.db.models import F, Q
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from hypothesis.extra.django import TestCase

from catalog.models import Equivalent, KitComponent
from orders import shortages
from orders.models import FulfilmentRequest, Order, OrderLine, Remedy, Shipment
from orders.models.order import OrderQuerySet
from orders.operations import fulfilment, ordering, remedies
from orders.operations.fulfilment import Leaving
from orders.operations.ordering import Asked
from partners.models import OutboxEvent
from partners.problems import IllegalStep, InvalidInput, Problem
from stock import proof
from stock.ledger import NotEnoughOnHand
from stock.models import Allocation, Level, Movement, Warehouse
from stock.operations import movements
from stock.operations.promising import InsufficientStock
from tests import make
from tests.races import pauses

TODAY = timezone.now().date()
TOMORROW = TODAY + timedelta(days=1)
OPEN = Q(quantity__gt=F("consumed") + F("freed"))


def now():
    return {"actor": make.TESTER, "at": timezone.now()}


def ordered(partner, *wanted, reference="PO-1", confirm=True, **more):
    asked = [
        Asked(line_id=str(place), variant=variant, quantity=units) for place, (variant, units) in enumerate(wanted, 1)
    ]
    order, _ = ordering.place(
        partner=partner, external_reference=reference, asked=asked, ship_to={"country": "US"}, **more, **now()
    )
    return ordering.confirm(order=order, **now()) if confirm else order


def lost(variant, quantity, warehouse):
    movements.book(kind="damage", variant=variant, warehouse=warehouse, quantity=quantity, reason="fell", **now())


def scene(partner, **more):
    """Ten nuts at W1, all promised to one order; four broke. Six lie at W2, and five of the nut's successor at W1."""
    west, east = make.make_warehouse(code="W1"), make.make_warehouse(code="W2")
    nut, bolt = make.make_variant(sku="NUT"), make.make_variant(sku="BOLT")
    Equivalent.objects.create(variant=nut, other=bolt, relation="superseded")
    make.make_level(variant=nut, warehouse=west, on_hand=10)
    make.make_level(variant=bolt, warehouse=west, on_hand=5)
    order = ordered(partner, (nut, 10), **more)
    make.make_level(variant=nut, warehouse=east, on_hand=6)
    lost(nut, 4, west)
    return order.lines.get()


@pytest.fixture
def short(retailer):
    return scene(retailer)


def see_to(line, kind, quantity, **more):
    """A remedy by its name, with what it needs where nothing is said."""
    needs = {
        "re_source": lambda: {"warehouse": Warehouse.objects.get(code="W2")},
        "substitute": lambda: {"variant": Equivalent.objects.get().other},
        "backorder": lambda: {"expected_on": TOMORROW},
    }.get(kind, dict)
    return getattr(remedies, kind)(line=line, quantity=quantity, **needs() | more, **now())


def promised() -> dict[str, int]:
    """Open units by order line, as the allocations say."""
    rows = Allocation.objects.select_related("line")
    names = {row.reservation_line_id: f"{row.order_id}/{row.line_id}" for row in OrderLine.objects.all()}
    found = dict.fromkeys(names.values(), 0)
    for row in rows:
        found[names[row.line_id]] += row.open_quantity
    return found


def everything():
    return (
        sorted(Level.objects.values_list("id", "on_hand", "reserved")),
        sorted(Order.objects.values_list("id", "status", "version")),
        sorted(OrderLine.objects.values_list("id", "quantity")),
        sorted(Allocation.objects.values_list("id", "freed")),
        (Movement.objects.count(), Remedy.objects.count(), OutboxEvent.objects.count()),
    )


def desk() -> list[tuple]:
    rows = shortages.short_lines(today=TODAY)
    return [(row.line.order.external_reference, row.short, row.rank) for row in rows]


def test_the_most_urgent_is_listed_first_then_who_was_promised_soonest_then_by_place_in_the_queue(retailer):
    nut, west = make.make_variant(sku="NUT"), make.make_warehouse(code="W1")
    make.make_level(variant=nut, warehouse=west, on_hand=40)
    for name, day, priority in [
        ("old", None, 0),
        ("late", 9, 0),
        ("soon", 2, 0),
        ("urgent", None, 5),
        ("new", None, 0),
    ]:
        order = ordered(
            retailer, (nut, 8), reference=name, requested_delivery_date=day and date(2090, 1, day), confirm=False
        )
        Order.objects.filter(pk=order.pk).update(priority=priority)
    assert desk() == []
    lost(nut, 40, west)
    assert desk() == [("urgent", 8, 1), ("soon", 8, 2), ("late", 8, 3), ("old", 8, 4), ("new", 8, 5)]


def test_the_desk_says_what_could_be_done(short):
    ways = shortages.ways_out(line=short, at=timezone.now())
    assert (ways.free, {variant.sku: units for variant, units in ways.instead.items()}) == ({"W2": 6}, {"BOLT": 5})


def test_what_is_short_is_sent_from_elsewhere_and_that_warehouse_is_asked(short):
    remedy = see_to(short, "re_source", 4)
    assert (remedy.kind, desk()) == ("reSource", [])
    asked = {
        row.warehouse.code: row.items.get().open_quantity for row in FulfilmentRequest.objects.filter(status="assigned")
    }
    assert asked == {"W1": 6, "W2": 4}
    [event] = OutboxEvent.objects.filter(type="shortage.resolved")
    assert (event.payload["remedy"], event.payload["quantity"], event.payload["lineId"]) == ("reSource", 4, "1")


def test_another_product_goes_instead_and_all_of_it_is_promised(short):
    OrderLine.objects.update(unit_price=3, currency="EUR")
    remedy = see_to(short, "substitute", 4)
    short.refresh_from_db()
    new = remedy.substitute
    assert (short.quantity, new.quantity, new.variant.sku, new.unit_price) == (6, 4, "BOLT", 3)
    assert promised() == {f"{short.order_id}/1": 6, f"{short.order_id}/{new.line_id}": 4}


def test_what_waits_follows_as_an_order_of_its_own_and_the_rest_is_done(short, retailer):
    west = Warehouse.objects.get(code="W1")
    line = OrderLine.objects.select_related("variant", "reservation_line__variant").get()
    fulfilment.ship(
        order=short.order, warehouse=west, leaving=[Leaving(line=line, quantity=6)], carrier="UPS",
        tracking_number="1Z", **now(),
    )  # fmt: skip
    follow_up = see_to(short, "split", 4).follow_up
    short.order.refresh_from_db()
    assert (short.order.status, follow_up.status, follow_up.partner) == ("shipped", "confirmed", retailer)
    assert follow_up.created_at == short.order.created_at
    assert desk() == [(follow_up.external_reference, 4, 1)]


def test_what_is_put_off_is_short_again_when_its_day_has_passed(short):
    see_to(short, "backorder", 3)
    assert desk() == [("PO-1", 1, 1)]
    [row] = shortages.short_lines(today=TODAY, with_put_off=True)
    assert (row.missing, row.put_off, row.put_off_until) == (4, 3, TOMORROW)
    assert [row.short for row in shortages.short_lines(today=TOMORROW + timedelta(days=1))] == [4]


def test_what_is_short_is_cancelled_and_what_is_promised_stays(short):
    see_to(short, "cancel", 4)
    short.refresh_from_db()
    assert (short.quantity, promised(), desk()) == (6, {f"{short.order_id}/1": 6}, [])


def test_an_order_of_which_all_is_cancelled_is_cancelled(short):
    lost(short.variant, 6, Warehouse.objects.get(code="W1"))
    with pytest.raises(InvalidInput):
        see_to(short, "split", 10)
    see_to(short, "cancel", 10)
    assert Order.objects.get().status == "cancelled"


def test_an_order_nothing_was_there_for_gets_another_product(retailer):
    """It has no promise yet; the first is of the substitute."""
    west = make.make_warehouse(code="W1")
    nut, bolt = make.make_variant(sku="NUT"), make.make_variant(sku="BOLT")
    Equivalent.objects.create(variant=nut, other=bolt, relation="superseded")
    order = ordered(retailer, (nut, 3), allow_backorder=True)
    make.make_level(variant=bolt, warehouse=west, on_hand=2)
    before = everything()
    with pytest.raises(InsufficientStock):
        see_to(order.lines.get(), "substitute", 3)
    assert everything() == before
    see_to(order.lines.get(), "substitute", 2)
    assert (desk(), sum(promised().values())) == ([("PO-1", 1, 1)], 2)


def test_kits_are_short_of_their_scarcest_part_and_sent_whole_from_elsewhere(retailer):
    west, east = make.make_warehouse(code="W1"), make.make_warehouse(code="W2")
    kit, nut, rod = make.make_variant(sku="KIT"), make.make_variant(sku="NUT"), make.make_variant(sku="ROD")
    KitComponent.objects.create(kit=kit, component=nut, quantity=2)
    KitComponent.objects.create(kit=kit, component=rod, quantity=1)
    make.make_level(variant=nut, warehouse=west, on_hand=10)
    make.make_level(variant=rod, warehouse=west, on_hand=5)
    line = ordered(retailer, (kit, 5)).lines.get()
    make.make_level(variant=nut, warehouse=east, on_hand=4)
    lost(nut, 3, west)
    assert desk() == [("PO-1", 2, 1)]
    remedies.re_source(line=line, quantity=1, warehouse=east, **now())
    assert desk() == [("PO-1", 1, 1)]
    remedies.re_source(line=line, quantity=1, warehouse=east, **now())
    assert (desk(), Level.objects.get(variant=nut, location__warehouse=east).reserved) == ([], 3)


@pytest.mark.parametrize(
    ("kind", "quantity", "more", "refusal"),
    [
        ("cancel", 5, {}, remedies.NotShort),
        ("backorder", 5, {}, remedies.NotShort),
        ("cancel", 0, {}, InvalidInput),
        ("backorder", 4, {"expected_on": TODAY - timedelta(days=1)}, InvalidInput),
        ("re_source", 4, {"warehouse": "W1"}, InsufficientStock),
        ("substitute", 4, {"variant": "OTHER"}, remedies.NoSubstitute),
    ],
    ids=["too many", "too many put off", "none", "a day gone by", "not there", "no equivalent"],
)
def test_a_remedy_that_cannot_be_is_refused_and_changes_nothing(short, kind, quantity, more, refusal):
    found = {"W1": lambda: Warehouse.objects.get(code="W1"), "OTHER": lambda: make.make_variant(sku="OTHER")}
    said = {name: found[value]() if value in found else value for name, value in more.items()}
    before = everything()
    with pytest.raises(refusal):
        see_to(short, kind, quantity, **said)
    assert everything() == before
    see_to(short, kind, 4, **{} if more else said)


def test_a_substitute_who_ordered_may_not_buy_is_refused(short, retailer):
    type(retailer).objects.filter(pk=retailer.pk).update(assortment="own")
    before = everything()
    with pytest.raises(remedies.NoSubstitute):
        see_to(short, "substitute", 4)
    assert everything() == before


@pytest.mark.parametrize("kind", ["re_source", "split"])
def test_an_order_that_comes_whole_is_not_taken_apart(retailer, kind):
    short = scene(retailer, allow_split=False)
    before = everything()
    with pytest.raises(remedies.MayNotSplit):
        see_to(short, kind, 4)
    assert everything() == before


def test_an_order_that_is_over_is_short_of_nothing(short):
    ordering.cancel(order=short.order, **now())
    before = everything()
    with pytest.raises(IllegalStep):
        see_to(short, "cancel", 4)
    assert (everything(), desk()) == (before, [])


REMEDIES = ["re_source", "substitute", "split", "backorder", "cancel"]


class AnyRemedies(TestCase):
    """Any remedies in any order, of any number of units; goods are lost, found and shipped between them."""

    @settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        steps=some.lists(
            some.tuples(some.sampled_from([*REMEDIES, "lose", "find", "ship"]), some.integers(1, 5)),
            min_size=1,
            max_size=8,
        )
    )
    def test_no_unit_is_won_or_lost_and_nothing_promised_is_freed(self, steps):
        scene(make.make_partner(code="RET-1", kind="retailer"))
        for kind, units in steps:
            there, wanted, kept = _there(), _wanted(), sum(promised().values())
            if kind not in REMEDIES:
                _happen(kind, units)
                assert _there() == there + (units if kind == "find" else 0)
                continue
            for row in shortages.short_lines(today=TODAY)[:1]:
                try:
                    see_to(row.line, kind, units)
                except Problem:
                    units = 0
                assert _wanted() == wanted - (units if kind == "cancel" else 0)
            assert _there() == there
            assert sum(promised().values()) >= kept
        for line in OrderLine.objects.all():
            assert promised().get(f"{line.order_id}/{line.line_id}", 0) <= line.quantity - line.shipped
        assert proof.prove_ledger().differences == []


def _happen(kind: str, units: int) -> None:
    nut, west = Equivalent.objects.get().variant, Warehouse.objects.get(code="W1")
    if kind == "find":
        make.make_level(variant=nut, warehouse=Warehouse.objects.get(code="W2"), on_hand=units)
    elif kind == "lose":
        with suppress(NotEnoughOnHand):
            lost(nut, units, west)
    elif kind == "ship" and (kept := Allocation.objects.filter(OPEN, level__location__warehouse=west).first()):
        line = OrderLine.objects.select_related("variant", "order").get(reservation_line=kept.line_id)
        fulfilment.ship(
            order=line.order, warehouse=west, leaving=[Leaving(line=line, quantity=min(units, kept.open_quantity))],
            carrier="UPS", tracking_number=f"1Z{Shipment.objects.count()}", **now(),
        )  # fmt: skip


def _there() -> int:
    """Units promised, free, and shipped."""
    return sum(Level.objects.values_list("on_hand", flat=True)) + sum(
        OrderLine.objects.values_list("shipped", flat=True)
    )


def _wanted() -> int:
    """Units still ordered."""
    return sum(Order.objects.exclude(status="cancelled").values_list("lines__quantity", flat=True))


@pytest.mark.races
@pytest.mark.parametrize("kind", ["re_source", "backorder", "cancel"])
def test_two_people_see_to_the_same_units_and_one_of_them_has(own_database, kind):
    short = scene(make.make_partner(code="RET-1", kind="retailer"))
    first, second = pauses.meet(lambda: see_to(short, kind, 4), lambda: see_to(short, kind, 4), step=6)
    assert isinstance(first, Remedy)
    assert isinstance(second, remedies.NotShort)
    assert (Remedy.objects.count(), desk()) == (1, [])
    assert proof.prove_ledger().differences == []


@pytest.mark.races
def test_without_the_orders_lock_both_would_have(own_database):
    """The negative control."""
    short = scene(make.make_partner(code="RET-1", kind="retailer"))
    with patch.object(OrderQuerySet, "lock", lambda rows: rows):
        outcome = pauses.meet(lambda: see_to(short, "backorder", 4), lambda: see_to(short, "backorder", 4), step=6)
    assert [isinstance(one, Remedy) for one in outcome] == [True, True]
