"""POST /imports of stock: opened, started, applied by a worker, and nobody else's business."""

from __future__ import annotations

import pytest

from stock import tasks
from stock.models import Movement, StockImport
from stock.operations import stating_rows
from tests import make
from tests.conftest import api_of
from tests.orders import stating
from tests.orders.stating import assigned, book, completed

ITEMS = [{"productId": "P", "quantity": 17}, {"productId": "NOBODY", "quantity": 1}]


@pytest.fixture
def hall(db):
    return stating.external()


@pytest.fixture
def keeper(hall, supplier):
    make.make_level(variant=make.make_variant(sku="P", suppliers=[supplier]), warehouse=hall, on_hand=10)
    return api_of(make.make_partner(code="3PL-1", kind="logistics", granted_warehouses=["DC1"]))


@pytest.fixture
def body(hall, keeper, retailer):
    stamp = completed(assigned(retailer, "P", "ff1"))
    return {
        "kind": "stock", "basis": "onHand", "warehouseLocation": "DC1", "logicalTimestampEnd": stamp, "items": ITEMS,
        "snapshotId": "S-1",
    }  # fmt: skip


def upload(client, name: str, content: bytes, **words: str):
    lines = [f'--x\r\nContent-Disposition: form-data; name="{word}"\r\n\r\n{text}\r\n' for word, text in words.items()]
    head = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    sent = "".join(lines).encode() + head.encode() + content + b"\r\n--x--\r\n"
    return client.client.generic(
        "POST", "/api/v1/imports", sent, content_type="multipart/form-data; boundary=x",
        headers={"Authorization": f"Bearer {client.token}", "Idempotency-Key": name},
    )  # fmt: skip


def test_numbers_are_taken_in_started_and_applied(keeper, hall, body):
    answer = keeper.post("/imports", body)
    told = answer.json()
    assert (answer.status_code, told["status"], told["rows"], told["refused"]) == (201, "created", 2, 1)
    assert told["rejects"][0]["reasons"][0]["field"] == "productId"
    assert (told["acknowledgedThrough"], book("P", hall)) == (0, (9, 9))
    path = answer["Location"].removeprefix("/api/v1")
    started = keeper.post(f"{path}/start", {})
    assert (started.status_code, started.json()["status"]) == (202, "running")
    tasks.work_on_stock_imports()
    told = keeper.get(path).json()
    assert (told["status"], told["changed"], told["acknowledgedThrough"]) == ("applied", 1, body["logicalTimestampEnd"])
    assert book("P", hall) == (17, 17)
    [row] = keeper.get(f"{path}/rows?outcome=changed").json()["items"]
    assert (row["productId"], row["quantity"], row["leftSince"]) == ("P", 17, 0)
    assert [one["importId"] for one in keeper.get("/imports?kind=stock").json()["items"]] == [told["importId"]]
    assert keeper.get("/imports").json()["items"] == []
    assert keeper.post("/imports", body).json()["importId"] == told["importId"]


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"basis": None}, 422, "basis"),
        ({"basis": "guessed"}, 422, "basis"),
        ({"warehouseLocation": "NOWHERE"}, 422, "warehouseLocation"),
        ({"warehouseLocation": None}, 422, "warehouseLocation"),
        ({"logicalTimestampStart": 9, "logicalTimestampEnd": 8}, 422, "logicalTimestampStart"),
        ({"logicalTimestampStart": 1, "logicalTimestampEnd": None}, 422, "logicalTimestampEnd"),
        ({"items": None}, 422, "items"),
        ({"logicalTimestampEnd": 99}, 422, None),
    ],
)
def test_what_cannot_be_meant_is_refused_and_named(keeper, body, change, status, field):
    asked = {name: value for name, value in (body | change).items() if value is not None}
    answer = keeper.post("/imports", asked)
    assert answer.status_code == status, answer.json()
    if field:
        assert [one["field"] for one in answer.json()["errors"]] == [field]
    else:
        assert answer.json()["code"] == "range_ahead"
    assert StockImport.objects.count() == 0


def test_an_import_of_somebody_else_is_not_there(keeper, body):
    number = keeper.post("/imports", body).json()["importId"]
    stranger = api_of(make.make_partner(code="3PL-2", kind="logistics"))
    assert stranger.get(f"/imports/{number}").status_code == 404
    assert stranger.get(f"/imports/{number}/rows").status_code == 404
    assert stranger.post(f"/imports/{number}/start", {}).status_code == 404
    assert stranger.get("/imports?kind=stock").json()["items"] == []


def test_a_supplier_states_its_own_products_only(body, hall):
    other = api_of(make.make_partner(code="SUP-9", kind="supplier"))
    told = other.post("/imports", body | {"items": ITEMS[:1]}).json()
    assert (told["refused"], told["rows"]) == (1, 1)
    assert told["rejects"][0]["reasons"][0]["field"] == "productId"


def test_who_may_not_set_levels_may_not_by_the_thousand(body):
    reader = api_of(make.make_partner(code="3PL-3", kind="logistics"), "imports:write imports:read")
    answer = reader.post("/imports", body)
    assert (answer.status_code, StockImport.objects.count()) == (403, 0)


def test_a_file_is_taken_in_by_chunks_and_resumed_behind_the_last(keeper, hall, body, monkeypatch):
    monkeypatch.setattr(stating_rows, "CHUNK_ROWS", 2)
    for number in range(5):
        make.make_variant(sku=f"F-{number}")
    rows = "\n".join(f"F-{number};{number + 1}" for number in range(5))
    answer = upload(
        keeper, "stock.csv", f"sku;quantity\n{rows}\nP;9\n".encode(), kind="stock", basis="onHand",
        warehouseLocation="DC1", logicalTimestampEnd=str(body["logicalTimestampEnd"]),
    )  # fmt: skip
    assert answer.status_code == 201, answer.json()
    made, take_in, chunks = StockImport.objects.get(), stating_rows.take_in, []

    def killed(**asked) -> None:
        if len(chunks) == 2:
            raise SystemExit
        chunks.append(asked)
        take_in(**asked)

    monkeypatch.setattr(stating_rows, "take_in", killed)
    with pytest.raises(SystemExit):
        stating_rows.take_in_file(stock_import=made)
    monkeypatch.setattr(stating_rows, "take_in", take_in)
    made.refresh_from_db()
    assert (made.row_count, made.taken_in_at) == (4, None)
    path = f"/imports/{made.number}"
    assert keeper.post(f"{path}/start", {}).status_code == 202
    tasks.work_on_stock_imports()
    told = keeper.get(path).json()
    assert (told["status"], told["rows"], told["changed"], told["unchanged"]) == ("applied", 6, 5, 1)
    assert ([book(f"F-{number}", hall)[0] for number in range(5)], book("P", hall)) == ([1, 2, 3, 4, 5], (9, 9))


def test_a_file_nobody_can_read_fails_and_changes_nothing(keeper, body):
    answer = upload(keeper, "stock.xlsx", b"no workbook", kind="stock", basis="onHand", warehouseLocation="DC1")
    before = Movement.objects.count()
    tasks.work_on_stock_imports()
    told = keeper.get(f"/imports/{answer.json()['importId']}").json()
    assert (told["status"], Movement.objects.count()) == ("failed", before)
    assert "workbook" in told["reason"]
    refused = keeper.post(f"/imports/{told['importId']}/start", {})
    assert (refused.status_code, refused.json()["code"]) == (409, "illegal_step")
