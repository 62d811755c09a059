"""A recall blocks a batch everywhere at once, breaks its promises, and says who got some."""

from __future__ import annotations

from datetime import date

import pytest
from django.utils import timezone

from catalog.models import Pack, Variant
from partners.models import OutboxEvent
from stock import proof, tracing
from stock.models import Batch, Level, Recall
from stock.operations import holds, movements, reservations
from stock.operations.promising import Wanted
from tests import make
from tests.conftest import api_of

SHIP_TO = {"name": "x", "country": "US", "postalCode": "1"}


@pytest.fixture
def shelves(supplier):
    """One batch of a sauce, 10 in each of two warehouses, and another batch beside it."""
    sauce = make.make_variant(sku="SAUCE", suppliers=[supplier], tracking="batch")
    for code in ("W1", "W2"):
        make.make_level(
            variant=sauce, warehouse=make.make_warehouse(code=code), batch_number="B1", expires_on=date(2090, 1, 1)
        )
    Batch.objects.update(supplier=supplier)
    return sauce


def reserve(client, quantity: int, reference: str, warehouse: str = "W1"):
    lines = [{"productId": "SAUCE", "quantity": quantity, "warehouseLocation": warehouse}]
    return client.post("/reservations", {"reference": reference, "lines": lines}).json()


def recall() -> Recall:
    batch = Batch.objects.get(number="B1")
    return holds.recall_batch(batch=batch, reason="glass in it", actor=make.TESTER, at=timezone.now())


def book() -> list[tuple[int, int]]:
    return list(Level.objects.order_by("pk").values_list("on_hand", "reserved"))


def addressees(event_type: str) -> list[set[int]]:
    return [set(ids) for ids in OutboxEvent.objects.filter(type=event_type).values_list("addressee_ids", flat=True)]


def test_a_recall_breaks_every_promise_in_every_warehouse_and_counts(api, retailer, shelves):
    for warehouse, quantity in (("W1", 4), ("W2", 5)):
        reserve(api(retailer), quantity, f"cart-{warehouse}", warehouse)
    made = recall()
    assert (made.state, made.blocked, made.promises_broken) == ("open", 20, 9)
    assert book() == [(10, 0), (10, 0)]
    assert Batch.objects.get(number="B1").hold_state == "recalled"
    assert len(addressees("inventory.shortage")) == 2
    answer = api(retailer).post("/reservations", {"reference": "n", "lines": [{"productId": "SAUCE", "quantity": 1}]})
    assert answer.json()["code"] == "insufficient_stock"
    assert proof.prove_ledger().differences == []


def test_recalled_again_answers_the_same_open_recall(shelves):
    first = recall()
    assert recall().pk == first.pk
    assert (Recall.objects.count(), len(addressees("batch.recalled"))) == (1, 1)
    for _ in range(2):
        assert holds.close_recall(recall=first, actor=make.TESTER, at=timezone.now()).state == "closed"
    assert recall().pk != first.pk, "a new recall, once the first is closed"


def test_supplier_holders_and_those_who_got_some_are_told_and_nobody_else(api, retailer, supplier, stranger, shelves):
    got_some = make.make_partner(code="RET-3")
    held = reserve(api(got_some), 2, "sold")
    api(got_some).post(f"/reservations/{held['reservationId']}/commit")
    given_back = reserve(api(stranger), 2, "given back")
    api(stranger).post(f"/reservations/{given_back['reservationId']}/release")
    reserve(api(retailer), 3, "cart")
    made = recall()
    assert addressees("batch.recalled") == [{supplier.pk, retailer.pk, got_some.pk}]
    payload = OutboxEvent.objects.get(type="batch.recalled").payload
    assert payload == {
        "productId": "SAUCE", "batchNumber": "B1", "expirationDate": "2090-01-01", "holdState": "recalled",
        "reason": "glass in it", "recallId": made.number, "relatedRecallIds": [],
    }, "no quantities: how much others have is not theirs"  # fmt: skip


