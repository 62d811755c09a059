"""Whether a schema that staff wrote may be kept: it means something, and asking it never costs much. Pure.

JSON Schema draft 2020-12 without what would reach outside (remote references), run in circles (recursion),
multiply itself (references to references, counted written out) or hide which attributes there are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import re2
from jsonschema import Draft202012Validator, FormatChecker

from catalog import schemas
from partners.problems import InvalidInput

BYTES_MAX = 50_000
DEPTH_MAX = 12
# With every reference written out: a product is checked against no more rules than these.
RULES_MAX = 2_000
PATTERN_MAX = 500
PROPERTIES_MAX = 100
NAME_MAX = 80
FILTERS_MAX = 40
REFUSED = {
    "$id": "schemas do not name each other", "$anchor": "refer by #/$defs/<name>",
    "$dynamicRef": "refer by #/$defs/<name>", "$dynamicAnchor": "refer by #/$defs/<name>",
    "$vocabulary": "the vocabulary is that of draft 2020-12",
    "patternProperties": "name the attributes one by one", "unevaluatedProperties": "use additionalProperties",
    "unevaluatedItems": "use items",
}  # fmt: skip
# Keywords whose members are schemas under names of their own, and keywords that hold values and no schemas.
NAMED = {"properties", "$defs", "dependentSchemas"}
VALUES = {"enum", "const", "default", "examples", "required", "dependentRequired"}
REF = "#/$defs/"
# PostgreSQL keeps neither NUL nor half of a surrogate pair.
NOT_KEPT = re.compile(r"[\x00\ud800-\udfff]")


def read(text: str) -> dict[str, Any]:
    """A schema as somebody typed it. Raises InvalidInput at `schema`."""
    if len(text) > BYTES_MAX:
        raise _wrong(f"It takes more than {BYTES_MAX:,} bytes.")
    try:
        schema = json.loads(text, object_pairs_hook=_no_name_twice)
    except RecursionError as error:
        raise _wrong(f"It is nested deeper than {DEPTH_MAX} levels.") from error
    except ValueError as error:
        raise _wrong(f"It is no JSON: {str(error)[:200]}.") from error
    if not isinstance(schema, dict):
        raise _wrong("Write an object.")
    return schema


def check(schema: Mapping[str, Any]) -> None:
    """Raises InvalidInput at `schema`, naming the place and the reason, where it may not be kept."""
    _check_values(schema, 0)
    if len(json.dumps(schema)) > BYTES_MAX:
        raise _wrong(f"It takes more than {BYTES_MAX:,} bytes.")
    if schema.get("$schema", schemas.DIALECT) != schemas.DIALECT:
        raise _wrong(f"$schema: the dialect is {schemas.DIALECT}.")
    if schema.get("type") != "object":
        raise _wrong('type: write "object", which is what the attributes are.')
    # The library's own check would run `re` over patterns; they are RE2's here, and looked at below.
    meta = Draft202012Validator(Draft202012Validator.META_SCHEMA, format_checker=FormatChecker(()))
    if error := next(meta.iter_errors(schema), None):
        place = "/".join(str(step) for step in error.absolute_path)
        raise _wrong(f"{place or 'schema'}: {error.message[:200]}.")
    for place, rule in _rules(schema, ""):
        _check_rule(rule, place, schema)
    _check_properties(schema.get("properties", {}))
    _count(schema, schema, {})


def _check_values(value: Any, depth: int) -> None:
    if depth > DEPTH_MAX:
        raise _wrong(f"It is nested deeper than {DEPTH_MAX} levels.")
    if isinstance(value, str) and NOT_KEPT.search(value):
        raise _wrong("It holds a character that cannot be kept.")
    if isinstance(value, float) and not abs(value) < float("inf"):
        raise _wrong("NaN and Infinity are no numbers.")
    if isinstance(value, int) and abs(value) >= 10**18:
        raise _wrong("A number has more than 18 digits.")
    if isinstance(value, Mapping):
        for name in value:
            _check_values(name, depth)
    for inner in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        _check_values(inner, depth + 1)


def _inner(rule: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The schemas directly in a schema, each with the step that leads there."""
    for word, value in rule.items():
        if word in VALUES or word.startswith("x-"):
            continue
        if word in NAMED:
            yield from ((f"{word}/{name}", inner) for name, inner in value.items())
        elif isinstance(value, list):
            yield from ((f"{word}/{place}", inner) for place, inner in enumerate(value))
        else:
            yield word, value


