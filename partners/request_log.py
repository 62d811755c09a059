"""One JSON line for each call of the API: what was asked by whom, how it ended, how long it took, what it cost.

The route is the template, never the address, and no header or body is written: an address may name a customer,
and a header a secret.
"""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime
from typing import Protocol

PREFIXES = ("/api/v1/", "/oauth/")
log = logging.getLogger(__name__)


class Known(Protocol):
    """What the gate knew of the call."""

    client_id: str
    cost: int


def write(*, method: str, route: str, status: int, began: float, request_id: str, passage: Known | None) -> None:
    """`began` by time.perf_counter; `route` empty where there is none."""
    if log.isEnabledFor(logging.INFO):
        line = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "method": method,
            "route": route or None,
            "status": status,
            "ms": round((time.perf_counter() - began) * 1_000, 2),
            "client": passage.client_id or None if passage else None,
            "requestId": request_id,
            "cost": passage.cost if passage else 0,
        }
        text = json.dumps(line, separators=(",", ":"))
        # Without looking for the caller's file and line, which takes longer than all the rest.
        log.handle(logging.LogRecord(log.name, logging.INFO, "", 0, text, None, None))
