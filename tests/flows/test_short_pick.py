"""A bin holds less than the book says: the walk goes on, the rest comes from elsewhere, and the bin is counted."""

from __future__ import annotations

from datetime import date
from io import BytesIO

import pytest
from django.urls import reverse
from django.utils import timezone
from pypdf import PdfReader

from orders.models import FulfilmentRequest, Order, Package, PickLine, SsccSeries
from stock import proof
from stock.models import Count, Location
from stock.operations import moving
from tests import make
from tests.orders.steps import book, confirmed

SCAN = "(01)09521234543213"


@pytest.fixture
def asked(api, retailer):
    """Ten are asked of W1: five of EARLY, which lies in B-1, and of ten LATE in A-1 the rest. W2 has twenty."""
    sauce = make.make_variant(sku="SAUCE", tracking="batch", gtin="9521234543213", gtin14="09521234543213")
    west, east = make.make_warehouse(code="W1"), make.make_warehouse(code="W2")
    make.make_level(variant=sauce, warehouse=east, on_hand=20, batch_number="EAST", expires_on=date(2092, 1, 1))
    for code, sequence, batch, year, units in [("A-1", 1, "LATE", 2091, 10), ("B-1", 2, "EARLY", 2090, 5)]:
        make.make_level(variant=sauce, warehouse=west, on_hand=units, batch_number=batch, expires_on=date(year, 1, 1))
        Location.objects.create(warehouse=west, code=code, pick_sequence=sequence)
        moving.move(
            variant=sauce, warehouse=west, from_code="MAIN", to_code=code, batch_number=batch, quantity=units,
            actor=make.TESTER, at=timezone.now(),
        )  # fmt: skip
    for place, warehouse in enumerate((west, east), start=1):
        SsccSeries.objects.create(company_prefix="0614141", extension_digit=place, warehouse=warehouse)
    confirmed(api(retailer), 10)
    return FulfilmentRequest.objects.get()


def test_short_in_one_warehouse_the_rest_leaves_from_another(api, retailer, client, staff, asked):
    client.force_login(staff)

    def press(row, button, **said):
        page = reverse(f"admin:orders_{row._meta.model_name}_{button}", args=[row.pk])
        return client.post(page, {"_form_submitted": "True"} | said, follow=True)

    def walk(request, **short):
        """Pick every line of a request; of the bins named only so many are there."""
        press(request, "pick_this")
        for line in PickLine.objects.filter(item__request=request, state="waiting").select_related("location"):
            found = short.get(line.location.code.replace("-", "_"))
            said = {"do": "confirm", "code": SCAN} if found is None else {"do": "short", "picked": found}
            client.post(reverse("admin:orders_pickwave_pick", args=[line.wave_id]), {"line": line.pk} | said)

    walk(asked, B_1=3)
    assert list(PickLine.objects.order_by("place").values_list("location__code", "state", "picked")) == [
        ("A-1", "picked", 5), ("B-1", "short", 3)]  # fmt: skip
    east = FulfilmentRequest.objects.live().get(warehouse__code="W2")
    assert east.items.get().open_quantity == 2
    count = Count.objects.get()
    assert list(count.lines.values_list("location__code", "batch__number", "state")) == [("B-1", "EARLY", "waiting")]

    press(asked, "pack_this", tracking_number="1Z1")
    press(asked, "send_this", carrier="UPS")
    buyer = api(retailer)
    order = Order.objects.get()
    assert buyer.get(f"/orders/{order.number}").json()["status"] == "partiallyShipped"
    walk(east)
    press(east, "pack_this", tracking_number="1Z2")
    press(east, "send_this", carrier="UPS")
    assert buyer.get(f"/orders/{order.number}").json()["status"] == "shipped"

    boxes = {package.tracking_number: package for package in Package.objects.prefetch_related("lines__batch")}
    assert {number: [(line.batch.number, line.quantity) for line in box.lines.all()] for number, box in boxes.items()} == {
        "1Z1": [("LATE", 5), ("EARLY", 3)], "1Z2": [("EAST", 2)]}  # fmt: skip
    assert {number: box.sscc[0] for number, box in boxes.items()} == {"1Z1": "1", "1Z2": "2"}
    assert book() == {"EARLY/sellable": (2, 0), "LATE/sellable": (5, 0), "EAST/sellable": (18, 0)}
    slip = client.get(reverse("admin:orders_package_slip", args=[boxes["1Z2"].pk])).content
    assert "EAST, expires" in PdfReader(BytesIO(slip)).pages[0].extract_text()

    recorded = reverse("admin:stock_count_record", args=[count.pk])
    for turn in ("first", "again"):
        client.post(recorded, {"place": "B-1", "sku": "SAUCE", "batch_number": "EARLY", "counted": 0,
                               "condition": "sellable", "sending": turn})  # fmt: skip
    client.post(reverse("admin:stock_count_post_this", args=[count.pk]), {"_form_submitted": "True"})
    assert book()["EARLY/sellable"] == (0, 0)
    assert proof.prove_ledger().differences == []
