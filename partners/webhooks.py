"""Letters to endpoints: what is in them, how they are signed (Standard Webhooks 1.0), and how often they are tried.

Pure but for the random numbers; who gets which letter is in operations/deliveries.py.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from partners.models import OutboxEvent, Partner

PREFIX = "whsec_"
SECRET_BYTES = 32
BOTH_SECRETS_HOURS = 24

# The waits between tries, in seconds: about three days in all, then the letter is parked.
WAITS = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
ATTEMPTS_MAX = len(WAITS) + 1
JITTER = 0.1
RETRY_AFTER_SECONDS_MAX = 86_400

# The events that carry a state: of a burst about one subject the newest says all.
STATES = frozenset({"inventory.updated"})
TEST_TYPE = "webhook.test"


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signature(secret: str, *, letter_id: str, timestamp: int, body: bytes) -> str:
    """`v1,` and the HMAC-SHA256 of id, timestamp and these very bytes."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = f"{letter_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def headers(*, letter_id: str, timestamp: int, body: bytes, keys: Iterable[str]) -> dict[str, str]:
    """With one signature for each secret that is good now, so that a receiver may change to the new one at leisure."""
    signed = [signature(key, letter_id=letter_id, timestamp=timestamp, body=body) for key in keys]
    return {
        "Content-Type": "application/cloudevents+json; charset=utf-8",
        "webhook-id": letter_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signed),
    }


def cloud_event(event: OutboxEvent, partner: Partner) -> dict[str, Any]:
    """The event as `GET /events` shows it to this partner, CloudEvents 1.0 in structured mode."""
    return {
        "specversion": "1.0",
        "id": str(event.event_id),
        "source": "/backstock",
        "type": event.type,
        "subject": event.subject,
        "time": event.occurred_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "sequence": event.position,
        "version": event.version_told_to(partner),
        "data": event.data_told_to(partner),
    }


def test_event(*, letter_id: str, webhook_id: str, at: datetime) -> dict[str, Any]:
    """A letter that tells of nothing but that letters arrive. It has no place in the feed."""
    return {
        "specversion": "1.0",
        "id": letter_id,
        "source": "/backstock",
        "type": TEST_TYPE,
        "subject": f"webhook/{webhook_id}",
        "time": at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": {"webhookId": webhook_id},
    }


def in_bytes(letter: Mapping[str, Any]) -> bytes:
    return json.dumps(letter, ensure_ascii=False, separators=(",", ":")).encode()


def wait_after(attempts: int, *, retry_after_seconds: int | None = None) -> timedelta | None:
    """How long to wait after so many tries; None: no more. Jitter keeps a crowd from coming back at once.

    An endpoint that said when it can be asked again is not asked before.
    """
    if attempts > len(WAITS):
        return None
    scheduled = WAITS[attempts - 1] * (1 + JITTER * (2 * random.random() - 1))  # noqa: S311  no secret hangs on it
    return timedelta(seconds=max(scheduled, retry_after_seconds or 0))


def seconds_of(retry_after: str, *, at: datetime) -> int | None:
    """`Retry-After` in seconds, as a number or as a date (RFC 9110 section 10.2.3); a day at most, None if not said."""
    if retry_after.isascii() and retry_after.isdigit():
        return min(int(retry_after[:9]), RETRY_AFTER_SECONDS_MAX)
    try:
        when = parsedate_to_datetime(retry_after)
    except (ValueError, TypeError, OverflowError):
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0, min(int((when - at).total_seconds()), RETRY_AFTER_SECONDS_MAX))


def products_of(payload: Mapping[str, Any]) -> set[str]:
    """Every product a payload names, by itself or in its lines."""
    rows: list[Any] = [payload, *(payload.get("lines") or []), *(payload.get("items") or [])]
    return {str(row["productId"]) for row in rows if isinstance(row, dict) and row.get("productId")}


def covers(newer: Mapping[str, Any], older: Mapping[str, Any]) -> bool:
    """Whether a state makes an older one of the same subject needless: it tells every level the other told, anew.

    A state names the levels that were touched, not all there are; another batch's is no substitute.
    """
    told = {_which(level): level["version"] for level in newer.get("levels", ())}
    return all(told.get(_which(level), 0) > level["version"] for level in older.get("levels", ()))


def _which(level: Mapping[str, Any]) -> Sequence[Any]:
    return level["batchNumber"], level["expirationDate"], level["condition"]


def crossing(was_low: bool | None, quantity: int, *, below: int, above: int) -> tuple[bool, bool]:  # noqa: FBT001
    """(is low now, whether to tell): low from less than `below` until `above` or more is there again.

    Between the two nothing is told, so that a number that trembles around one threshold is told once. What is
    heard of for the first time is told only when it is low.
    """
    is_low = quantity < above if was_low else quantity < below
    return is_low, is_low != bool(was_low)
