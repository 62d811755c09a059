"""Once and only once, from many sides at once, over a real server, and through replies that are lost.

At full size: GATE_TWINS=50 GATE_THROUGH_LOSSES=10000 uv run pytest tests/gate/test_keys.py -m races -s
"""

from __future__ import annotations

import http.client
import json
import os
import random
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.db import connection, connections, transaction
from django.test.testcases import LiveServerThread, _StaticFilesHandler
from django.utils import timezone

from partners import idempotency, tasks
from partners.models import IdempotencyKey
from stock import proof
from stock.models import Level, Movement, Reservation
from tests import make
from tests.conftest import api_of
from tests.races.crowd import all_at_once

KEYS, TWINS, AT_ONCE = 200, int(os.environ.get("GATE_TWINS", "10")), 16
THROUGH_LOSSES = int(os.environ.get("GATE_THROUGH_LOSSES", "200"))


@pytest.fixture
def shop(own_database):
    """A partner's program, and plenty of one product."""
    warehouse = make.make_warehouse(code="HALL")
    supplier = make.make_partner(code="SUP", kind="supplier")
    variant = make.make_variant(sku="PLAIN", suppliers=[supplier])
    make.make_level(variant=variant, warehouse=warehouse, on_hand=1_000_000)
    return api_of(supplier)


RECEIPT = {"type": "receipt", "warehouseLocation": "HALL", "quantity": 3}


def receive(client: Any, key: str, body: dict[str, Any] | None = None, **more: Any) -> Any:
    return client.post("/inventory/SUP/PLAIN", body or RECEIPT, headers={"Idempotency-Key": key}, **more)


def received() -> int:
    return Movement.objects.filter(kind="receipt", quantity=3).count()


@pytest.mark.races
def test_two_hundred_keys_asked_by_many_twins_each_have_two_hundred_effects(shop):
    """All of them over 16 connections, shuffled so that twins meet; a receipt has no name but its key."""
    asked = [number for number in range(KEYS) for _ in range(TWINS)]
    random.Random(7).shuffle(asked)  # noqa: S311  a shuffle that can be repeated

    def some(place: int) -> list[tuple[int, int, bytes, bool]]:
        found = []
        for number in asked[place::AT_ONCE]:
            answer = receive(shop, f"key-{number}")
            while answer.status_code >= 400 and answer.json()["code"] in {"idempotency_in_progress", "busy"}:
                answer = receive(shop, f"key-{number}")
            found.append((number, answer.status_code, answer.content, "Idempotent-Replayed" in answer))
        return found

    results = all_at_once(AT_ONCE, some, patience_seconds=600)
    assert [result for result in results if isinstance(result, Exception)] == []
    answers = [answer for result in results for answer in result]
    assert len(answers) == KEYS * TWINS
    assert {status for _, status, _, _ in answers} == {201}
    for number in range(KEYS):
        twins = [(body, replayed) for key, _, body, replayed in answers if key == number]
        assert len({body for body, _ in twins}) == 1, "byte for byte the same"
        assert [replayed for _, replayed in twins].count(False) == 1, "one of them was the first"
    assert received() == KEYS
    assert proof.prove_ledger().differences == []


@pytest.mark.races
def test_without_the_claim_twins_book_twice(shop):
    """The negative control: the same storm on one key, with the claim taken out."""

    def never_there(*, application_id: int, key: str, fingerprint: str) -> tuple[IdempotencyKey, bool]:
        return IdempotencyKey(application_id=application_id, key=key, fingerprint=fingerprint), True

    with mock.patch.object(idempotency, "claim", never_there):
        answers = all_at_once(8, lambda place: receive(shop, "one-key").status_code)
    assert set(answers) == {201}
    assert received() == 8, "eight effects of one key: the tests above would see a claim that does not hold"