def test_a_line_that_lost_its_promise_to_a_recall_waits_again(api, retailer, shelves):
    client = api(retailer)
    lines = [{"productId": "SAUCE", "quantity": 6}]
    order = client.post("/orders", {"externalReference": "PO", "shipTo": SHIP_TO, "lines": lines}).json()
    client.post(f"/orders/{order['orderId']}/confirm")
    recall()
    sent = {"orderId": order["orderId"], "warehouseLocation": "W1", "carrier": "UPS", "trackingNumber": "1Z"}
    answer = client.post("/shipments", sent | {"lines": lines})
    assert (answer.status_code, answer.json()["code"]) == (409, "insufficient_stock")
    assert book() == [(10, 0), (10, 0)]


def test_the_trace_names_who_got_how_many_and_how_much_of_it_is_known(api, retailer, shelves):
    client = api(retailer)
    for reference, quantity in (("A", 2), ("B", 3)):
        path = f"/reservations/{reserve(client, quantity, reference)['reservationId']}/commit"
        assert client.post(path).status_code == 200
    at = timezone.now()
    movements.book(
        kind="receipt", variant=shelves, warehouse=make.make_warehouse(code="W3"), quantity=7, batch_number="B1",
        reference="PO-77", actor=make.TESTER, at=at,
    )  # fmt: skip
    found = tracing.trace(batch=Batch.objects.get(number="B1"))
    assert [(row.partner_code, row.reference, row.quantity) for row in found.holders] == [
        ("RET-1", "B", 3), ("RET-1", "A", 2),
    ]  # fmt: skip
    assert (found.shipped, found.traced, found.coverage, found.received) == (5, 5, 1.0, 27)
    assert [(row.reference, row.quantity) for row in found.sources] == [("", 20), ("PO-77", 7)]


def test_units_that_left_for_nobody_known_are_told_as_such(shelves):
    """A hold of our own, without a partner, leaves: the trace has it, and names nobody."""
    made, _ = reservations.reserve(
        reference="till", wanted=[Wanted(variant=shelves, quantity=2)], partner=None, actor=make.TESTER,
        at=timezone.now(),
    )  # fmt: skip
    reservations.commit(reservation=made, reference="", actor=make.TESTER, at=timezone.now())
    [row] = tracing.trace(batch=Batch.objects.get(number="B1")).holders
    assert (row.partner_code, row.quantity) == (None, 2)


def test_a_trace_costs_three_queries_and_its_lists_are_bounded(api, retailer, shelves, django_assert_num_queries):
    client = api(retailer)
    for place in range(4):
        path = f"/reservations/{reserve(client, 1, f'cart-{place}')['reservationId']}/commit"
        client.post(path)
    batch = Batch.objects.get()
    with django_assert_num_queries(3):
        found = tracing.trace(batch=batch, limit=3)
    assert (len(found.holders), found.traced) == (3, 4)


def test_a_recall_counts_what_lies_in_every_warehouse(supplier):
    sauce = make.make_variant(suppliers=[supplier], tracking="batch")
    for _ in range(5):
        make.make_level(variant=sauce, warehouse=make.make_warehouse(), on_hand=200, batch_number="B1")
    assert recall().blocked == 1_000
    assert {level.batch.hold_state for level in Level.objects.select_related("batch")} == {"recalled"}


# -- The same goods under another SKU


@pytest.fixture
def packed(supplier, house):
    """Five cases of 24 sauces in batch C1; beside them ten sauces of a C1 of another origin, and a pallet of cases."""
    pallet, case, sauce, other = (
        make.make_variant(sku=sku, suppliers=[supplier], tracking="batch")
        for sku in ("PALLET", "CASE", "SAUCE", "OTHER")
    )
    Pack.objects.create(variant=sauce, name="case", quantity=24, stocked_as=case)
    Pack.objects.create(variant=case, name="pallet", quantity=40, stocked_as=pallet)
    Pack.objects.create(
        variant=other, name="box", quantity=6, stocked_as=make.make_variant(sku="BOX", tracking="batch")
    )
    warehouse = make.make_warehouse(code="W1")
    for variant in (pallet, case, sauce, other):
        make.make_level(variant=variant, warehouse=warehouse, batch_number="C1", on_hand=5)
    Batch.objects.update(supplier=supplier)
    return api_of(house)


@pytest.fixture
def house(db):
    return make.make_partner(code="SHOP", kind="channel")


