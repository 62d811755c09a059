"""Staff pick, pack, print and send by buttons and scans; what refuses is said in a sentence and changes nothing."""

from __future__ import annotations

from io import BytesIO

import pytest
from django.contrib.auth.models import Group, User
from django.urls import reverse
from pypdf import PdfReader

from inventory_site import roles
from orders.models import FulfilmentRequest, Package, PickLine, PickWave, Shipment, SsccSeries
from tests.orders.steps import book, confirmed


@pytest.fixture
def asked(api, retailer, shop, supplier):
    """Ten are asked of W1: five of EARLY, five of LATE. The sauce has a barcode."""
    shop.gtin, shop.gtin14 = "9521234543213", "09521234543213"
    shop.save()
    SsccSeries.objects.create(company_prefix="0614141")
    confirmed(api(retailer), 10)
    return FulfilmentRequest.objects.get()


@pytest.fixture
def clerk(client, db):
    roles.ensure_roles()
    user = User.objects.create_user("clerk", is_staff=True)
    user.groups.add(Group.objects.get(name="Warehouse"))
    client.force_login(user)
    return client


def step(client, row, name, **fields):
    page = reverse(f"admin:orders_{row._meta.model_name}_{name}", args=[row.pk])
    return client.post(page, {"_form_submitted": "True"} | fields, follow=True)


def chosen(client, action, *rows):
    page = reverse("admin:orders_fulfilmentrequest_changelist")
    return client.post(page, {"action": action, "_selected_action": [row.pk for row in rows]}, follow=True)


def scan(client, line, code, do="confirm", **more):
    page = reverse("admin:orders_pickwave_pick", args=[line.wave_id])
    return client.post(page, {"line": line.pk, "code": code, "do": do} | more, follow=True).content.decode()


def line_of(batch: str) -> PickLine:
    return PickLine.objects.get(batch__number=batch)


def everything():
    return (book(), list(PickLine.objects.order_by("place").values_list("state", "picked")), Package.objects.count(),
            list(FulfilmentRequest.objects.order_by("id").values_list("status", flat=True)))  # fmt: skip


def test_requests_are_found_by_warehouse_and_state(clerk, asked):
    page = reverse("admin:orders_fulfilmentrequest_changelist")
    assert asked.number in clerk.get(page, {"warehouse__id__exact": asked.warehouse_id}).content.decode()
    assert asked.number not in clerk.get(page, {"status__exact": "completed"}).content.decode()


def test_a_wave_is_started_from_the_list_and_picked_by_scans(clerk, asked):
    chosen(clerk, "start_wave", asked)
    wave = PickWave.objects.get()
    assert (wave.actor, everything()[3]) == ("staff:clerk", ["accepted"])
    page = clerk.get(reverse("admin:orders_pickwave_pick", args=[wave.pk])).content.decode()
    assert ("5 × SAUCE" in page, "2 to go" in page) == (True, True)
    assert "5 × SAUCE picked" in scan(clerk, line_of("EARLY"), "9521234543213")
    assert "Picked" in scan(clerk, line_of("LATE"), "(01)09521234543213(10)LATE(17)910101")
    assert PickWave.objects.get().state == "picked"
    before = everything()
    scan(clerk, line_of("LATE"), "SAUCE")
    assert everything() == before


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("ROTOR", "Wrong item: take SAUCE"),
        ("4006381333931", "Wrong item: take SAUCE"),
        ("(01)09521234543213(10)LATE", "Wrong batch: take EARLY, not LATE"),
        ("", "Scan the product"),
    ],
)
def test_what_is_not_asked_for_is_refused_with_its_reason(clerk, asked, code, why):
    chosen(clerk, "start_wave", asked)
    before = everything()
    assert why in scan(clerk, line_of("EARLY"), code)
    assert everything() == before
    assert "picked" in scan(clerk, line_of("EARLY"), "SAUCE")


def test_packed_labelled_and_sent_by_buttons(clerk, asked):
    step(clerk, asked, "pick_this")
    for line in PickLine.objects.all():
        scan(clerk, line, "SAUCE")
    step(clerk, asked, "pack_this", tracking_number="1Z9")
    package = Package.objects.get()
    for kind, page in [("orders_package", package), ("orders_fulfilmentrequest", asked)]:
        for name in ("label_pdf", "slip"):
            answer = clerk.get(reverse(f"admin:{kind}_{name}", args=[page.pk]))
            text = PdfReader(BytesIO(answer.content)).pages[0].extract_text()
            assert (answer["Content-Type"], package.number in text) == ("application/pdf", True)
        assert (
            f">;>800{package.sscc}^FS" in clerk.get(reverse(f"admin:{kind}_label_zpl", args=[page.pk])).content.decode()
        )
    step(clerk, asked, "send_this", carrier="UPS")
    shipment = Shipment.objects.get()
    assert (shipment.carrier, shipment.tracking_number, shipment.sscc) == ("UPS", "1Z9", package.sscc)
    assert book()["EARLY/sellable"] == (0, 0)
    slip = clerk.get(reverse("admin:orders_shipment_slip", args=[shipment.pk])).content
    assert "EARLY" in PdfReader(BytesIO(slip)).pages[0].extract_text()


def test_what_refuses_is_said_and_nothing_happened(clerk, asked):
    before = everything()
    assert "Nothing that was picked" in step(clerk, asked, "pack_this").content.decode()
    assert "Only what is packed" in step(clerk, asked, "send_this", carrier="UPS").content.decode()
    assert "packed and still here" in clerk.get(
        reverse("admin:orders_fulfilmentrequest_label_pdf", args=[asked.pk]), follow=True
    ).content.decode()  # fmt: skip
    assert everything() == before


def test_a_request_is_rejected_with_its_reason_or_completed_without_packages(clerk, asked):
    step(clerk, asked, "reject_this", failure="damaged", note="wet")
    asked.refresh_from_db()
    assert (asked.status, asked.failure, asked.note) == ("failed", "damaged", "wet")
    [east] = FulfilmentRequest.objects.live()
    step(clerk, east, "accept_this")
    step(clerk, east, "complete_this", carrier="UPS", tracking_number="1Z7")
    east.refresh_from_db()
    assert (east.status, Shipment.objects.get().tracking_number) == ("completed", "1Z7")


def test_who_may_only_look_moves_nothing(client, asked):
    roles.ensure_roles()
    auditor = User.objects.create_user("auditor", is_staff=True)
    auditor.groups.add(Group.objects.get(name="Auditor"))
    client.force_login(auditor)
    before = everything()
    chosen(client, "start_wave", asked)
    assert step(client, asked, "reject_this", failure="damaged").status_code == 403
    assert (everything(), PickWave.objects.count()) == (before, 0)