class Lossy(socketserver.BaseRequestHandler):
    """Passes a request on, and breaks the connection instead of the reply for half of them."""

    def handle(self) -> None:
        chance: random.Random = self.server.chance  # type: ignore[attr-defined]
        with socket.create_connection(self.server.behind) as behind:  # type: ignore[attr-defined]
            request = self._whole(self.request)
            if not request:
                return
            behind.sendall(request)
            reply = self._whole(behind)
        self.server.passed += 1  # type: ignore[attr-defined]
        if chance.random() < 0.5:
            self.server.lost += 1  # type: ignore[attr-defined]
            return
        self.request.sendall(reply)

    @staticmethod
    def _whole(peer: socket.socket) -> bytes:
        """One message with its body, by Content-Length."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = peer.recv(65_536)
            if not piece:
                return data
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")), 0
        )
        while len(body) < length:
            body += peer.recv(65_536)
        return head + b"\r\n\r\n" + body


@contextmanager
def lossy_server() -> Iterator[tuple[socketserver.ThreadingTCPServer, int]]:
    """A live server on this database, behind a proxy that loses replies."""
    server = LiveServerThread("127.0.0.1", _StaticFilesHandler, connections_override={})
    server.daemon = True
    server.start()
    server.is_ready.wait()
    assert server.error is None, server.error
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    proxy = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Lossy)
    proxy.daemon_threads = True
    proxy.behind, proxy.chance = ("127.0.0.1", server.port), random.Random(11)  # type: ignore[attr-defined]  # noqa: S311
    proxy.lost = proxy.passed = 0  # type: ignore[attr-defined]
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy, proxy.server_address[1]
    finally:
        proxy.shutdown()
        proxy.server_close()
        server.terminate()


def until_answered(port: int, token: str, path: str, body: dict[str, Any], key: str) -> tuple[int, bytes, int]:
    """Ask again and again until a reply comes; (status, body, tries)."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Idempotency-Key": key}
    headers |= {"Connection": "close", "Host": "localhost"}
    for tries in range(1, 60):
        there = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            there.request("POST", f"/api/v1{path}", json.dumps(body), headers)
            answer = there.getresponse()
            return answer.status, answer.read(), tries
        except (http.client.HTTPException, OSError):
            continue
        finally:
            there.close()
    raise AssertionError(f"no reply to {key} in 60 tries")