def _rules(rule: Mapping[str, Any], place: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield place, rule
    for step, inner in _inner(rule):
        if isinstance(inner, Mapping):
            yield from _rules(inner, f"{place}{step}/")


def _check_rule(rule: Mapping[str, Any], place: str, schema: Mapping[str, Any]) -> None:
    for word in REFUSED.keys() & rule.keys():
        raise _wrong(f"{place}{word}: is not used here; {REFUSED[word]}.")
    if place and "$schema" in rule:
        raise _wrong(f"{place}$schema: stands at the top only.")
    target = rule.get("$ref")
    if target is not None and not (target.startswith(REF) and target.removeprefix(REF) in schema.get("$defs", {})):
        raise _wrong(f"{place}$ref: refer to a schema under $defs of this one, as {REF}<name>.")
    if rule.get("format", schemas.FORMATS[0]) not in schemas.FORMATS:
        raise _wrong(f"{place}format: only {' and '.join(schemas.FORMATS)} are checked; write a pattern.")
    if "pattern" in rule:
        _check_pattern(rule["pattern"], place)


def _check_pattern(text: str, place: str) -> None:
    if len(text) > PATTERN_MAX:
        raise _wrong(f"{place}pattern: has more than {PATTERN_MAX} characters.")
    try:
        schemas.pattern(text)
    except re2.error as error:
        said = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error)
        raise _wrong(f"{place}pattern: {said}. Patterns are RE2's, which looks neither ahead nor back.") from error


def _check_properties(properties: Mapping[str, Any]) -> None:
    if len(properties) > PROPERTIES_MAX:
        raise _wrong(f"properties: a product has at most {PROPERTIES_MAX} attributes.")
    asked_for = 0
    for name, rule in properties.items():
        if not 0 < len(name) <= NAME_MAX or not name.isprintable():
            raise _wrong(f"properties/{name[:NAME_MAX]}: a name has 1 to {NAME_MAX} characters one can see.")
        if not isinstance(rule, Mapping):
            raise _wrong(f"properties/{name}: write an object; {{}} takes any value.")
        if not isinstance(rule.get("x-filter", False), bool):
            raise _wrong(f"properties/{name}/x-filter: write true or false.")
        asked_for += rule.get("x-filter", False)
    if asked_for > FILTERS_MAX:
        raise _wrong(f"properties: at most {FILTERS_MAX} are declared with x-filter.")


def _count(rule: Any, schema: Mapping[str, Any], known: dict[str, int | None]) -> int:
    """How many rules there are with references written out; `known` holds those of $defs, null while counting."""
    if not isinstance(rule, Mapping):
        return 1
    total = 1 + sum(_count(inner, schema, known) for step, inner in _inner(rule) if not step.startswith("$defs/"))
    if "$ref" in rule:
        name = rule["$ref"].removeprefix(REF)
        if name in known and known[name] is None:
            raise _wrong(f"$defs/{name}: refers to itself; attributes are flat.")
        if name not in known:
            known[name] = None
            known[name] = _count(schema["$defs"][name], schema, known)
        total += known[name] or 0
    if total > RULES_MAX:
        raise _wrong(f"With its references written out it has more than {RULES_MAX:,} rules.")
    return total


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError("a name is there twice in one object")
    return result


def _wrong(detail: str) -> InvalidInput:
    return InvalidInput.at("schema", detail)
