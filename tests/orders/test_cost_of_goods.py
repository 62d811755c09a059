"""What a shipment cost us is what its goods were bought for, freight and duty in it, line by line."""

from __future__ import annotations

from decimal import Decimal

import pytest

from catalog.models import KitComponent
from orders import queries
from orders.models import OrderLine
from orders.operations import fulfilment, landing, ordering
from orders.operations.fulfilment import Leaving
from orders.operations.ordering import Asked
from stock import valuation
from stock.models import CostNote
from stock.operations import valuing
from tests import make
from tests.orders.buying import now, offered, received, sent


@pytest.fixture
def hall(supplier):
    """Ten bottles of oil bought at 2.50 each, and 5.00 freight for all; ten caps, at 1 each."""
    warehouse = make.make_warehouse(code="W1")
    oil, cap = offered(supplier), offered(supplier, sku="CAP", cost="1.00")
    receipt = received(sent(supplier, warehouse, (oil, 10), (cap, 10)), (oil, 10), (cap, 10))
    freight(receipt, "10.00", "F-1")
    return receipt, warehouse, oil, cap


def freight(receipt, amount: str, invoice: str):
    return landing.charge(
        receipt=receipt,
        kind="freight",
        reference=invoice,
        amount=Decimal(amount),
        currency="EUR",
        spread="quantity",
        **now(),
    )


def shipped(warehouse, *wanted):
    asked = [
        Asked(line_id=str(place), variant=variant, quantity=units) for place, (variant, units) in enumerate(wanted, 1)
    ]
    order, _ = ordering.place(
        partner=make.make_partner(), external_reference="PO-1", asked=asked, ship_to={"country": "US"}, **now()
    )
    ordering.confirm(order=order, **now())
    lines = OrderLine.objects.filter(order=order).select_related("variant", "reservation_line__variant")
    return fulfilment.ship(
        order=order, warehouse=warehouse, leaving=[Leaving(line=line, quantity=line.quantity) for line in lines],
        carrier="UPS", tracking_number="1Z", **now(),
    )  # fmt: skip


def value() -> None:
    valuing.follow(at=now()["at"])


def test_a_line_costs_its_part_of_what_was_paid_and_nothing_is_told_before_it_is_valued(hall):
    _, warehouse, oil, cap = hall
    shipment = shipped(warehouse, (oil, 4), (cap, 1))
    assert queries.cost_of_goods(shipment=shipment) == {}
    value()
    assert queries.cost_of_goods(shipment=shipment) == {"1": 12, "2": Decimal("1.5")}


def test_a_kit_costs_what_its_components_do_beside_such_sold_alone(hall):
    _, warehouse, oil, cap = hall
    kit = make.make_variant(sku="KIT")
    KitComponent.objects.create(kit=kit, component=oil, quantity=2)
    KitComponent.objects.create(kit=kit, component=cap, quantity=1)
    shipment = shipped(warehouse, (kit, 2), (oil, 1))
    value()
    assert queries.cost_of_goods(shipment=shipment) == {"1": 15, "2": 3}


def test_freight_that_is_charged_after_goods_left_is_not_put_on_them(hall):
    receipt, warehouse, oil, _ = hall
    shipment = shipped(warehouse, (oil, 4))
    value()
    freight(receipt, "20.00", "F-2")
    value()
    assert queries.cost_of_goods(shipment=shipment) == {"1": 12}
    worth = {row.variant_id: row.value for row in valuation.worth()}
    assert worth[oil.pk] == 18 + 6
    freight(receipt, "20.00", "F-2")  # the same invoice again
    assert CostNote.objects.filter(is_booked=False).count() == 0


def test_a_price_in_another_currency_is_not_taken_for_the_books(supplier):
    warehouse, oil = make.make_warehouse(), offered(supplier, currency="USD")
    received(sent(supplier, warehouse, (oil, 10), currency="USD"), (oil, 10))
    value()
    assert [(row.value, row.quantity) for row in valuation.worth()] == [(0, 10)]
    [note] = CostNote.objects.all()
    assert (note.amount, note.currency, note.is_booked) == (25, "USD", False)
