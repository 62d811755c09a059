"""What events carry: the words by which each floor says it, in its own payloads.py.

A payload is documented as JSON Schema with an example, at /api/v1/events/types and /api/docs/events. Within /api/v1 a
field is never taken away or given another meaning; new ones may come, and an incompatible payload is a new type.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Schema = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Payload:
    """The `data` of one type of event: who hears it, and its fields; those named `optional` may be missing.

    A state may be coalesced: of several about one subject a partner may be sent the newest alone.
    """

    told_to: str
    fields: dict[str, Schema]
    optional: frozenset[str] = field(default_factory=frozenset)
    is_state: bool = False

    @property
    def schema(self) -> Schema:
        return thing(self.fields, optional=self.optional)

    @property
    def example(self) -> dict[str, Any]:
        return {name: example_of(schema) for name, schema in self.fields.items()}


def thing(fields: dict[str, Schema], *, optional: frozenset[str] = frozenset()) -> Schema:
    required = [name for name in fields if name not in optional]
    return {"type": "object", "required": required, "properties": {name: dict(row) for name, row in fields.items()}}


def text(example: str, description: str = "") -> Schema:
    return {"type": "string", "examples": [example]} | ({"description": description} if description else {})


def units(example: int = 3, description: str = "Stock units.") -> Schema:
    return {"type": "integer", "examples": [example], "description": description}


def flag(description: str, *, example: bool = True) -> Schema:
    return {"type": "boolean", "examples": [example], "description": description}


def day(example: str = "2027-11-30", description: str = "") -> Schema:
    return text(example, description) | {"format": "date"}


def one_of(*values: str, description: str = "") -> Schema:
    return text(values[0], description) | {"enum": list(values)}


def many(row: Schema, description: str) -> Schema:
    return {"type": "array", "items": row, "description": description}


def maybe(schema: Schema) -> Schema:
    """The same, or null."""
    return schema | {"type": [schema["type"], "null"]} | ({"enum": [*schema["enum"], None]} if "enum" in schema else {})


def example_of(schema: Schema) -> Any:
    if "examples" in schema:
        return schema["examples"][0]
    if "array" in schema["type"]:
        return [example_of(schema["items"])]
    return {name: example_of(row) for name, row in schema["properties"].items()}


PAYLOADS: dict[str, Payload] = {
    "webhook.stopped": Payload(
        told_to="Whose endpoint it is.",
        fields={
            "webhookId": text("5d0f7a4e-3b1c-4d2a-8e6f-9c7b5a3d1e02"),
            "status": one_of("paused", "disabled", description="disabled when it answered 410, else paused."),
            "statusReason": text("Every letter failed for 5 days.", "Why, for people."),
        },
    ),
}
