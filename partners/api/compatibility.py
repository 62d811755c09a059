"""What the document promises to callers, and whether another document still keeps it. Pure.

The committed promise (openapi.json) is the document without its words and examples, so that a change of it shows
nothing but what callers would notice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]
METHODS = ("get", "post", "put", "patch", "delete")
KEPT_OF_SCHEMAS = (
    "$ref", "type", "format", "enum", "const", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems",
    "maxItems", "deprecated",
)  # fmt: skip
UPPER = ("maximum", "maxLength", "maxItems")
LOWER = ("minimum", "minLength", "minItems")


# -- The promise ---------------------------------------------------------------------------------------


def promise(document: dict[str, Any]) -> dict[str, Any]:
    """What callers rely on: paths, parameters, bodies, answers, codes and events, without words."""
    return {
        "paths": {
            path: {method: _operation(row) for method, row in methods.items() if method in METHODS}
            for path, methods in document["paths"].items()
        },
        "schemas": {name: _schema(row) for name, row in document["components"]["schemas"].items()},
        "codes": {code: row["status"] for code, row in document.get("x-problems", {}).items()},
        "events": {name: _schema(row["schema"]) for name, row in document.get("x-events", {}).items()},
    }


def _operation(row: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": row["operationId"],
        "scopes": sorted(scope for need in row.get("security", []) for scopes in need.values() for scope in scopes),
        "parameters": {
            f"{one['in']} {one['name']}": {"required": bool(one.get("required")), "schema": _schema(one["schema"])}
            for one in row.get("parameters", [])
            if one["in"] != "path"
        },
        "answers": {
            status: {media: _schema(content.get("schema", {})) for media, content in answer.get("content", {}).items()}
            for status, answer in row["responses"].items()
            if status < "300"
        },
    }
    if "requestBody" in row:
        body = row["requestBody"]
        told["isBodyRequired"] = bool(body.get("required"))
        told["body"] = {media: _schema(content.get("schema", {})) for media, content in body["content"].items()}
    return told


def _schema(schema: Schema) -> Schema:
    kept: Schema = {name: schema[name] for name in KEPT_OF_SCHEMAS if name in schema}
    if "properties" in schema:
        kept["properties"] = {name: _schema(row) for name, row in schema["properties"].items()}
    if schema.get("required"):
        kept["required"] = sorted(schema["required"])
    if isinstance(schema.get("items"), dict):
        kept["items"] = _schema(schema["items"])
    for union in ("allOf", "oneOf", "anyOf"):
        rows = [_schema(row) for row in schema.get(union, [])]
        # A lone allOf is how a reference gets a description.
        if union == "allOf" and len(rows) == 1:
            kept |= rows[0]
        elif rows:
            kept[union] = rows
    return kept


# -- Whether it is kept ----------------------------------------------------------------------------------


def broken(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What of the old promise the new one takes away or narrows, each named; nothing when it only adds."""
    found: list[str] = []
    paths = {_bare(path): methods for path, methods in new["paths"].items()}
    for path, methods in old["paths"].items():
        for method, before in methods.items():
            name = f"{method.upper()} {path}"
            after = paths.get(_bare(path), {}).get(method)
            if after is None:
                found.append(f"{name} is gone")
            else:
                found += [f"{name}: {fault}" for fault in _worse(old, new, before, after)]
    for code, status in old["codes"].items():
        if code not in new["codes"]:
            found.append(f"code {code} is gone")
        elif new["codes"][code] != status:
            found.append(f"code {code}: status {status} became {new['codes'][code]}")
    for event, schema in old["events"].items():
        if event not in new["events"]:
            found.append(f"event {event} is gone")
        else:
            found += [f"event {event}: {fault}" for fault in _Comparison(old, new).told(schema, new["events"][event])]
    return found


def _bare(path: str) -> str:
    """What a part of a path is called is seen in the document alone."""
    return re.sub(r"\{\w+\}", "{}", path)


