"""The process dies before or after any statement of a request; the same request again has one effect."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from unittest import mock

import pytest
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from partners.models import IdempotencyKey, OutboxEvent
from stock import proof
from stock.models import Level, Movement, Reservation
from tests import make
from tests.conftest import api_of
from tests.races.pauses import before_each_statement

BOUNDARIES_MAX = 200
DIED, LIVED = 9, 0


def die_at(boundary: int, call: Callable[[], object]) -> bool:
    """Make `call` in a child that dies at its boundary of this number; False where there are not so many.

    A boundary lies before the first statement, between any two, and around the COMMIT.
    """
    connections.close_all()  # the child must not speak on our connection
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            _live_until(boundary, call)
        os._exit(LIVED)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == DIED


def _live_until(boundary: int, call: Callable[[], object]) -> None:
    passed = 0

    def pass_by(sql: str = "") -> None:
        nonlocal passed
        passed += 1
        if passed == boundary:
            os._exit(DIED)

    commit = BaseDatabaseWrapper._commit

    def commit_between(wrapper: BaseDatabaseWrapper) -> None:
        pass_by()
        commit(wrapper)
        pass_by()

    with connection.cursor(), mock.patch.object(BaseDatabaseWrapper, "_commit", commit_between):
        with before_each_statement(pass_by):
            call()
        pass_by()


@pytest.fixture
def shop(own_database):
    """A partner's program, and products in one or in two batches."""
    warehouse = make.make_warehouse(code="HALL")
    plain, batched = make.make_variant(sku="PLAIN"), make.make_variant(sku="BATCHED", tracking="batch")
    make.make_level(variant=plain, warehouse=warehouse, on_hand=10_000)
    for number in (1, 2):
        make.make_level(
            variant=batched, warehouse=warehouse, on_hand=1_000 + number, batch_number=f"B{number}",
            expires_on=date(2090, 1, number),
        )  # fmt: skip
    return api_of(make.make_partner(code="SHOP"))


def at_each_boundary(request: Callable[[int], tuple[str, dict]], client, look: Callable[[int, dict], None]) -> int:
    """Die at boundary after boundary, each in a request of its own, ask again, and look; how many there were."""
    for boundary in range(1, BOUNDARIES_MAX):
        path, body = request(boundary)
        headers = {"Idempotency-Key": f"{path}-{boundary}"}
        if not die_at(boundary, lambda path=path, body=body, headers=headers: client.post(path, body, headers=headers)):
            return boundary - 1
        again = client.post(path, body, headers=headers)
        once_more = client.post(path, body, headers=headers)
        assert again.status_code in {200, 201}, (boundary, again.content)
        assert (once_more.content, once_more.headers["Idempotent-Replayed"]) == (again.content, "true")
        assert IdempotencyKey.objects.filter(key=headers["Idempotency-Key"]).count() == 1
        look(boundary, again.json())
    raise AssertionError("more boundaries than are looked at")


@pytest.mark.races
@pytest.mark.parametrize(
    "lines",
    [[("PLAIN", 1)], [("PLAIN", 1), ("BATCHED", 1)], [("BATCHED", 1_002)]],
    ids=["one product", "a basket", "two batches"],
)
def test_a_reservation_that_dies_anywhere_is_made_once(shop, lines):
    body = [{"productId": sku, "quantity": quantity} for sku, quantity in lines]
    wanted = sum(quantity for _, quantity in lines)

    def look(boundary, answer):
        kept = Reservation.objects.get(reference=f"cart-{boundary}")
        assert str(kept.public_id) == answer["reservationId"]
        assert sum(Level.objects.values_list("reserved", flat=True)) == wanted
        assert shop.post(f"/reservations/{kept.public_id}/release").status_code == 200

    boundaries = at_each_boundary(
        lambda boundary: ("/reservations", {"reference": f"cart-{boundary}", "lines": body}), shop, look
    )
    print(f"{boundaries} boundaries")
    assert boundaries >= 8
    # The last one lived: it holds its units.
    assert sum(Level.objects.values_list("reserved", flat=True)) == wanted
    assert proof.prove_ledger().differences == []


@pytest.mark.races
def test_a_commit_that_dies_anywhere_lets_the_goods_leave_once(shop):
    body = [{"productId": "PLAIN", "quantity": 2}, {"productId": "BATCHED", "quantity": 3}]

    def hold(boundary):
        made = shop.post("/reservations", {"reference": f"cart-{boundary}", "lines": body}).json()
        return f"/reservations/{made['reservationId']}/commit", {"orderId": f"SO-{boundary}"}

    def look(boundary, answer):
        assert answer["status"] == "committed"
        left = Movement.objects.filter(reference=f"SO-{boundary}").order_by("quantity")
        assert list(left.values_list("quantity", flat=True)) == [2, 3]
        assert sum(Level.objects.values_list("reserved", flat=True)) == 0

    told = OutboxEvent.objects.count()
    boundaries = at_each_boundary(hold, shop, look)
    print(f"{boundaries} boundaries")
    assert boundaries >= 12
    # Reserve and commit tell of two products each: nothing was told twice.
    assert OutboxEvent.objects.count() - told == (boundaries + 1) * 4
    assert proof.prove_ledger().differences == []


@pytest.mark.races
def test_without_the_key_who_asks_again_gets_it_twice(shop):
    """The negative control: a receipt has no name of its own, and only the key knows that it was booked."""
    supplier = make.make_partner(code="SUP", kind="supplier")
    make.make_variant(sku="OWN", suppliers=[supplier])
    client = api_of(supplier)
    body = {"type": "receipt", "warehouseLocation": "HALL", "quantity": 5}
    booked = []
    for boundary in range(1, BOUNDARIES_MAX):
        before = sum(Movement.objects.filter(variant__sku="OWN").values_list("quantity", flat=True))
        if not die_at(boundary, lambda: client.post("/inventory/SUP/OWN", body)):
            break
        assert client.post("/inventory/SUP/OWN", body).status_code == 201
        booked.append(sum(Movement.objects.filter(variant__sku="OWN").values_list("quantity", flat=True)) - before)
    assert set(booked) == {5, 10}, "it was booked once with a new key as well: the tests above prove nothing"
