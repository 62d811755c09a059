"""Partners are heard: a discrepancy is counted, an order is rated once, and staff answer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from orders.models import Feedback
from orders.operations import hearing
from partners.models import OutboxEvent, Partner
from partners.problems import IllegalStep
from stock.models import Batch, Count
from tests import make

SHIP_TO = {"name": "x", "country": "US", "postalCode": "1"}


@pytest.fixture
def place(supplier) -> dict[str, Any]:
    warehouse = make.make_warehouse(code="W1")
    variant = make.make_variant(sku="SAUCE", suppliers=[supplier], tracking="batch")
    make.make_level(variant=variant, warehouse=warehouse, on_hand=10, batch_number="B1")
    return {"variant": variant, "warehouse": warehouse}


def ordered(client) -> str:
    lines = [{"productId": "SAUCE", "quantity": 1}]
    placed = client.post("/orders", {"externalReference": "PO", "shipTo": SHIP_TO, "lines": lines})
    return str(placed.json()["orderId"])


MISSED = {"kind": "discrepancy", "productId": "SAUCE", "warehouseLocation": "W1", "countedQuantity": 8}


def test_a_discrepancy_has_the_product_counted_once_while_the_count_is_open(api, place, retailer):
    client = api(retailer)
    first = client.post("/feedback", MISSED)
    assert (first.status_code, first.json()["status"], first.json()["isBeingCounted"]) == (201, "open", True)
    assert first["Location"] == f"/api/v1/feedback/{first.json()['feedbackId']}"
    client.post("/feedback", MISSED | {"countedQuantity": 7})
    [count] = Count.objects.all()
    assert (count.is_blind, count.lines.get().variant, count.lines.get().counted) == (True, place["variant"], None)
    assert set(Feedback.objects.values_list("count", flat=True)) == {count.pk}
    Count.objects.update(state=Count.State.CANCELLED, ended_at=timezone.now())
    client.post("/feedback", MISSED)
    assert Count.objects.count() == 2


def test_feedback_is_not_taken_twice_under_one_key_and_not_at_all_without(api, place, retailer):
    client = api(retailer)
    assert client.post("/feedback", MISSED, headers={"Idempotency-Key": None}).status_code == 400
    for _ in range(2):
        assert client.post("/feedback", MISSED, headers={"Idempotency-Key": "k"}).status_code == 201
    assert Feedback.objects.count() == 1


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"kind": "discrepancy", "productId": "SAUCE"}, "warehouseLocation"),
        ({"kind": "discrepancy", "warehouseLocation": "W1"}, "productId"),
        ({"kind": "delay"}, "orderId"),
        ({"kind": "quality"}, "productId"),
        ({"kind": "other"}, "comment"),
        ({"kind": "other", "comment": "x", "countedQuantity": 1}, "countedQuantity"),
        ({"kind": "other", "rating": 6}, "rating"),
        ({"kind": "other", "comment": "x" * 2_001}, "comment"),
        ({"kind": "delay", "orderId": "SO-NOT-MINE"}, "orderId"),
        ({"kind": "quality", "productId": "SAUCE", "batchNumber": "B9"}, "batchNumber"),
        ({"kind": "discrepancy", "productId": "SAUCE", "warehouseLocation": "W9"}, "warehouseLocation"),
    ],
)
def test_feedback_that_lacks_what_it_is_about_is_refused_by_field(api, place, retailer, said, field):
    answer = api(retailer).post("/feedback", said)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    assert [row["field"] for row in answer.json()["errors"]] == [field]
    assert (Feedback.objects.count(), Count.objects.count()) == (0, 0)


def test_an_order_is_rated_once_by_a_partner(api, place, retailer):
    client = api(retailer)
    rated = {"kind": "other", "orderId": ordered(client), "rating": 4}
    first = client.post("/feedback", rated).json()["feedbackId"]
    again = client.post("/feedback", rated | {"rating": 1})
    assert (again.status_code, again.json()["code"], again.json()["feedbackId"]) == (409, "already_rated", first)
    assert list(Feedback.objects.values_list("rating", flat=True)) == [4]


def test_what_a_partner_said_is_between_it_and_us(api, place, retailer, stranger):
    mine = api(retailer).post("/feedback", MISSED).json()["feedbackId"]
    other = api(stranger)
    assert other.get(f"/feedback/{mine}").status_code == 404
    assert other.get("/feedback").json()["items"] == []
    assert [row["feedbackId"] for row in api(retailer).get("/feedback?status=open").json()["items"]] == [mine]
    elsewhere = api(make.make_partner(granted_warehouses=["W9"]))
    assert elsewhere.post("/feedback", MISSED).json()["errors"][0]["field"] == "warehouseLocation"


def test_no_more_is_taken_than_somebody_can_answer(api, place, retailer, monkeypatch):
    monkeypatch.setattr(hearing, "OPEN_MAX", 2)
    client = api(retailer)
    said = {"kind": "other", "comment": "hello"}
    assert [client.post("/feedback", said).status_code for _ in range(3)] == [201, 201, 429]
    assert Feedback.objects.count() == 2


@pytest.fixture
def keeper(staff) -> Client:
    client = Client()
    client.force_login(staff)
    return client


def test_staff_answer_and_close_and_the_partner_reads_it(api, place, retailer, keeper):
    client = api(retailer)
    number = client.post("/feedback", {"kind": "delay", "orderId": ordered(client), "comment": "where?"}).json()
    said = Feedback.objects.get(number=number["feedbackId"])
    page = keeper.get(reverse("admin:orders_order_change", args=[said.order_id])).content.decode()
    assert "where?" in page, "beside its order"
    hearing.answer(feedback=said, text="On its way.", actor=make.TESTER, at=timezone.now())
    hearing.answer(feedback=said, text="On its way.", actor=make.TESTER, at=timezone.now())
    told = client.get(f"/feedback/{said.number}")
    assert (told.json()["status"], told.json()["answer"], told["ETag"]) == ("answered", "On its way.", '"2"')
    hearing.close(feedback=said, actor=make.TESTER, at=timezone.now())
    with pytest.raises(IllegalStep) as refused:
        hearing.answer(feedback=said, text="x", actor=make.TESTER, at=timezone.now())
    assert refused.value.data["currentStatus"] == "closed"
    assert client.get(f"/feedback/{said.number}").json()["status"] == "closed"
    types = OutboxEvent.objects.filter(subject=f"feedback/{said.number}").order_by("id").values_list("type", flat=True)
    assert list(types) == ["feedback.received", "feedback.answered", "feedback.closed"]
    assert [row.history_change_reason for row in Feedback.history.order_by("history_id")][1:] == [
        "feedback answered", "feedback closed",
    ]  # fmt: skip


def test_a_complaint_about_a_batch_lets_staff_hold_it_back(api, place, retailer):
    client = api(retailer)
    client.post("/feedback", {"kind": "quality", "productId": "SAUCE", "batchNumber": "B1", "comment": "bitter"})
    said = Feedback.objects.get()
    assert Batch.objects.get().hold_state == "released", "staff decide"
    hearing.hold_back(feedback=said, actor=make.TESTER, at=timezone.now())
    assert Batch.objects.get().hold_state == "quarantined"
    client.post("/feedback", {"kind": "quality", "productId": "SAUCE"})
    with pytest.raises(IllegalStep):
        hearing.hold_back(feedback=Feedback.objects.first(), actor=make.TESTER, at=timezone.now())


def test_the_staff_pages_show_and_step(api, place, retailer, keeper):
    api(retailer).post("/feedback", MISSED)
    said = Feedback.objects.get()
    assert said.number in keeper.get(reverse("admin:orders_feedback_changelist")).content.decode()
    page = keeper.get(reverse("admin:orders_feedback_change", args=[said.pk])).content.decode()
    assert said.count.number in page
    answer = reverse("admin:orders_feedback_answer_this", args=[said.pk])
    assert answer in page
    keeper.post(answer, {"_form_submitted": "True", "text": "We went and looked."})
    keeper.post(reverse("admin:orders_feedback_close_this", args=[said.pk]), {"_form_submitted": "True"})
    said.refresh_from_db()
    assert (said.status, said.answer) == ("closed", "We went and looked.")


def test_twins_at_one_moment_open_one_count(own_database):
    supplier, partner = make.make_partner(kind="supplier"), make.make_partner()
    warehouse, variant = make.make_warehouse(), make.make_variant(suppliers=[supplier])
    make.make_level(variant=variant, warehouse=warehouse)
    barrier = Barrier(4)

    def say(_: int) -> None:
        mine = Partner.objects.get(pk=partner.pk)
        with transaction.atomic():
            barrier.wait()
            hearing.hear(
                partner=mine, kind="discrepancy", variant=variant, warehouse=warehouse, actor=make.TESTER,
                at=timezone.now(),
            )  # fmt: skip
        connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(say, range(4)))
    assert (Feedback.objects.count(), Count.objects.count()) == (4, 1)