def break_pack(client, sku: str = "CASE", **change):
    sent = {"productId": sku, "direction": "open", "quantity": 1, "warehouseLocation": "W1", "batchNumber": "C1"}
    assert client.post("/inventory/breaks", sent | change).status_code == 201


def recalled() -> set[str]:
    return set(Recall.objects.filter(state="open").values_list("batch__variant__sku", flat=True))


def held() -> set[str]:
    return set(Batch.objects.filter(hold_state="recalled").values_list("variant__sku", flat=True))


@pytest.mark.parametrize("sku", ["CASE", "SAUCE"])
def test_opened_packs_and_their_units_are_recalled_together(api, retailer, packed, sku):
    break_pack(packed)
    cart = {"reference": "cart", "lines": [{"productId": "SAUCE", "quantity": 20}]}
    assert api(retailer).post("/reservations", cart).status_code == 201
    answer = packed.post(f"/batches/{sku}/C1/recall", {"reason": "glass"})
    body = answer.json()
    assert answer.status_code == 201
    assert (recalled(), held()) == ({"CASE", "SAUCE"}, {"CASE", "SAUCE"})
    [other] = Recall.objects.exclude(number=body["recallId"])
    assert (other.reason, other.promises_broken + body["promisesBroken"]) == ("glass", 20)
    assert body["relatedRecallIds"] == [other.number]
    assert packed.get(f"/recalls/{other.number}").json()["relatedRecallIds"] == [body["recallId"]]
    told = OutboxEvent.objects.filter(type="batch.recalled").values_list("payload", flat=True)
    assert {row["productId"]: (row["reason"], row["relatedRecallIds"]) for row in told} == {
        sku: ("glass", [other.number]), other.batch.variant.sku: ("glass", [body["recallId"]]),
    }  # fmt: skip
    assert packed.post(f"/batches/{sku}/C1/recall", {"reason": "again"}).json()["recallId"] == body["recallId"]
    assert Recall.objects.count() == 2
    assert proof.prove_ledger().differences == []


def test_packed_up_units_are_recalled_with_their_packs(packed):
    break_pack(packed)
    break_pack(packed, direction="pack", quantity=24)
    packed.post("/batches/CASE/C1/recall", {"reason": "glass"})
    assert recalled() == {"CASE", "SAUCE"}


def test_goods_are_followed_from_pack_to_pack(packed):
    break_pack(packed, "PALLET")
    break_pack(packed)
    packed.post("/batches/SAUCE/C1/recall", {"reason": "glass"})
    assert recalled() == {"PALLET", "CASE", "SAUCE"}


def test_the_same_number_alone_recalls_nothing_else(packed):
    packed.post("/batches/CASE/C1/recall", {"reason": "glass"})
    assert (recalled(), held()) == ({"CASE"}, {"CASE"})


def test_others_breaks_under_the_same_reference_and_number_are_left_alone(packed):
    make.make_level(
        variant=Variant.objects.get(sku="BOX"),
        warehouse=make.make_warehouse(code="W2"), batch_number="C1", on_hand=5,
    )  # fmt: skip
    break_pack(packed, reference="night shift")
    break_pack(packed, "BOX", reference="night shift", warehouseLocation="W2")
    packed.post("/batches/CASE/C1/recall", {"reason": "glass"})
    assert recalled() == {"CASE", "SAUCE"}


def test_an_open_recall_of_the_other_stays_as_it_is_and_is_named(packed):
    first = packed.post("/batches/SAUCE/C1/recall", {"reason": "mould"}).json()
    assert first["relatedRecallIds"] == []
    packed.post(f"/recalls/{first['recallId']}/close")
    packed.post("/batches/SAUCE/C1/lift")
    break_pack(packed)
    second = packed.post("/batches/SAUCE/C1/recall", {"reason": "glass"}).json()
    packed.post(f"/recalls/{second['recallId']}/close")
    third = packed.post("/batches/SAUCE/C1/recall", {"reason": "more glass"}).json()
    [of_case] = Recall.objects.filter(batch__variant__sku="CASE")
    assert (of_case.reason, third["relatedRecallIds"]) == ("glass", [of_case.number])
    assert second["relatedRecallIds"] == [of_case.number]
    assert packed.get(f"/recalls/{first['recallId']}").json()["relatedRecallIds"] == []