@pytest.mark.races
def test_through_a_line_that_loses_half_the_replies_each_key_has_one_effect(shop):
    """Reserves and receipts in turn: a reservation has a reference of its own, a receipt has nothing but its key."""
    with lossy_server() as (proxy, port):

        def some(place: int) -> list[int]:
            found = []
            for one in range(place, THROUGH_LOSSES, 8):
                cart = {"reference": f"cart-{one}", "lines": [{"productId": "PLAIN", "quantity": 1}]}
                path, body = ("/inventory/SUP/PLAIN", RECEIPT) if one % 2 else ("/reservations", cart)
                status, _, _ = until_answered(port, shop.token, path, body, f"key-{one}")
                found.append(status)
            return found

        results = all_at_once(8, some, patience_seconds=3_600)
        passed, lost = proxy.passed, proxy.lost  # type: ignore[attr-defined]
    assert [result for result in results if isinstance(result, Exception)] == []
    assert {status for result in results for status in result} == {201}
    print(f"{THROUGH_LOSSES} keys, {passed} requests, {lost} replies lost")
    assert lost > THROUGH_LOSSES / 3
    assert (Reservation.objects.count(), received()) == (THROUGH_LOSSES // 2, THROUGH_LOSSES // 2)
    assert IdempotencyKey.objects.count() == THROUGH_LOSSES
    assert sum(Level.objects.values_list("reserved", flat=True)) == THROUGH_LOSSES // 2
    assert proof.prove_ledger().differences == []


@pytest.mark.races
def test_a_twin_of_one_that_takes_too_long_is_told_to_come_again(shop):
    application = shop_application(shop)
    mark = idempotency.fingerprint(method="POST", path="/api/v1/inventory/SUP/PLAIN", body=RECEIPT)
    taken, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            idempotency.claim(application_id=application, key="slow", fingerprint=mark)
            taken.set()
            go_on.wait(60)
        connections.close_all()

    first = threading.Thread(target=hold)
    first.start()
    assert taken.wait(60)
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '50ms'")
    told = receive(shop, "slow")
    go_on.set()
    first.join()
    assert (told.status_code, told.json()["code"], told["Retry-After"]) == (409, "idempotency_in_progress", "1")
    assert received() == 0


@pytest.mark.races
@pytest.mark.parametrize(
    ("lock", "is_a_twin"),
    [
        ("INSERT INTO partners_idempotencykey (application_id, key, fingerprint, headers, created_at)"
         " VALUES (%s, 'slow', 'f', '{}', now())", True),
        ("SELECT FROM stock_level WHERE %s > 0 FOR UPDATE", False),
    ],
    ids=["the key", "the shelf"],
)  # fmt: skip
def test_only_a_twin_of_the_key_is_said_to_be_still_running(shop, lock, is_a_twin):
    """A reservation takes its key and its units in one statement, and may wait in it for either."""
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(lock, [shop_application(shop)])
        with connection.cursor() as ours:
            ours.execute("SET lock_timeout = '50ms'")
        told = reserve(shop, "slow")
        cursor.execute("ROLLBACK")
    other.close()
    assert (told.json()["code"] == "idempotency_in_progress") == is_a_twin, told.content
    assert told.status_code >= 400
    assert (Reservation.objects.count(), IdempotencyKey.objects.count()) == (0, 0)
    again = reserve(shop, "slow")
    assert (again.status_code, Reservation.objects.count()) == (201, 1)


def reserve(client: Any, key: str, reference: str = "cart-1") -> Any:
    body = {"reference": reference, "lines": [{"productId": "PLAIN", "quantity": 1}]}
    return client.post("/reservations", body, headers={"Idempotency-Key": key})


@pytest.mark.races
def test_a_key_that_is_taken_reserves_nothing_more(shop):
    """The same words under another reference are another wish; the key knows better."""
    first = reserve(shop, "one")
    other = reserve(shop, "one", reference="cart-2")
    again = reserve(shop, "one")
    assert (first.status_code, other.status_code, other.json()["code"]) == (201, 422, "idempotency_key_reused")
    assert (again.content, again["Idempotent-Replayed"]) == (first.content, "true")
    assert (Reservation.objects.count(), sum(Level.objects.values_list("reserved", flat=True))) == (1, 1)


def shop_application(client: Any) -> int:
    from oauth2_provider.models import AccessToken

    return int(AccessToken.objects.latest("pk").application_id)


@pytest.fixture
def supplier_client(supplier):
    make.make_variant(sku="PLAIN", suppliers=[supplier])
    make.make_warehouse(code="HALL")
    return api_of(supplier)


def ask(client: Any, body: str, key: str = "one") -> Any:
    return client.request("POST", "/inventory/SUP-1/PLAIN", body=body, headers={"Idempotency-Key": key})


def test_the_order_of_keys_white_space_and_spelling_do_not_make_another_request(supplier_client):
    first = ask(supplier_client, '{"type":"receipt","warehouseLocation":"HALL","quantity":3,"reason":"caf\\u00e9"}')
    for same in (
        ' {"quantity": 3,\n"reason": "café", "warehouseLocation": "HALL", "type": "receipt"} ',
        '{"type":"receipt","warehouseLocation":"HALL","quantity":3.0,"reason":"café"}',
        '{"type":"receipt","warehouseLocation":"HALL","quantity":0.3e1,"reason":"café"}',
    ):
        again = ask(supplier_client, same)
        assert (first.status_code, again.content, again["Idempotent-Replayed"]) == (201, first.content, "true"), same
    assert received() == 1


@pytest.mark.parametrize(
    "other",
    [
        {"quantity": 4}, {"quantity": "3"}, {"quantity": 3.5}, {"quantity": True}, {"reason": "x"}, {"reason": ""},
        {"batchNumber": None}, {"quantity": [3]},
    ],
)  # fmt: skip
def test_another_body_under_the_same_key_is_refused_and_does_nothing(supplier_client, other):
    assert ask(supplier_client, json.dumps(RECEIPT)).status_code == 201
    refused = ask(supplier_client, json.dumps(RECEIPT | other))
    assert (refused.status_code, refused.json()["code"], received()) == (422, "idempotency_key_reused", 1)


def test_the_same_key_on_another_route_is_another_request(supplier_client):
    assert ask(supplier_client, json.dumps(RECEIPT)).status_code == 201
    same = RECEIPT | {"productId": "PLAIN"}
    refused = supplier_client.post("/inventory/transactions", same, headers={"Idempotency-Key": "one"})
    assert (refused.status_code, refused.json()["code"], received()) == (422, "idempotency_key_reused", 1)


def test_a_refusal_that_may_be_mended_leaves_the_key_free_and_a_final_one_keeps_it(supplier_client):
    assert ask(supplier_client, json.dumps(RECEIPT | {"quantity": 0})).status_code == 422
    assert ask(supplier_client, json.dumps(RECEIPT)).status_code == 201
    gone = {"type": "writeOff", "warehouseLocation": "HALL", "quantity": 99}
    first = ask(supplier_client, json.dumps(gone), key="two")
    again = ask(supplier_client, json.dumps(gone), key="two")
    assert (first.status_code, again.content, again["Idempotent-Replayed"]) == (409, first.content, "true")
    assert again["Content-Type"] == "application/problem+json"


def test_after_three_days_a_key_is_new_again(supplier_client):
    first = ask(supplier_client, json.dumps(RECEIPT))
    nearly = timezone.now() - timedelta(hours=idempotency.KEPT_HOURS - 1)
    IdempotencyKey.objects.update(created_at=nearly)
    tasks.purge_idempotency_keys()
    assert ask(supplier_client, json.dumps(RECEIPT)).content == first.content
    assert received() == 1
    IdempotencyKey.objects.update(created_at=nearly - timedelta(hours=2))
    tasks.purge_idempotency_keys()
    new = ask(supplier_client, json.dumps(RECEIPT))
    assert (new.status_code, "Idempotent-Replayed" in new, received()) == (201, False, 2)


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "schlüssel", '""', "a\tb"])
def test_a_key_that_cannot_be_one_is_refused_and_nothing_is_done(supplier_client, key):
    answer = ask(supplier_client, json.dumps(RECEIPT), key=key)
    assert (answer.status_code, answer.json()["code"], received()) == (400, "idempotency_key_malformed", 0)
