"""Staff buy and receive by forms: an order from draft to done, and a dock that is scanned."""

from __future__ import annotations

import json

import pytest
from django.urls import reverse

from orders.models import PurchaseOrder, Receipt, SupplierTerms
from orders.operations import announcing
from orders.operations.announcing import Announced, Packed
from stock.models import Inbound
from tests import make
from tests.orders.buying import everything, now, offered, sent, shelf

PALLET, CARTON = "395012345678900002", "395012345678900019"


@pytest.fixture
def keeper(client, staff):
    client.force_login(staff)
    return client


@pytest.fixture
def hall(db):
    return make.make_warehouse(code="W1")


@pytest.fixture
def milk(supplier):
    """Tracked by batch, with a barcode."""
    return offered(supplier, sku="MILK", tracking="batch", gtin="9521234543213", gtin14="09521234543213")


def step(client, order, name):
    return client.post(reverse(f"admin:orders_purchaseorder_{name}", args=[order.pk]), {"_form_submitted": "True"})


def test_an_order_is_drafted_sent_and_confirmed_by_forms(keeper, supplier, hall, milk):
    milk.supplier_items.update(minimum_quantity=10)
    page = reverse("admin:orders_purchaseorder_order")
    said = {"supplier": supplier.pk, "warehouse": hall.pk, "expected_on": "2090-05-01", "lines": "MILK 6 2.20"}
    assert "MILK: 10 instead of 6" in keeper.post(page, said).content.decode()
    assert "no cost of MILK" in keeper.post(page, said | {"lines": "MILK 6 much"}).content.decode()
    assert PurchaseOrder.objects.count() == 0
    keeper.post(page, said | {"is_forced": "on"})
    order = PurchaseOrder.objects.get()
    assert (order.actor, order.is_forced, str(order.lines.get().unit_cost)) == ("staff:keeper", True, "2.2000")
    step(keeper, order, "send_this")
    line = order.lines.get()
    answer = {f"quantity_{line.pk}": 4, f"day_{line.pk}": "2090-06-01"}
    assert (
        keeper.post(reverse("admin:orders_purchaseorder_confirm_otherwise", args=[order.pk]), answer).status_code == 302
    )
    assert (Inbound.objects.get().quantity, str(Inbound.objects.get().expected_on)) == (4, "2090-06-01")
    shown = keeper.get(reverse("admin:orders_purchaseorder_change", args=[order.pk])).content.decode()
    assert "4 by 1 Jun 2090" in shown
    step(keeper, order, "cancel_this")
    assert PurchaseOrder.objects.get().status == "cancelled"


def dock(client, of, **said):
    return client.post(f"{reverse('admin:orders_receipt_receive')}?of={of}", said)


def test_scans_add_up_to_a_receipt_and_nothing_is_booked_before(keeper, supplier, hall, milk):
    order = sent(supplier, hall, (milk, 10))
    before = everything()
    page = dock(keeper, order.number, do="add", code="]C1010952123454321310B7\x1d17300501", quantity="4", rows="[]",
                condition="sellable")  # fmt: skip
    assert json.loads(page.context["kept"]) == [
        {"sku": "MILK", "quantity": 4, "batch_number": "B7", "expires_on": "2030-05-01", "condition": "sellable",
         "location_code": "", "serials": ""}
    ]  # fmt: skip
    kept = page.context["kept"]
    page = dock(keeper, order.number, do="add", code="MILK", batch_number="B8", quantity="7", rows=kept,
                condition="damaged")  # fmt: skip
    assert page.context["progress"] == [
        {"product": str(milk), "expected": 10, "before": 0, "now": 11, "missing": -1, "over": 1}
    ]
    page = dock(keeper, order.number, do="drop-1", rows=page.context["kept"])
    assert page.context["kept"] == kept
    assert (
        "No product of this supplier"
        in dock(keeper, order.number, do="add", code="NONE", rows=kept, condition="sellable").content.decode()
    )
    assert everything() == before
    sending = {"do": "post", "rows": kept, "sending": "a", "delivery_note": "LS-1"}
    assert dock(keeper, order.number, **sending).status_code == 302
    assert "sent twice" in dock(keeper, order.number, **sending).content.decode()
    assert (Receipt.objects.get().actor, shelf()) == ("staff:keeper", {"MILK/sellable": 4})


def test_the_label_of_a_pallet_finds_its_notice_and_brings_all_it_carries(keeper, supplier, hall, milk):
    order = sent(supplier, hall, (milk, 10))
    row = Announced(variant=milk, quantity=6, order_line=order.lines.get(), sscc=CARTON, batch_number="B1")
    announcing.announce(
        supplier=supplier, warehouse=hall, despatch_number="D-1", announced=[row],
        packed=[Packed(sscc=PALLET), Packed(sscc=CARTON, parent_sscc=PALLET)], **now(),
    )  # fmt: skip
    page = dock(keeper, f"00{PALLET}", do="add", code=f"(00) {PALLET}", rows="[]", condition="sellable")
    assert [(line["sku"], line["quantity"], line["batch_number"]) for line in page.context["rows"]] == [
        ("MILK", 6, "B1")
    ]
    assert (
        "Nothing that is waited for"
        in keeper.get(reverse("admin:orders_receipt_receive"), {"of": CARTON[::-1]}).content.decode()
    )


@pytest.mark.parametrize("rows", ["", "x", "{}", "[1]", '[{"sku": 1}]', '[{"sku": "MILK", "quantity": "x"}]', "[[]]"])
def test_whatever_the_page_sends_back_is_answered(keeper, supplier, hall, milk, rows):
    order = sent(supplier, hall, (milk, 10))
    for do in ("add", "drop-0", "drop-x", "drop-99", "post", "", "x"):
        assert dock(keeper, order.number, do=do, rows=rows, code="\x00").status_code == 200
    assert Receipt.objects.count() == 0


def test_freight_is_added_by_a_form_and_shown_with_its_line(keeper, supplier, hall, milk):
    order = sent(supplier, hall, (milk, 10))
    rows = [{"sku": "MILK", "quantity": 10, "batch_number": "B1", "condition": "sellable"}]
    dock(keeper, order.number, do="post", rows=json.dumps(rows), sending="b")
    receipt = Receipt.objects.get()
    page = reverse("admin:orders_receipt_charge_this", args=[receipt.pk])
    bill = {"kind": "freight", "reference": "F-1", "amount": "12.34", "currency": "EUR", "spread": "value"}
    assert "is no currency" in keeper.post(page, bill | {"currency": "EUX"}).content.decode()
    assert keeper.post(page, bill).status_code == 302
    shown = keeper.get(reverse("admin:orders_receipt_change", args=[receipt.pk])).content.decode()
    assert "12.34 EUR" in shown


def test_terms_say_of_each_field_what_cannot_be(keeper, supplier, retailer):
    page = reverse("admin:orders_supplierterms_add")
    said = {"supplier": supplier.pk, "over_percent": "5", "under_percent": "0", "quality_plan": "sample"}
    assert "How large a sample?" in keeper.post(page, said).content.decode()
    assert "supplies nothing" in keeper.post(page, said | {"supplier": retailer.pk}).content.decode()
    assert SupplierTerms.objects.count() == 0
    assert keeper.post(page, said | {"sample_percent": "10"}).status_code == 302
    again = keeper.post(page, said | {"sample_percent": "10"}).content.decode()
    assert "There are such terms already" in again
    assert str(SupplierTerms.objects.get()) == "SUP-1 · all products"
