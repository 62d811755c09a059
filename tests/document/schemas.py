"""Does a value fit a schema of the document? With jsonschema, as OpenAPI 3.1 means it."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

from partners.api import event_types
from partners.models import OutboxEvent

FORMATS = FormatChecker(["date", "uuid", "email"])


@FORMATS.checks("date-time", raises=ValueError)
def is_moment(value: object) -> bool:
    """RFC 3339 always names the offset."""
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


def faults_of(document: dict[str, Any], schema: dict[str, Any], value: Any) -> list[str]:
    """Each place that does not fit, in words; nothing when all fits."""
    whole = {"components": document["components"], **schema}
    validator = Draft202012Validator(whole, format_checker=FORMATS)
    return [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(value)]


@cache
def _validator(event_type: str) -> Draft202012Validator:
    return Draft202012Validator(event_types.payloads()[event_type].schema, format_checker=FORMATS)


def misfits(event: OutboxEvent) -> list[str]:
    """What of an event's payload is not as its type says; also what it carries beyond that."""
    faults = [
        f"{error.json_path}: {error.message[:200]}" for error in _validator(event.type).iter_errors(event.payload)
    ]
    more = sorted(set(event.payload) - set(event_types.payloads()[event.type].fields))
    return [f"{event.type} {fault}" for fault in faults] + [f"{event.type} carries {name}, too" for name in more]
