"""The document as a whole: the names of its paths, the words of its fields, examples, and the catalogues."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from partners.api import catalogue, pagination

API = "/api/v1"
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


def complete(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:  # noqa: FBT001  as the library calls it
    """What no operation knows by itself; the last step of making the document."""
    components = result.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas["Problem"] = PROBLEM
    components["examples"] = {code: {"summary": row.title, "value": refusal(row)} for code, row in known().items()}
    result["paths"] = {named(path)[0]: _with_names(path, methods) for path, methods in result["paths"].items()}
    for name, schema in schemas.items():
        describe(schema, name)
    components["responses"] = share_answers(result["paths"])
    for methods in result["paths"].values():
        for operation in methods.values():
            _mark_fields(operation, schemas)
    result["x-problems"] = {
        code: {"status": row.status, "title": row.title, "meaning": row.meaning, "data": row.data, "remedy": row.remedy}
        for code, row in known().items()
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


# -- Names -------------------------------------------------------------------------------------------


def named(path: str) -> tuple[str, dict[str, str]]:
    """The path with its parts called as in the contract, and what they were called: `/orders/{orderId}`."""
    nouns, renamed, waiting = paths(), {}, []
    written: list[str] = []
    for part in path.split("/"):
        if not part.startswith("{"):
            waiting = list(nouns.get(f"{written[-1] if written else ''}/{part}", nouns.get(part, ())))
            written.append(part)
            continue
        name = waiting.pop(0) if waiting else part.strip("{}")
        renamed[part.strip("{}")] = name
        written.append(f"{{{name}}}")
    return "/".join(written), renamed


def _with_names(path: str, methods: dict[str, Any]) -> dict[str, Any]:
    renamed = named(path)[1]
    for operation in methods.values():
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "path":
                parameter["name"] = renamed[parameter["name"]]
                parameter.setdefault("description", words()["PATHS"].get(parameter["name"], ""))
                if parameter["schema"] == {"type": "string"}:
                    parameter["schema"] = {"type": "string", "minLength": 1, "maxLength": 120}
            elif parameter["in"] == "query":
                parameter.setdefault("description", words()["WORDS"].get(f"?{parameter['name']}", ""))
                _bound(parameter["schema"])
        for answer in operation["responses"].values():
            for content in answer.get("content", {}).values():
                describe(content.get("schema", {}), "")
    return methods


def _bound(schema: dict[str, Any]) -> None:
    """A query is one line: what has no bound of its own is bounded by what a line of HTTP may be."""
    if schema.get("type") == "string" and not {"enum", "format", "maxLength", "pattern"} & set(schema):
        schema["maxLength"] = pagination.QUERY_CHARACTERS_MAX


# -- Words ---------------------------------------------------------------------------------------------


def describe(schema: dict[str, Any], name: str) -> None:
    """Give each field that says nothing of its own the words it has in the house."""
    plain = re.sub(r"^Patched|Request$", "", name)
    short = re.sub(r"(Fields|Asked)$", "", plain)
    for field, inner in schema.get("properties", {}).items():
        if not inner.get("description"):
            for key in (f"{plain}.{field}", f"{short}.{field}", field):
                if text := words()["WORDS"].get(key):
                    if "$ref" in inner:
                        inner["allOf"] = [{"$ref": inner.pop("$ref")}]
                    inner["description"] = text
                    break
        describe(inner, "")
    if isinstance(schema.get("items"), dict):
        describe(schema["items"], "")


@cache
def words() -> dict[str, dict[str, str]]:
    """The words of all floors: those of fields, and those of the parts of a path."""
    found: dict[str, dict[str, str]] = {"WORDS": {}, "PATHS": {}}
    for module in _modules("api.words"):
        found["WORDS"] |= module.WORDS
        found["PATHS"] |= {name: text for parts in module.PATHS.values() for name, text in parts.items()}
    return found


@cache
def paths() -> dict[str, tuple[str, ...]]:
    """How the contract names what follows a noun in a path."""
    return {noun: tuple(parts) for module in _modules("api.words") for noun, parts in module.PATHS.items()}


def _modules(name: str) -> list[Any]:
    return [import_module(f"{floor}.{name}") for floor, _ in catalogue.floors()]


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
    if not answer.get("description"):
        answer["description"] = "Done." if found["status"] != 200 else "What there is."


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
