"""Goods are ordered, sent, confirmed, received and closed; what is open is what was ordered less what came."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, InternalError, transaction
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from catalog.models import Pack
from orders import deliveries
from orders.deliveries import Agreed, Awaited
from orders.models import LandedCharge, LandedShare, PurchaseOrder, PurchaseOrderLine, Receipt, ReceiptLine
from orders.operations import announcing, landing, purchasing, receiving
from orders.operations.announcing import Announced, DespatchReused, PackageOnItsWay, Packed
from orders.operations.landing import ChargeReused, NothingToSpreadBy
from orders.operations.purchasing import Answered, Needed, OfferNotMet
from orders.operations.receiving import DeliveryNoteReused
from orders.operations.sorting import Arrived, OverDelivery
from partners.models import OutboxEvent
from partners.problems import IllegalStep, InvalidInput
from stock import proof
from stock.models import Batch, Level, Movement
from stock.operations import movements, warehouses
from stock.serials import SerialsNeeded
from tests import make
from tests.orders.buying import agree, coming, everything, lines_of, now, offered, ordered, received, sent, shelf

SOON = date(2090, 5, 1)


@pytest.fixture
def hall(db):
    return make.make_warehouse(code="W1", operator=make.make_partner(code="3PL-1", kind="logistics"))


@pytest.fixture
def oil(supplier):
    return offered(supplier)


def line_of(order, number=1):
    return order.lines.get(line_number=number)


def status(order) -> str:
    return PurchaseOrder.objects.get(pk=order.pk).status


# -- Ordering


def test_an_order_takes_its_terms_from_the_offer_and_tells_nobody(supplier, hall, oil):
    box = Pack.objects.create(variant=oil, name="case", quantity=12)
    oil.supplier_items.update(pack=box)
    order = ordered(supplier, hall, (oil, 48))
    line = line_of(order)
    assert (order.status, order.number[:3], order.currency) == ("draft", "PO-", "EUR")
    assert (line.supplier_code, line.pack_name, line.packs, line.unit_cost) == ("V-OIL", "case", 4, Decimal("2.50"))
    assert (OutboxEvent.objects.count(), coming()) == (0, [])
    assert order.history.get().history_change_reason == "purchase order drafted"


@pytest.mark.parametrize(
    ("asked", "minimum", "multiple", "pack", "taken"),
    [
        (5, None, None, None, 5),
        (5, 10, None, None, 10),
        (11, 10, 4, None, 12),
        (13, None, None, 12, 24),
        (13, 10, 8, 12, 24),
        (24, 10, 8, 12, 24),
        (25, None, 8, 12, 48),
    ],
)
def test_what_the_supplier_takes_is_its_minimum_in_whole_multiples_and_packs(asked, minimum, multiple, pack, taken):
    assert deliveries.orderable(asked, minimum=minimum, multiple=multiple, pack=pack) == taken


def test_a_quantity_the_supplier_does_not_take_is_refused_with_a_proposal_unless_staff_force_it(supplier, hall):
    oil = offered(supplier, item={"minimum_quantity": 50, "order_multiple": 20})
    with pytest.raises(OfferNotMet) as refused:
        ordered(supplier, hall, (oil, 30))
    [row] = refused.value.data["lines"]
    assert (row["productId"], row["minimumQuantity"], row["orderMultiple"], row["proposedQuantity"]) == (
        "OIL",
        50,
        20,
        60,
    )
    assert PurchaseOrder.objects.count() == 0
    needed = [Needed(variant=oil, quantity=30)]
    assert purchasing.propose(supplier=supplier, needed=needed) == [60]
    assert line_of(ordered(supplier, hall, (oil, 60))).quantity == 60
    forced = ordered(supplier, hall, (oil, 30), is_forced=True)
    assert (forced.is_forced, line_of(forced).quantity) == (True, 30)


@pytest.mark.parametrize("fault", ["not offered", "suspended", "two currencies", "no such currency"])
def test_an_order_that_cannot_be_meant_is_refused_and_not_written(supplier, hall, oil, fault):
    others, more = offered(make.make_partner(kind="supplier"), sku="TEA"), {}
    if fault == "suspended":
        supplier.status = "suspended"
    if fault == "two currencies":
        others = offered(supplier, sku="MILK", currency="USD")
    if fault == "no such currency":
        others, more = offered(supplier, sku="MILK"), {"currency": "EUX"}
    with pytest.raises(InvalidInput) as refused:
        ordered(supplier, hall, (oil, 1), (others, 1), **more)
    fields = {"not offered": "lines[1].productId", "suspended": "supplierId"}
    assert refused.value.data["errors"][0]["field"] == fields.get(fault, "currency")
    assert PurchaseOrder.objects.count() == 0


@pytest.mark.parametrize("taken", ["send", "confirm", "cancel", "close"])
@pytest.mark.parametrize("now_it_is", PurchaseOrder.Status.values)
def test_only_the_steps_of_the_table_are_taken(supplier, hall, oil, taken, now_it_is):
    order = sent(supplier, hall, (oil, 10))
    received(order, (oil, 4))
    PurchaseOrder.objects.filter(pk=order.pk).update(status=now_it_is)
    target = {"send": "sent", "confirm": "confirmed", "cancel": "cancelled", "close": "received"}[taken]
    before = everything()
    call = getattr(purchasing, taken)
    if now_it_is in [str(step) for step in purchasing.awaiting.STEPS[target]]:
        assert call(order=order, **now()).version == PurchaseOrder.objects.get().version
        assert everything() != before
    elif now_it_is == target:
        assert call(order=order, **now()).status == target
        assert everything() == before
    else:
        with pytest.raises(IllegalStep) as refused:
            call(order=order, **now())
        assert refused.value.data["currentStatus"] == now_it_is
        assert everything() == before


# -- What is to come


def test_what_is_to_come_follows_every_step_of_the_order(supplier, hall, oil):
    oil.supplier_items.update(lead_time_days=Decimal("4.20"))
    order = ordered(supplier, hall, (oil, 100))
    assert coming() == []
    purchasing.send(order=order, **now())
    by_lead_time = order.created_at.date() + timedelta(days=5)
    assert coming() == [(100, by_lead_time, False)]
    purchasing.confirm(order=order, expected_on=SOON, **now())
    assert coming() == [(100, SOON, True)]
    received(order, (oil, 30))
    assert coming() == [(70, SOON, True)]
    later = SOON + timedelta(days=3)
    purchasing.confirm(order=order, answers=[Answered(line_number=1, quantity=80, expected_on=later)], **now())
    assert coming() == [(50, later, True)]
    purchasing.close(order=order, **now())
    assert (coming(), status(order), line_of(order).closing) == ([], "received", "short")
    told = OutboxEvent.objects.exclude(type="inventory.updated").order_by("id").values_list("type", flat=True)
    assert list(told) == [
        "purchase_order.sent",
        "purchase_order.confirmed",
        "receipt.posted",
        "purchase_order.confirmed",
    ]


def test_the_day_of_the_order_counts_where_no_line_says_one(supplier, hall, oil):
    order = sent(supplier, hall, (oil, 5), expected_on=SOON)
    assert coming() == [(5, SOON, False)]
    purchasing.confirm(order=order, **now())
    assert coming() == [(5, SOON, True)]


def test_what_has_no_day_at_all_cannot_be_promised_by_one(supplier, hall, oil):
    order = sent(supplier, hall, (oil, 5))
    purchasing.confirm(order=order, **now())
    assert coming() == []


def test_a_cancelled_order_is_not_waited_for_and_its_supplier_is_told(supplier, hall, oil):
    order = sent(supplier, hall, (oil, 5), expected_on=SOON)
    purchasing.cancel(order=order, **now())
    assert (status(order), line_of(order).closing, coming()) == ("cancelled", "cancelled", [])
    event = OutboxEvent.objects.get(type="purchase_order.cancelled")
    assert event.addressee_ids == sorted([supplier.pk, hall.operator_id])
    with pytest.raises(IllegalStep):
        received(order, (oil, 5))


def test_when_part_came_a_cancel_ends_only_the_rest(supplier, hall, oil):
    order = sent(supplier, hall, (oil, 5), expected_on=SOON)
    received(order, (oil, 2))
    purchasing.cancel(order=order, **now())
    assert (status(order), line_of(order).closing, coming()) == ("received", "cancelled", [])


def test_an_order_of_which_nothing_came_is_cancelled_and_not_closed(supplier, hall, oil):
    order = sent(supplier, hall, (oil, 5), expected_on=SOON)
    before = everything()
    with pytest.raises(IllegalStep):
        purchasing.close(order=order, **now())
    assert everything() == before


def test_a_supplier_that_will_deliver_nothing_of_any_line_ends_the_order(supplier, hall, oil):
    order = sent(supplier, hall, (oil, 5), expected_on=SOON)
    purchasing.confirm(order=order, answers=[Answered(line_number=1, quantity=0)], **now())
    assert (status(order), coming()) == ("cancelled", [])


@pytest.mark.parametrize(
    ("answer", "field"),
    [
        (Answered(line_number=9), "lineNumber"),
        (Answered(line_number=1, quantity=101), "quantity"),
        (Answered(line_number=1, quantity=29), "quantity"),
    ],
)
def test_a_supplier_confirms_no_more_than_was_ordered_and_no_less_than_came(supplier, hall, oil, answer, field):
    order = sent(supplier, hall, (oil, 100), expected_on=SOON)
    received(order, (oil, 30))
    before = everything()
    with pytest.raises(InvalidInput) as refused:
        purchasing.confirm(order=order, answers=[answer], **now())
    assert refused.value.data["errors"][0]["field"] == f"lines[0].{field}"
    assert everything() == before


def test_one_line_is_closed_short_and_the_others_are_waited_for(supplier, hall, oil):
    tea = offered(supplier, sku="TEA")
    order = sent(supplier, hall, (oil, 10), (tea, 10), expected_on=SOON)
    received(order, (oil, 4))
    purchasing.close(order=order, line_numbers=[1], **now())
    assert (status(order), coming()) == ("sent", [(10, SOON, False)])
    with pytest.raises(InvalidInput):
        purchasing.close(order=order, line_numbers=[7], **now())


# -- Receiving


def test_what_came_lies_on_the_shelf_from_the_suppliers_place_and_the_order_is_done(supplier, hall, oil):
    order = sent(supplier, hall, (oil, 10))
    receipt = received(order, (oil, 10), delivery_note="LS-1")
    assert (status(order), shelf()) == ("received", {"OIL/sellable": 10})
    assert lines_of(receipt) == [("OIL", 10, "sellable", "asOrdered", "")]
    movement = Movement.objects.get(pk=receipt.lines.get().movement_id)
    assert (movement.kind, movement.from_location_id, movement.reference) == ("receipt", -1, receipt.number)
    event = OutboxEvent.objects.get(type="receipt.posted")
    assert event.addressee_ids == sorted([supplier.pk, hall.operator_id])
    assert "lines" not in event.payload
    assert proof.prove_ledger().differences == []


def test_what_is_under_stays_open_until_it_comes(supplier, hall, oil):
    order = sent(supplier, hall, (oil, 10))
    assert lines_of(received(order, (oil, 7)))[0][3] == "under"
    assert (status(order), line_of(order).closing) == ("sent", "")
    assert lines_of(received(order, (oil, 3)))[0][3] == "asOrdered"
    assert (status(order), shelf()) == ("received", {"OIL/sellable": 10})


@pytest.mark.parametrize(("came", "closing"), [(94, ""), (95, "tolerance"), (100, "")])
def test_what_lacks_no_more_than_the_tolerance_is_done(supplier, hall, oil, came, closing):
    agree(supplier, under_percent=5)
    order = sent(supplier, hall, (oil, 100), expected_on=SOON)
    received(order, (oil, came))
    assert line_of(order).closing == closing
    assert (status(order), bool(coming())) == (("sent", True) if came == 94 else ("received", False))


@pytest.mark.parametrize("came", [105, 106])
def test_more_than_the_tolerance_is_refused_with_its_lines(supplier, hall, oil, came):
    agree(supplier, over_percent=Decimal("5.9"))
    order = sent(supplier, hall, (oil, 100))
    before = everything()
    if came == 105:
        assert lines_of(received(order, (oil, came)))[1] == ("OIL", 5, "sellable", "over", "")
        return
    with pytest.raises(OverDelivery) as refused:
        received(order, (oil, came))
    assert refused.value.data["lines"] == [
        {"productId": "OIL", "lineNumber": 1, "ordered": 100, "received": 0, "delivered": 106, "allowed": 105}
    ]
    assert everything() == before


def test_what_is_above_the_tolerance_is_booked_and_marked_when_somebody_accepts_it(supplier, hall, oil):
    order = sent(supplier, hall, (oil, 10))
    receipt = received(order, (oil, 14), is_over_accepted=True)
    assert lines_of(receipt) == [("OIL", 10, "sellable", "asOrdered", ""), ("OIL", 4, "sellable", "over", "")]
    assert (receipt.is_over_accepted, shelf(), status(order)) == (True, {"OIL/sellable": 14}, "received")


def test_nothing_is_taken_on_a_line_that_was_closed(supplier, hall, oil):
    order = sent(supplier, hall, (oil, 10))
    received(order, (oil, 4))
    purchasing.close(order=order, **now())
    before = everything()
    with pytest.raises(OverDelivery) as refused:
        received(order, (oil, 1))
    assert refused.value.data["lines"][0]["allowed"] == 0
    assert everything() == before


def test_what_the_supplier_cut_may_still_come_as_it_was_ordered(supplier, hall, oil):
    order = sent(supplier, hall, (oil, 10), expected_on=SOON)
    purchasing.confirm(order=order, answers=[Answered(line_number=1, quantity=6)], **now())
    assert lines_of(received(order, (oil, 10))) == [("OIL", 10, "sellable", "asOrdered", "")]


def test_two_lines_of_one_product_are_filled_in_their_order(supplier, hall, oil):
    order = sent(supplier, hall, (oil, 10), (oil, 5))
    receipt = received(order, (oil, 12))
    assert list(receipt.lines.values_list("order_line__line_number", "quantity")) == [(1, 10), (2, 2)]


def test_what_is_not_on_the_order_is_refused_and_may_be_received_blind(supplier, hall, oil):
    order, tea = sent(supplier, hall, (oil, 10)), offered(supplier, sku="TEA")
    before = everything()
    with pytest.raises(InvalidInput) as refused:
        received(order, (oil, 1), (tea, 3))
    assert refused.value.data["errors"][0]["field"] == "lines[1].productId"
    assert everything() == before
    blind, _ = receiving.receive(warehouse=hall, arrived=[Arrived(variant=tea, quantity=3)], **now())
    assert (lines_of(blind), blind.supplier) == ([("TEA", 3, "sellable", "unordered", "")], None)


def test_goods_are_booked_in_the_warehouse_they_were_ordered_to(supplier, hall, oil):
    order, other = sent(supplier, hall, (oil, 10)), make.make_warehouse()
    before = everything()
    with pytest.raises(InvalidInput):
        receiving.receive(order=order, warehouse=other, arrived=[Arrived(variant=oil, quantity=1)], **now())
    assert everything() == before


def test_the_same_delivery_note_is_booked_once_and_another_content_is_refused(supplier, hall, oil):
    order = sent(supplier, hall, (oil, 10))
    first = received(order, (oil, 4), delivery_note="LS-1")
    before = everything()
    assert received(order, (oil, 4), delivery_note="LS-1") == first
    with pytest.raises(DeliveryNoteReused) as refused:
        received(order, (oil, 5), delivery_note="LS-1")
    assert refused.value.data == {"receiptId": first.number}
    assert everything() == before
    with pytest.raises(InvalidInput):
        receiving.receive(warehouse=hall, arrived=[Arrived(variant=oil, quantity=4)], delivery_note="LS-1", **now())


@pytest.mark.parametrize("fault", ["no batch", "no date", "another date", "no bin", "date without batch"])
def test_labels_that_do_not_fit_the_product_are_refused_by_line(supplier, hall, fault):
    milk = offered(supplier, sku="MILK", tracking="none" if fault == "date without batch" else "batch")
    milk.product_type.requires_expiry = True
    milk.product_type.save()
    Batch.objects.create(variant=milk, number="B1", expires_on=date(2091, 1, 1))
    order = sent(supplier, hall, (milk, 10))
    row = {
        "no batch": {},
        "no date": {"batch_number": "B2"},
        "another date": {"batch_number": "B1", "expires_on": SOON},
        "no bin": {"batch_number": "B1", "location_code": "Z-99"},
        "date without batch": {"expires_on": SOON},
    }[fault]
    before = everything()
    with pytest.raises((InvalidInput, warehouses.BatchDiffers)) as refused:
        received(order, Arrived(variant=milk, quantity=2, **row))
    fields = {"no batch": "batchNumber", "no date": "expirationDate", "no bin": "location",
              "date without batch": "expirationDate"}  # fmt: skip
    if fault in fields:
        assert refused.value.data["errors"][0]["field"] == f"lines[0].{fields[fault]}"
    assert everything() == before


@pytest.mark.parametrize(("days_left", "hold"), [(29, "shelfLife"), (30, ""), (-1, "shelfLife"), (None, "shelfLife")])
def test_too_short_a_shelf_life_at_the_dock_is_held_with_its_reason(supplier, hall, days_left, hold):
    milk = offered(supplier, sku="MILK", tracking="batch")
    agree(supplier, minimum_shelf_life_days=30)
    order = sent(supplier, hall, (milk, 10))
    expires_on = None if days_left is None else timezone.now().date() + timedelta(days=days_left)
    receipt = received(order, Arrived(variant=milk, quantity=10, batch_number="B1", expires_on=expires_on))
    condition = "quarantine" if hold else "sellable"
    assert lines_of(receipt) == [("MILK", 10, condition, "asOrdered", hold)]
    assert Movement.objects.get().reason == hold
    assert shelf() == {f"MILK/{condition}": 10}


@pytest.mark.parametrize(("plan", "held"), [("all", 7), ("sample", 3), ("none", 0)])
def test_the_quality_plan_holds_what_it_says_until_it_is_lifted(supplier, hall, oil, plan, held):
    agree(supplier, quality_plan=plan, sample_percent=Decimal("30") if plan == "sample" else None)
    order = sent(supplier, hall, (oil, 7))
    received(order, (oil, 7))
    kept = {"OIL/quarantine": held, "OIL/sellable": 7 - held}
    assert shelf() == {place: quantity for place, quantity in kept.items() if quantity}
    if held:
        movements.book(kind="lift", variant=oil, warehouse=hall, quantity=held, reason="looked at", **now())
    assert shelf() == {"OIL/sellable": 7}
    assert proof.prove_ledger().differences == []


def test_terms_of_one_product_beat_those_of_all(supplier, hall, oil):
    tea = offered(supplier, sku="TEA")
    agree(supplier, quality_plan="all")
    agree(supplier, variant=tea, over_percent=50)
    order = sent(supplier, hall, (oil, 2), (tea, 2))
    received(order, (oil, 2), (tea, 3))
    assert shelf() == {"OIL/quarantine": 2, "TEA/sellable": 3}


def test_what_came_damaged_is_damaged_and_counts_as_delivered(supplier, hall, oil):
    order = sent(supplier, hall, (oil, 5))
    received(order, (oil, 4), Arrived(variant=oil, quantity=1, condition="damaged"))
    assert (shelf(), status(order)) == ({"OIL/sellable": 4, "OIL/damaged": 1}, "received")


def test_each_unit_tracked_by_serial_number_is_named(supplier, hall):
    drill = offered(supplier, sku="DRILL", tracking="serial")
    agree(supplier, quality_plan="sample", sample_percent=50)
    order = sent(supplier, hall, (drill, 4))
    before = everything()
    for named in (("S1",), ("S1", "S2", "S3", "S4", "S5")):
        with pytest.raises(SerialsNeeded):
            received(order, Arrived(variant=drill, quantity=4, serials=named))
    assert everything() == before
    received(order, Arrived(variant=drill, quantity=4, serials=("S1", "S2", "S3", "S4")))
    assert shelf() == {"DRILL/quarantine": 2, "DRILL/sellable": 2}
    assert proof.prove_ledger().differences == []


# -- Ship notices


def announced(supplier, hall, *rows, number="D-1", **more):
    notice, _ = announcing.announce(
        supplier=supplier, warehouse=hall, despatch_number=number, announced=rows, **more, **now()
    )
    return notice


def test_what_was_announced_is_received_as_its_labels_say(supplier, hall):
    milk = offered(supplier, sku="MILK", tracking="batch")
    order = sent(supplier, hall, (milk, 10))
    row = Announced(variant=milk, quantity=6, order_line=line_of(order), batch_number="B1", expires_on=SOON)
    notice = announced(supplier, hall, row)
    came = receiving.as_announced(notice=notice)
    receipt, _ = receiving.receive(notice=notice, warehouse=hall, arrived=came, **now())
    assert Batch.objects.values_list("number", "expires_on", "supplier").get() == ("B1", SOON, supplier.pk)
    assert list(receipt.lines.values_list("order_line", "notice_line")) == [(line_of(order).pk, notice.lines.get().pk)]
    notice.refresh_from_db()
    assert (notice.status, status(order), lines_of(receipt)[0][3]) == ("received", "sent", "under")
    with pytest.raises(IllegalStep):
        receiving.receive(notice=notice, warehouse=hall, arrived=came, **now())


def test_of_a_notice_in_parts_the_label_is_known_and_the_rest_stays_announced(supplier, hall):
    milk = offered(supplier, sku="MILK", tracking="batch")
    order = sent(supplier, hall, (milk, 10))
    row = Announced(variant=milk, quantity=10, order_line=line_of(order), batch_number="B1", expires_on=SOON)
    notice = announced(supplier, hall, row)
    receiving.receive(notice=notice, warehouse=hall, arrived=[Arrived(variant=milk, quantity=4)], **now())
    notice.refresh_from_db()
    assert (notice.status, Batch.objects.get().number) == ("announced", "B1")
    assert [row.quantity for row in receiving.as_announced(notice=notice)] == [6]
    with pytest.raises(IllegalStep):
        announcing.withdraw(notice=notice, **now())


def test_a_truck_may_bring_goods_of_several_orders(supplier, hall, oil):
    first, second = sent(supplier, hall, (oil, 4)), sent(supplier, hall, (oil, 6))
    rows = [Announced(variant=oil, quantity=line.quantity, order_line=line) for line in map(line_of, (second, first))]
    notice = announced(supplier, hall, *rows)
    receiving.receive(notice=notice, warehouse=hall, arrived=[Arrived(variant=oil, quantity=10)], **now())
    assert (status(first), status(second)) == ("received", "received")


def test_more_than_announced_is_over_only_where_it_is_more_than_ordered(supplier, hall, oil):
    order = sent(supplier, hall, (oil, 10))
    notice = announced(supplier, hall, Announced(variant=oil, quantity=6, order_line=line_of(order)))
    tea = Arrived(variant=offered(supplier, sku="TEA"), quantity=1)
    with pytest.raises(OverDelivery):
        receiving.receive(notice=notice, warehouse=hall, arrived=[Arrived(variant=oil, quantity=11)], **now())
    with pytest.raises(InvalidInput):
        receiving.receive(notice=notice, warehouse=hall, arrived=[tea], **now())
    receiving.receive(notice=notice, warehouse=hall, arrived=[Arrived(variant=oil, quantity=8)], **now())
    assert shelf() == {"OIL/sellable": 8}


def test_a_despatch_number_and_a_package_stand_for_one_truck(supplier, hall, oil):
    packed = [Packed(sscc="395012345678900019", parent_sscc="395012345678900002"), Packed(sscc="395012345678900002")]
    row = Announced(variant=oil, quantity=6, sscc="395012345678900019")
    notice = announced(supplier, hall, row, packed=packed)
    assert announced(supplier, hall, row, packed=packed) == notice
    assert notice.packages.get(sscc="395012345678900019").parent.sscc == "395012345678900002"
    with pytest.raises(DespatchReused):
        announced(supplier, hall, row, packed=packed, carrier="UPS")
    with pytest.raises(PackageOnItsWay):
        announced(supplier, hall, row, packed=packed, number="D-2")
    announcing.withdraw(notice=notice, **now())
    assert announced(supplier, hall, row, packed=packed, number="D-2") != notice


@pytest.mark.parametrize("fault", ["package", "parent", "circle", "order", "product"])
def test_a_notice_that_cannot_be_meant_is_refused_and_not_written(supplier, hall, oil, fault):
    draft, tea = ordered(supplier, hall, (oil, 4)), offered(supplier, sku="TEA")
    order = sent(supplier, hall, (oil, 4))
    row = {"variant": oil, "quantity": 1} | {
        "package": {"sscc": "395012345678900019"},
        "order": {"order_line": line_of(draft)},
        "product": {"order_line": line_of(order), "variant": tea},
    }.get(fault, {})
    packed = {
        "parent": [Packed(sscc="1", parent_sscc="2")],
        "circle": [Packed(sscc="1", parent_sscc="2"), Packed(sscc="2", parent_sscc="1")],
    }.get(fault, [])
    before = everything()
    with pytest.raises(InvalidInput):
        announced(supplier, hall, Announced(**row), packed=packed)
    assert everything() == before


# -- What it cost to get here


def test_freight_is_spread_over_the_lines_to_the_cent(supplier, hall, oil):
    tea = offered(supplier, sku="TEA", cost="1.00", attributes={"weightKg": 0.5})
    order = sent(supplier, hall, (oil, 3), (tea, 4))
    receipt = received(order, (oil, 3), (tea, 4))
    bill = {"receipt": receipt, "kind": "freight", "currency": "EUR", "amount": Decimal("10.00")}
    for spread, more, shares in [
        ("quantity", {}, ["4.28", "5.72"]),
        ("value", {}, ["6.53", "3.47"]),
        ("weight", {"weights_g": {"OIL": 1000}}, ["6.00", "4.00"]),
    ]:
        charge = landing.charge(**bill, spread=spread, reference=spread, **more, **now())
        amounts = list(charge.shares.order_by("line").values_list("amount", flat=True))
        assert amounts == [Decimal(share) for share in shares], spread
    assert landing.charge(**bill, spread="value", reference="value", **now()).shares.count() == 2
    with pytest.raises(ChargeReused):
        landing.charge(**bill | {"amount": Decimal(11)}, spread="value", reference="value", **now())
    with pytest.raises(NothingToSpreadBy) as refused:
        landing.charge(**bill, spread="weight", reference="again", **now())
    assert refused.value.data == {"productIds": ["OIL"]}
    for amount in ("0", "1.001"):
        with pytest.raises(InvalidInput):
            landing.charge(**bill | {"amount": Decimal(amount)}, spread="value", reference="odd", **now())
    assert LandedCharge.objects.count() == 3


@given(
    amount=st.decimals(min_value="0.01", max_value=10**6, places=2),
    weights=st.lists(st.integers(0, 10**6).map(Decimal), min_size=1, max_size=20).filter(any),
)
def test_shares_always_add_up_and_none_is_below_nothing(amount, weights):
    parts = deliveries.spread(amount, weights, places=2)
    assert sum(parts) == amount
    assert all(part >= 0 and part == round(part, 2) for part in parts)
    assert all(part == 0 for part, weight in zip(parts, weights, strict=True) if not weight)


@given(
    deliveries_made=st.lists(st.integers(1, 30), min_size=1, max_size=5),
    sizes=st.lists(st.tuples(st.integers(1, 20), st.integers(0, 5)), min_size=1, max_size=4),
)
def test_every_unit_that_came_is_put_down_once_and_lines_are_filled_before_any_is_over(deliveries_made, sizes):
    lines = [
        Awaited(line_id=place, ordered=ordered, expected=ordered, received=0, most=ordered + over)
        for place, (ordered, over) in enumerate(sizes)
    ]
    shares = [share for quantity in deliveries_made for share in deliveries.settle(quantity, lines)]
    assert sum(share.quantity for share in shares) == sum(deliveries_made)
    assert all(share.quantity > 0 for share in shares)
    for line in lines:
        assert sum(share.quantity for share in shares if share.line_id == line.line_id) == line.taken
    within = sum(share.quantity for share in shares if not share.is_over)
    assert within == min(sum(deliveries_made), sum(ordered for ordered, _ in sizes))


def test_percentages_are_rounded_so_that_they_never_help_the_supplier():
    agreed = Agreed(over_percent=Decimal("5.9"), under_percent=Decimal("5.9"), quality_plan="sample",
                    sample_percent=Decimal("0.1"))  # fmt: skip
    assert (agreed.most(100), agreed.enough(100), agreed.looked_at(100)) == (105, 95, 1)
    assert (agreed.most(10), agreed.enough(10), agreed.looked_at(1)) == (10, 10, 1)


# -- The last guards


@pytest.mark.parametrize("model", [Receipt, ReceiptLine, LandedCharge, LandedShare])
def test_what_was_posted_is_never_changed_nor_deleted(supplier, hall, oil, model):
    receipt = received(sent(supplier, hall, (oil, 3)), (oil, 3))
    landing.charge(
        receipt=receipt, kind="duty", reference="1", currency="EUR", amount=Decimal(1), spread="quantity", **now()
    )
    for write in (lambda: model.objects.update(id=10**9), lambda: model.objects.all()._raw_delete("default")):
        with pytest.raises((InternalError, IntegrityError), match="once and for all"), transaction.atomic():
            write()
    assert model.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"confirmed_quantity": 11}, "purchase_line_confirmed_within_ordered"),
        ({"unit_cost": -1}, "purchase_line_cost_not_negative"),
        ({"quantity": 0}, "purchase_line"),
    ],
)
def test_the_database_is_the_last_guard_of_a_line(supplier, hall, oil, change, constraint):
    ordered(supplier, hall, (oil, 10))
    with pytest.raises(IntegrityError, match=constraint):
        PurchaseOrderLine.objects.update(**change)


def test_a_level_stays_what_the_ledger_says(supplier, hall, oil):
    order = sent(supplier, hall, (oil, 10))
    received(order, (oil, 10))
    assert Level.objects.get().on_hand == sum(Movement.objects.values_list("quantity", flat=True))
