"""The catalogue of events: what outbox knows of each type, and what its floor says it carries."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from partners import outbox
from partners.api import catalogue, wording
from partners.payloads import Payload


@cache
def payloads() -> dict[str, Payload]:
    """What the events of all floors carry."""
    return {name: row for floor, _ in catalogue.floors() for name, row in payloads_of(floor).items()}


def payloads_of(floor: str) -> dict[str, Payload]:
    return getattr(import_module(f"{floor}.payloads"), "PAYLOADS", {})


@cache
def types() -> list[dict[str, Any]]:
    """The catalogue: what outbox knows of each type, and what its floor says it carries."""
    rows = []
    for name, text in outbox.TYPES.items():
        payload = payloads()[name]
        schema = payload.schema
        wording.describe(schema, "")
        rows.append(
            {
                "type": name,
                "description": text,
                "toldTo": payload.told_to,
                "isState": payload.is_state,
                "schema": schema,
                "example": payload.example,
            }
        )
    return rows
