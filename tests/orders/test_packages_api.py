"""A 3PL packs, prints and completes by packages; who has no part in them sees none."""

from __future__ import annotations

from io import BytesIO

import pytest
from pypdf import PdfReader

from orders.models import FulfilmentRequest, Package, SsccSeries
from tests import make
from tests.orders.steps import book, confirmed, leaving


@pytest.fixture
def keeper(api, shop):
    """The 3PL that runs W1."""
    return api(make.make_partner(code="3PL-1", kind="logistics", granted_warehouses=["W1"]))


@pytest.fixture
def buyer(api, retailer, shop):
    return api(retailer)


@pytest.fixture
def path(buyer):
    """Seven are asked of W1: five of EARLY, two of LATE."""
    SsccSeries.objects.create(company_prefix="0614141")
    confirmed(buyer, 7)
    return f"/fulfillmentRequests/{FulfilmentRequest.objects.get().number}"


def box(quantity: int, batch: str = "EARLY", **more):
    return {"lines": [{"lineId": "1", "quantity": quantity, "batchNumber": batch}]} | more


def everything():
    return book(), list(Package.objects.order_by("id").values_list("status", "sscc"))


def test_packages_are_closed_and_leave_one_after_the_other(keeper, buyer, path):
    made = keeper.post(f"{path}/packages", box(5, trackingNumber="1Z1"))
    first = made.json()
    assert (made.status_code, made["Location"]) == (201, f"/api/v1/packages/{first['packageId']}")
    assert (first["sscc"], first["status"], first["shipmentId"]) == ("006141410000000012", "packed", None)
    assert [(line["productId"], line["quantity"], line["batchNumber"]) for line in first["lines"]] == [
        ("SAUCE", 5, "EARLY")
    ]
    second = keeper.post(f"{path}/packages", box(2, "LATE")).json()
    done = keeper.post(f"{path}/complete", {"carrier": "UPS", "packages": [first["packageId"]]}).json()
    assert (done["status"], done["items"][0]["openQuantity"]) == ("assigned", 2)
    [shipment] = buyer.get("/shipments").json()["items"]
    assert (shipment["trackingNumber"], [row["sscc"] for row in shipment["packages"]]) == ("1Z1", [first["sscc"]])
    keeper.post(f"{path}/complete", {"carrier": "UPS", "trackingNumber": "1Z2", "packages": [second["packageId"]]})
    found = keeper.get(f"/packages?fulfillmentRequestId={path.rpartition('/')[2]}").json()["items"]
    assert [(row["packageId"], row["status"]) for row in found] == [
        (second["packageId"], "shipped"), (first["packageId"], "shipped")]  # fmt: skip
    assert book()["EARLY/sellable"] == (0, 0)


def test_sent_again_with_its_key_it_is_the_same_package(keeper, path):
    key = {"Idempotency-Key": "box-1"}
    first, again = (keeper.post(f"{path}/packages", box(5), headers=key) for _ in range(2))
    assert (first.json()["packageId"], again.json()["packageId"]) == (Package.objects.get().number,) * 2


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (box(8), "lines"),
        (box(1, ""), "lines[0].batchNumber"),
        (box(1, sscc="006141410000000013"), "sscc"),
        ({"lines": []}, "lines"),
    ],
)
def test_what_cannot_be_packed_is_refused_by_its_field(keeper, path, body, field):
    before = everything()
    answer = keeper.post(f"{path}/packages", body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert everything() == before


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"items": [{"lineId": "1", "quantity": 1}]}, "items"),
        ({"packages": ["PK-NONE"]}, "packages[0]"),
        # What is in a box does not leave beside it.
        ({"packages": [], "items": [{"lineId": "1", "quantity": 3}]}, "items"),
        ({"packages": []}, "items"),
    ],
)
def test_what_does_not_fit_its_packages_completes_nothing(keeper, path, more, field):
    package = keeper.post(f"{path}/packages", box(5)).json()["packageId"]
    before = everything()
    answer = keeper.post(f"{path}/complete", {"packages": [package]} | more)
    assert (answer.status_code, answer.json()["errors"][0]["field"], everything()) == (422, field, before)
    assert keeper.post(f"{path}/complete", {"packages": [package]}).status_code == 200


def test_opened_again_it_may_be_packed_anew_under_another_number(keeper, path):
    package = keeper.post(f"{path}/packages", box(5)).json()["packageId"]
    assert keeper.post(f"/packages/{package}/unpack").json()["status"] == "unpacked"
    assert keeper.post(f"{path}/packages", box(5)).json()["sscc"] == "006141410000000029"


def test_its_papers_are_printed(keeper, path):
    package = keeper.post(f"{path}/packages", box(5)).json()
    one = f"/packages/{package['packageId']}"
    label = keeper.get(f"{one}/label", headers={"Accept": "application/pdf"})
    assert (label.status_code, label["Content-Type"]) == (200, "application/pdf")
    assert "Store 12" in PdfReader(BytesIO(label.content)).pages[0].extract_text()
    assert f">;>800{package['sscc']}^FS" in keeper.get(f"{one}/label?as=zpl").content.decode()
    for accept, kind in (
        ("application/zpl", "application/zpl"),
        ("application/pdf", "application/pdf"),
        ("*/*", "application/pdf"),
    ):
        assert keeper.get(f"{one}/label", headers={"Accept": accept})["Content-Type"] == kind
    assert keeper.get(f"{one}/label?as=gif").json()["code"] == "invalid_parameter"
    assert "EARLY" in PdfReader(BytesIO(keeper.get(f"{one}/packingSlip").content)).pages[0].extract_text()
    keeper.post(f"{path}/complete", {"packages": [package["packageId"]]})
    [shipment] = keeper.get("/shipments").json()["items"]
    sent = f"/shipments/{shipment['shipmentId']}"
    assert package["sscc"] in keeper.get(f"{sent}/labels?as=zpl").content.decode()
    assert package["packageId"] in PdfReader(BytesIO(keeper.get(f"{sent}/packingSlip").content)).pages[0].extract_text()


def test_what_left_in_no_package_has_a_slip_and_no_label(buyer, path):
    order = buyer.get("/orders").json()["items"][0]
    shipment = buyer.post("/shipments", leaving(order, 7)).json()["shipmentId"]
    assert buyer.get(f"/shipments/{shipment}/labels").status_code == 404
    text = PdfReader(BytesIO(buyer.get(f"/shipments/{shipment}/packingSlip").content)).pages[0].extract_text()
    assert ("EARLY" in text, "LATE" in text) == (True, True)


def test_who_has_no_part_in_a_package_sees_neither_it_nor_its_papers(api, keeper, supplier, path):
    package = keeper.post(f"{path}/packages", box(5)).json()["packageId"]
    elsewhere = api(make.make_partner(kind="logistics", granted_warehouses=["W2"]))
    of_rotors = api(type(supplier).objects.get(code="SUP-2"))
    for stranger in (elsewhere, of_rotors):
        assert stranger.get("/packages").json()["items"] == []
        for below in ("", "/label", "/packingSlip"):
            assert stranger.get(f"/packages/{package}{below}").status_code == 404
    assert api(supplier).get(f"/packages/{package}").json()["lines"][0]["quantity"] == 5
