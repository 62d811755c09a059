"""The floor of the HTTP benchmark: one statement through psycopg, and nothing else.

No token, no limits, no idempotency, no checks, no explanation: it answers whoever asks, and a call that is sent
twice is done twice.
"""

from __future__ import annotations

import json
import os
import threading
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import psycopg

# As in stock/availability.py, by SKU; the server of the benchmark does not load Django for this.
SUPPLIES = """
    SELECT variant.sku, warehouse.code, batch.number,
           batch.expires_on + (%(today)s::date - (%(at)s AT TIME ZONE warehouse.time_zone)::date),
           CASE WHEN level.condition <> 'sellable' THEN level.condition
                WHEN NOT warehouse.is_active THEN 'warehouseClosed'
                WHEN batch.hold_state <> 'released' THEN batch.hold_state ELSE '' END AS barred,
           sum(level.on_hand)::bigint, sum(level.reserved)::bigint
      FROM stock_level level
      JOIN stock_location location ON location.id = level.location_id
      JOIN stock_warehouse warehouse ON warehouse.id = location.warehouse_id
      JOIN catalog_variant variant ON variant.id = level.variant_id
      LEFT JOIN stock_batch batch ON batch.id = level.batch_id
     WHERE level.variant_id = ANY(ARRAY(SELECT id FROM catalog_variant WHERE sku = ANY(%(skus)s::text[])))
       AND level.on_hand > 0 AND level.owner_id IS NULL
     GROUP BY variant.sku, level.variant_id, warehouse.id, batch.id, barred
     ORDER BY level.variant_id, warehouse.code, batch.expires_on NULLS LAST, batch.number
"""
RESERVE = """
    SELECT made_id, made_until FROM stock_reserve_one(
        %(id)s, NULL::bigint, %(reference)s, '', %(fingerprint)s, 900,
        (SELECT id FROM catalog_variant WHERE sku = %(sku)s), '', %(quantity)s::bigint, NULL::text[], 'job:bench', '',
        %(at)s)
"""
mine = threading.local()


def fetch(statement: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    if not hasattr(mine, "connection"):
        mine.connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
    return list(mine.connection.execute(statement, parameters, prepare=True).fetchall())


def look_up(body: dict[str, Any]) -> dict[str, Any]:
    at = datetime.now(UTC)
    skus = [line["productId"] for line in body["lines"]]
    free: dict[str, int] = defaultdict(int)
    for sku, _, _, expires_on, barred, on_hand, reserved in fetch(
        SUPPLIES, {"today": at.date(), "at": at, "skus": skus}
    ):
        if not barred and (expires_on is None or expires_on >= at.date()):
            free[sku] += on_hand - reserved
    return {"lines": [{"productId": sku, "availableQuantity": free[sku]} for sku in skus]}


def reserve(body: dict[str, Any]) -> dict[str, Any]:
    [line] = body["lines"]
    name = uuid.uuid4()
    [(_, until)] = fetch(
        RESERVE,
        {
            "id": name, "reference": body["reference"], "fingerprint": "f" * 64, "sku": line["productId"],
            "quantity": line["quantity"], "at": datetime.now(UTC),
        },
    )  # fmt: skip
    return {"reservationId": str(name), "expiresAt": until.isoformat()}


def application(environ: dict[str, Any], start: Callable[[str, list[tuple[str, str]]], Any]) -> Iterable[bytes]:
    if environ["REQUEST_METHOD"] == "GET":
        answer: dict[str, Any] = {}
    else:
        body = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        answer = reserve(body) if environ["PATH_INFO"].endswith("reservations") else look_up(body)
    sent = json.dumps(answer).encode()
    start("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(sent)))])
    return [sent]
