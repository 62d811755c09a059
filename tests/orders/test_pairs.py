"""Whatever happens to an order and its goods, and whatever happens next: units are conserved, and cancelling frees all.

Made from one table: every event, every second event after it, and a cancellation at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from catalog.models import Variant
from orders.models import FulfilmentItem, FulfilmentRequest, Order, OrderLine, ReturnLine, ShipmentLine
from orders.operations import amending, backorders, fulfilment, ordering, requesting, returning
from orders.operations.fulfilment import Leaving
from orders.operations.ordering import Asked
from orders.operations.returning import ComingBack, Verdict
from partners.models import Partner
from partners.problems import Problem
from stock import proof
from stock.models import Allocation, Batch, Level, Warehouse
from stock.operations import holds, movements, moving, transfers
from tests import make

IN_ALL = 35


@dataclass
class World:
    """One confirmed order of 12 in a shop of 35, and what has come in or gone but by orders."""

    sauce: Variant
    partner: Partner
    order: Order
    west: Warehouse
    east: Warehouse
    come: int = 0
    tracking: list[str] = field(default_factory=list)

    def who(self) -> dict[str, Any]:
        return {"actor": make.TESTER, "at": timezone.now()}

    @property
    def line(self) -> OrderLine:
        return OrderLine.objects.select_related("variant", "reservation_line__variant").get(
            order=self.order, line_id="1"
        )

    def request(self) -> FulfilmentRequest:
        return FulfilmentRequest.objects.select_related("warehouse").filter(order=self.order).latest("id")

    def book(self, kind: str, quantity: int, batch: str, come: int) -> None:
        movements.book(
            kind=kind, variant=self.sauce, warehouse=self.west, quantity=quantity, batch_number=batch, reason="test",
            **self.who(),
        )  # fmt: skip
        self.come += come


def ship(world: World, quantity: int) -> None:
    world.tracking.append("1Z")
    fulfilment.ship(
        order=world.order, warehouse=world.west, leaving=[Leaving(line=world.line, quantity=quantity)], carrier="UPS",
        tracking_number="".join(world.tracking), **world.who(),
    )  # fmt: skip


def amend(world: World, quantity: int) -> None:
    asked = Asked(line_id="1", variant=world.sauce, quantity=quantity)
    amending.amend(order=world.order, changes=[asked], **world.who())


def add_line(world: World) -> None:
    asked = Asked(line_id="2", variant=world.sauce, quantity=4)
    amending.amend(order=world.order, changes=[asked], **world.who())


def order_of_another(world: World) -> None:
    other, _ = ordering.place(
        partner=world.partner, external_reference="PO-2", ship_to={}, allow_backorder=True,
        asked=[Asked(line_id="1", variant=world.sauce, quantity=30)], **world.who(),
    )  # fmt: skip
    ordering.confirm(order=other, **world.who())


def reject(world: World, failure: str) -> None:
    requesting.reject(request=world.request(), failure=failure, **world.who())


def complete(world: World) -> None:
    fulfilment.complete(request=world.request(), carrier="UPS", **world.who())


def hold(world: World, verb: Callable[..., Any], number: str) -> None:
    verb(batch=Batch.objects.get(number=number), reason="test", **world.who())


def count(world: World) -> None:
    there = sum(
        Level.objects.filter(batch__number="LATE", condition="sellable", location__code="MAIN").values_list(
            "on_hand", flat=True
        )
    )
    movements.set_level(
        variant=world.sauce, warehouse=world.west, on_hand=2, batch_number="LATE", reason="counted", **world.who()
    )
    world.come += 2 - there


def move(world: World) -> None:
    world.west.locations.get_or_create(code="A-1")
    moving.move(
        variant=world.sauce, warehouse=world.west, from_code="MAIN", to_code="A-1", quantity=6, batch_number="LATE",
        **world.who(),
    )  # fmt: skip


def send_away(world: World) -> None:
    going = [transfers.Going(variant=world.sauce, quantity=10)]
    planned = transfers.plan(source=world.east, target=world.west, going=going, **world.who())
    transfers.dispatch(transfer=planned, **world.who())
    world.come -= 10


def bring_back(world: World) -> None:
    returned = returning.announce(
        order=world.order, coming=[ComingBack(line=world.line, quantity=2, reason="not wanted")], **world.who()
    )
    returning.receive(returned=returned, warehouse=world.west, **world.who())
    returning.inspect(returned=returned, verdicts=[Verdict(sku="SAUCE", disposition="restock")], **world.who())


def sweep(world: World) -> None:
    backorders.ask_no_more_than_promised(**world.who())
    backorders.fill_waiting(**world.who())


EVENTS: dict[str, Callable[[World], object]] = {
    "ship a part": partial(ship, quantity=3),
    "ship all": partial(ship, quantity=12),
    "pack": lambda world: ordering.pack(order=world.order, **world.who()),
    "cancel": lambda world: ordering.cancel(order=world.order, **world.who()),
    "want fewer": partial(amend, quantity=5),
    "want more": partial(amend, quantity=20),
    "want more than there is": partial(amend, quantity=90),
    "add a line": add_line,
    "accept": lambda world: requesting.accept(request=world.request(), **world.who()),
    "reject": partial(reject, failure="capacity"),
    "not found": partial(reject, failure="notFound"),
    "complete": complete,
    "recall": partial(hold, verb=holds.recall_batch, number="EARLY"),
    "quarantine": partial(hold, verb=holds.quarantine_batch, number="LATE"),
    "damage": lambda world: world.book("damage", 4, "LATE", 0),
    "write off": lambda world: world.book("writeOff", 9, "LATE", -9),
    "find too few": lambda world: world.book("adjustment", -5, "EARLY", -5),
    "receive": lambda world: world.book("receipt", 30, "LATE", 30),
    "count": count,
    "move": move,
    "send away": send_away,
    "another order": order_of_another,
    "fill what waits": lambda world: backorders.fill_waiting(**world.who()),
    "sweep": sweep,
    "return": bring_back,
}


@pytest.fixture
def world(retailer, shop):
    order, _ = ordering.place(
        partner=retailer, external_reference="PO-1", ship_to={}, allow_backorder=True,
        asked=[Asked(line_id="1", variant=shop, quantity=12)], actor=make.TESTER, at=timezone.now(),
    )  # fmt: skip
    ordering.confirm(order=order, actor=make.TESTER, at=timezone.now())
    west, east = Warehouse.objects.order_by("code")
    return World(sauce=shop, partner=retailer, order=order, west=west, east=east)


def happen(name: str, world: World) -> bool:
    """Whether it was done; what is refused has changed nothing."""
    before = look(world)
    try:
        with transaction.atomic():
            EVENTS[name](world)
    except Problem:
        assert look(world) == before, f"{name} was refused and changed something"
        return False
    return True


def look(world: World) -> Any:
    levels = list(Level.objects.order_by("id").values_list("id", "on_hand", "reserved"))
    lines = list(OrderLine.objects.order_by("id").values_list("id", "quantity", "shipped"))
    return levels, lines, Order.objects.get(pk=world.order.pk).status, world.come


def promised(order: Order) -> int:
    rows = Allocation.objects.filter(line__reservation__in=Order.objects.filter(pk=order.pk).values("reservation"))
    return sum(row.quantity - row.consumed - row.freed for row in rows)


def assert_conserved(world: World, told: str, *, is_swept: bool = False) -> None:
    shipped = sum(ShipmentLine.objects.values_list("quantity", flat=True))
    back = sum(ReturnLine.objects.exclude(return_of__status="announced").values_list("quantity", flat=True))
    on_hand = sum(Level.objects.filter(variant=world.sauce).values_list("on_hand", flat=True))
    assert on_hand == IN_ALL + world.come - shipped + back, told
    assert sum(OrderLine.objects.values_list("shipped", flat=True)) == shipped, told
    assert sum(Level.objects.values_list("reserved", flat=True)) == sum(map(promised, Order.objects.all())), told
    for order in Order.objects.all():
        lines = list(order.lines.all())
        wanted = sum(line.quantity - line.shipped for line in lines)
        assert all(0 <= line.shipped <= line.quantity for line in lines), told
        assert promised(order) <= (wanted if order.status in ordering.WAITING else 0), told
        asked = sum(item.open_quantity for item in FulfilmentItem.objects.filter(request__order=order))
        is_asking = order.status in requesting.ASKING
        assert promised(order) <= asked if is_asking else asked == 0, told
        assert not is_swept or asked == promised(order) or not is_asking, told


@pytest.mark.parametrize("first", EVENTS)
def test_units_are_conserved_whatever_follows_and_a_cancelled_order_holds_nothing(world, first):
    happened = happen(first, world)
    assert_conserved(world, first)
    ended = set()
    for second in EVENTS:
        came, tracking = world.come, list(world.tracking)
        told = f"{first}, {second}, cancel"
        mark = transaction.savepoint_create()
        happen(second, world)
        assert_conserved(world, told, is_swept=second == "sweep")
        is_cancelled = happen("cancel", world)
        assert_conserved(world, told)
        assert proof.prove_ledger().differences == [], told
        if is_cancelled:
            assert promised(world.order) == 0, told
        ended.add(Order.objects.get(pk=world.order.pk).status)
        transaction.savepoint_rollback(mark)
        world.come, world.tracking = came, tracking
    assert happened or first in {"return", "want more than there is"}
    assert ended & {"cancelled", "shipped"}
