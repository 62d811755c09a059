"""The names and words of the document: paths as the contract writes them, and what each field means."""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from typing import Any

from partners.api import catalogue, pagination


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


def with_names(path: str, methods: dict[str, Any]) -> dict[str, Any]:
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


def describe(schema: dict[str, Any], name: str) -> None:
    """Give each field that says nothing of its own the words it has in the house."""
    plain = re.sub(r"^Patched|Request$", "", name)
    short = re.sub(r"(Fields|Asked)$", "", plain)
    for field, inner in schema.get("properties", {}).items():
        if {} in inner.get("oneOf", []):
            # Anything or null is anything; said as one of both, null would be two of them and fit neither.
            del inner["oneOf"]
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