def _worse(old: dict[str, Any], new: dict[str, Any], before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    if before["operationId"] != after["operationId"]:
        yield f"operationId {before['operationId']} became {after['operationId']}"
    for scope in sorted(set(after["scopes"]) - set(before["scopes"])):
        yield f"needs the scope {scope}"
    for name, row in before["parameters"].items():
        if name not in after["parameters"]:
            yield f"{name} is gone"
        else:
            schema = after["parameters"][name]["schema"]
            yield from (f"{name}{fault}" for fault in _Comparison(old, new).taken(row["schema"], schema))
    for name, row in after["parameters"].items():
        if row["required"] and not before["parameters"].get(name, {}).get("required"):
            yield f"{name} is required now"
    if after.get("isBodyRequired") and not before.get("isBodyRequired") and "body" in before:
        yield "a body is required now"
    for media, schema in before.get("body", {}).items():
        if media not in after.get("body", {}):
            yield f"takes {media} no more"
        else:
            yield from (f"body{fault}" for fault in _Comparison(old, new).taken(schema, after["body"][media]))
    for status, contents in before["answers"].items():
        if status not in after["answers"]:
            yield f"answers {status} no more"
            continue
        for media, schema in contents.items():
            if media not in after["answers"][status]:
                yield f"answers {status} in {media} no more"
            else:
                faults = _Comparison(old, new).told(schema, after["answers"][status][media])
                yield from (f"answer {status}{fault}" for fault in faults)


class _Comparison:
    """Two schemas side by side; each pair of references is looked at once, so that what holds itself ends."""

    def __init__(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        self.old, self.new = old["schemas"], new["schemas"]
        self.seen: set[tuple[str, str]] = set()

    def taken(self, before: Schema, after: Schema, path: str = "") -> Iterator[str]:
        """What was taken from callers and is not any more."""
        pair = self._open(before, after)
        if pair is None:
            return
        before, after = pair
        lost = _types(before) - _types(after)
        # A whole number may be sent where any number is taken.
        if lost and not (lost == {"integer"} and "number" in _types(after)) and _types(after):
            yield f"{path} takes {', '.join(sorted(lost))} no more"
        if "enum" in after:
            gone = [str(value) for value in before.get("enum", []) if value not in after["enum"]]
            if "enum" not in before:
                yield f"{path} takes only some values now"
            elif gone:
                yield f"{path} takes {', '.join(gone)} no more"
        for name in UPPER:
            if name in after and after[name] < before.get(name, float("inf")):
                yield f"{path} {name} fell from {before.get(name, 'any')} to {after[name]}"
        for name in LOWER:
            if name in after and after[name] > before.get(name, 0 if name != "minimum" else float("-inf")):
                yield f"{path} {name} rose from {before.get(name, 'any')} to {after[name]}"
        for name in ("pattern", "format"):
            if after.get(name) != before.get(name) and name in after:
                yield f"{path} has another {name}"
        for name in set(after.get("required", [])) - set(before.get("required", [])):
            yield f"{path}.{name} is required now"
        for name, row in before.get("properties", {}).items():
            if name not in after.get("properties", {}):
                yield f"{path}.{name} is gone"
            else:
                yield from self.taken(row, after["properties"][name], f"{path}.{name}")
        yield from self._inside(self.taken, before, after, path)

    def told(self, before: Schema, after: Schema, path: str = "") -> Iterator[str]:
        """What callers were told and are not any more, or in another form."""
        pair = self._open(before, after)
        if pair is None:
            return
        before, after = pair
        more = _types(after) - _types(before)
        if _types(before) and (more or not _types(after)) and not (more == {"integer"} and "number" in _types(before)):
            yield f"{path} may be {', '.join(sorted(more)) or 'anything'} now"
        if before.get("format") != after.get("format") and "format" in before:
            yield f"{path} has another format"
        for name, row in before.get("properties", {}).items():
            if name not in after.get("properties", {}):
                yield f"{path}.{name} is gone"
                continue
            if name in before.get("required", []) and name not in after.get("required", []):
                yield f"{path}.{name} may be missing now"
            yield from self.told(row, after["properties"][name], f"{path}.{name}")
        yield from self._inside(self.told, before, after, path)

    def _inside(self, compare: Any, before: Schema, after: Schema, path: str) -> Iterator[str]:
        if "items" in before and "items" in after:
            yield from compare(before["items"], after["items"], f"{path}[]")
        for union in ("allOf", "oneOf", "anyOf"):
            for one, other in zip(before.get(union, []), after.get(union, []), strict=False):
                yield from compare(one, other, path)
            if len(after.get(union, [])) < len(before.get(union, [])):
                yield f"{path} has fewer forms"

    def _open(self, before: Schema, after: Schema) -> tuple[Schema, Schema] | None:
        one, other = before.get("$ref", ""), after.get("$ref", "")
        if one and other:
            if (one, other) in self.seen:
                return None
            self.seen.add((one, other))
        return _resolved(before, self.old), _resolved(after, self.new)


def _resolved(schema: Schema, schemas: dict[str, Schema]) -> Schema:
    while "$ref" in schema:
        beside = {name: value for name, value in schema.items() if name != "$ref"}
        schema = schemas.get(schema["$ref"].rpartition("/")[2], {}) | beside
    return schema


def _types(schema: Schema) -> set[str]:
    kind = schema.get("type", [])
    return {kind} if isinstance(kind, str) else set(kind)
