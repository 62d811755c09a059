"""The document as a whole: its names and words, the refusals written once, examples, and the catalogues."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from partners.api import catalogue, event_types, wording

PROBLEM = {
    "type": "object",
    "description": "A refusal (RFC 9457). `code` is stable; further members depend on it. Nothing was done.",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "examples": ["/api/docs/problems#insufficient_stock"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "examples": ["insufficient_stock"]},
        "detail": {"type": "string"},
        "instance": {"type": "string", "format": "uri-reference"},
        "requestId": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "field": {
                        "type": "string",
                        "examples": ["lines[0].quantity"],
                        "description": "The field, as the caller wrote it.",
                    },
                    "pointer": {
                        "type": "string",
                        "examples": ["#/lines/0/quantity"],
                        "description": "The same as a JSON pointer (RFC 6901).",
                    },
                    "detail": {"type": "string", "description": "What is wrong with it."},
                },
            },
        },
    },
    "additionalProperties": True,
}
HEADERS_OF_ANSWERS = {
    "ETag": "Which version this is; send it back as If-Match, or as If-None-Match to hear 304 where nothing changed.",
    "Location": "Where the new thing is.",
    "Idempotent-Replayed": "`true` where this is the answer an earlier request with the same key got.",
    "X-Request-Id": "The id of this request; yours, where you sent one of 8 to 64 letters, digits and `._:-`.",
}
LIMIT_HEADERS = {
    "RateLimit-Policy": {
        "description": "Units (q) the application may spend in so many seconds (w), on reads or on writes, as this call"
        " is one: the two are counted apart. A batch costs one for each of its parts, a page one for each 50 rows.",
        "schema": {"type": "string", "examples": ['"client";q=6000;w=60']},
    },
    "RateLimit": {
        "description": "Units that are left (r), and after how many seconds all are there again (t).",
        "schema": {"type": "string", "examples": ['"client";r=5412;t=23']},
    },
}


def complete(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:  # noqa: FBT001  as the library calls it
    """What no operation knows by itself; the last step of making the document."""
    components = result.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas["Problem"] = PROBLEM
    components["examples"] = {code: {"summary": row.title, "value": refusal(row)} for code, row in known().items()}
    result["paths"] = {
        wording.named(path)[0]: wording.with_names(path, methods) for path, methods in result["paths"].items()
    }
    for name, schema in schemas.items():
        wording.describe(schema, name)
    components["headers"] = LIMIT_HEADERS
    components["responses"] = share_answers(result["paths"])
    for methods in result["paths"].values():
        for operation in methods.values():
            _mark_fields(operation, schemas)
    result["x-problems"] = {
        code: {"status": row.status, "title": row.title, "meaning": row.meaning, "data": row.data, "remedy": row.remedy}
        for code, row in known().items()
    }
    result["x-events"] = {
        row["type"]: {name: row[name] for name in ("description", "toldTo", "isState", "schema", "example")}
        for row in event_types.types()
    }
    return result


def share_answers(paths: dict[str, Any]) -> dict[str, Any]:
    """Refusals that many operations answer alike are written once."""
    found: dict[str, list[tuple[dict[str, Any], str]]] = {}
    for methods in paths.values():
        for operation in methods.values():
            for status, answer in operation["responses"].items():
                if "x-codes" in answer:
                    codes = f"{status}: {' '.join(answer['x-codes'])}"
                    found.setdefault(codes, []).append((operation["responses"], status))
    shared: dict[str, Any] = {}
    for codes, places in sorted(found.items()):
        if len(places) > 1:
            status = codes[:3]
            number = sum(name.startswith(f"Refused{status}") for name in shared)
            name = f"Refused{status}{chr(ord('A') + number) if number else ''}"
            shared[name] = places[0][0][status]
            for answers, place in places:
                answers[place] = {"$ref": f"#/components/responses/{name}"}
    return shared


def known() -> dict[str, catalogue.Entry]:
    return catalogue.entries()


def refusal(entry: catalogue.Entry) -> dict[str, Any]:
    """A refusal as it was once answered, or as it would be."""
    return recorded_refusals().get(entry.code) or {
        "type": entry.type,
        "title": entry.title,
        "status": entry.status,
        "code": entry.code,
        "detail": entry.meaning,
        "requestId": "4f5c2d0e9a7b4c1d8e6f3a2b1c0d9e8f",
    }


# -- Examples --------------------------------------------------------------------------------------------


def illustrate(operation: dict[str, Any], *, floor: str) -> None:
    """Put what was once sent and answered beside what may be."""
    found = recorded(floor).get(operation["operationId"])
    if found is None:
        return
    if "requestBody" in operation and "request" in found:
        for content in operation["requestBody"]["content"].values():
            content.setdefault("examples", {})["recorded"] = {"value": found["request"]}
    answer = operation["responses"].get(str(found["status"]), {})
    if "answer" in found and "application/json" in answer.get("content", {}):
        answer["content"]["application/json"].setdefault("examples", {})["recorded"] = {"value": found["answer"]}
    if found.get("headers"):
        answer["headers"] = {
            name: {"description": HEADERS_OF_ANSWERS[name], "schema": {"type": "string"}} for name in found["headers"]
        }


@cache
def recorded(floor: str) -> dict[str, Any]:
    """What a run of tests/test_story.py sent and got at the doors of a floor, by operation."""
    file = dict(catalogue.floors()).get(floor)
    examples = Path(file, "api", "examples.json") if file else Path()
    return dict(json.loads(examples.read_text())) if examples.is_file() else {}


@cache
def recorded_refusals() -> dict[str, Any]:
    return {
        code: body
        for floor, _ in catalogue.floors()
        for found in recorded(floor).values()
        for code, body in found.get("refusals", {}).items()
    }


def _mark_fields(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Fields that will go, wherever the operation's answers and bodies name them."""
    gone = operation.pop("x-deprecated-fields", [])
    if not gone:
        return
    waiting = [operation.get("requestBody", {}), *operation["responses"].values()]
    seen: set[str] = set()
    while waiting:
        thing = waiting.pop()
        for name, inner in thing.get("properties", {}).items():
            if name in gone:
                inner["deprecated"] = True
        reference = thing.get("$ref", "").rpartition("/")[2]
        if reference in schemas and reference not in seen:
            seen.add(reference)
            waiting.append(schemas[reference])
        waiting += [inner for inner in thing.values() if isinstance(inner, dict)]
        waiting += [
            row for inner in thing.values() if isinstance(inner, list) for row in inner if isinstance(row, dict)
        ]
