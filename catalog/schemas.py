"""What a product's attributes must be like, by the JSON Schema of its type (draft 2020-12). Pure.

A schema is understood once and kept: `understood(schema)` answers a Validator, whose `errors_of` costs some
microseconds a value and asks nothing of the database. `Schemas` is the newest of every type, for those who
check many products; `queries.newest_schemas` reads it.

Attributes are flat (texts, numbers, booleans and lists of those), so an error's place is always an attribute or
an item of one. Patterns are matched by RE2, in time linear to the text, whatever the pattern: `re` would let
one pattern of the staff's and one text of a partner's stop a worker.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import islice
from typing import Any

import re2
from jsonschema import Draft202012Validator, FormatChecker, ValidationError, validators

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FORMATS = ("date", "uuid")
ERRORS_MAX = 20
# So many values are named in a sentence; a list of choices may be long.
NAMED_MAX = 30
HINT_MAX = 200
NUMBER = re.compile(r"-?(0|[1-9]\d{0,17})(\.\d{1,17})?", re.ASCII)
INTEGER = re.compile(r"-?(0|[1-9]\d{0,17})", re.ASCII)
KINDS = {
    "string": "a text", "number": "a number", "integer": "a whole number", "boolean": "true or false",
    "array": "a list", "object": "an object", "null": "null",
}  # fmt: skip
ANY = frozenset({"string", "number", "integer", "boolean"})


@dataclass(frozen=True, kw_only=True)
class FieldError:
    """One attribute that cannot be used: `field` as the caller wrote it, a sentence naming what would do."""

    field: str
    detail: str

    @property
    def name(self) -> str:
        """The attribute's own name."""
        return self.field.removeprefix("attributes").removeprefix(".")


@lru_cache(maxsize=512)
def pattern(text: str) -> Any:
    """A pattern as RE2 understands it. Raises re2.error, and says so nowhere else."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    return re2.compile(text, options)


def _matches(validator: Any, wanted: str, value: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(value, str) and not pattern(wanted).search(value):
        yield ValidationError("does not match")


def _unique(validator: Any, wanted: bool, value: Any, schema: Any) -> Iterator[ValidationError]:  # noqa: FBT001  jsonschema's
    """By a set: the library compares each with each, and a list may be long."""
    if wanted and isinstance(value, list):
        seen = {(isinstance(item, bool), item) if not isinstance(item, dict | list) else repr(item) for item in value}
        if len(seen) < len(value):
            yield ValidationError("is not unique")


_Checker = validators.extend(Draft202012Validator, {"pattern": _matches, "uniqueItems": _unique})


class Validator:
    """One version of one type's schema, ready to be asked."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema = schema
        self.properties: Mapping[str, Any] = schema.get("properties", {})
        self._checker = _Checker(schema, format_checker=FormatChecker(FORMATS))

    def errors_of(self, attributes: Mapping[str, Any], *, is_parent: bool = False) -> list[FieldError]:
        """What is wrong, by attribute; at most twenty. A parent may leave out what its variants say each."""
        found = (
            error
            for error in self._checker.iter_errors(attributes)
            if not (is_parent and error.validator in {"required", "dependentRequired"})
        )
        said = {self._said(error): None for error in islice(found, ERRORS_MAX)}
        return sorted(said, key=lambda error: error.field)

    @cached_property
    def filters(self) -> dict[str, frozenset[str]]:
        """The attributes declared with `x-filter`, and what JSON types their values (a list's: its items) have."""
        return {name: self.kinds(name) for name, rule in self.properties.items() if rule.get("x-filter")}

    @property
    def ranges(self) -> list[str]:
        """The declared attributes that are numbers, which can be asked for from and to."""
        return sorted(name for name, kinds in self.filters.items() if kinds <= {"number", "integer"})

    def rule(self, name: str) -> Mapping[str, Any]:
        """What is said of an attribute, or of the items of a list, with references written out."""
        return self._resolved(self.properties.get(name, {}))

    def rule_of_items(self, name: str) -> Mapping[str, Any]:
        return self._resolved(self.rule(name).get("items", {}))

    def is_needed(self, name: str) -> bool:
        return name in self.schema.get("required", ())

    def is_list(self, name: str) -> bool:
        return "array" in self.types(name)

    def types(self, name: str) -> frozenset[str]:
        """What JSON types an attribute may have as a whole: a list, a text or a list …"""
        return self._types(self.properties.get(name, {}))

    def kinds(self, name: str) -> frozenset[str]:
        """What JSON types single values of an attribute have; of an attribute that is not declared, any."""
        rule = self.properties.get(name, {})
        kinds = self._types(rule)
        return (kinds - {"array"}) | self._types(rule.get("items", {})) if "array" in kinds else kinds

    def read(self, name: str, text: str) -> Any:
        """A table's cell as the attribute's own type; text that can be none of its types stays text.

        Of a list the items are separated by `|`, or else by commas and semicolons.
        """
        if self.is_list(name) and "string" not in self.types(name):
            parts = text.split("|") if "|" in text else re.split("[,;]", text)
            return [self._one(name, part.strip()) for part in parts if part.strip()]
        return self._one(name, text)

    def _one(self, name: str, text: str) -> Any:
        if name not in self.properties:
            return text
        return next(iter(readings(text, self.kinds(name))), text)

    def _resolved(self, rule: Any) -> Mapping[str, Any]:
        if not isinstance(rule, Mapping):
            return {}
        if "$ref" not in rule:
            return rule
        return {**self._resolved(self.schema["$defs"][rule["$ref"].rpartition("/")[2]]), **rule}

    def _types(self, rule: Any) -> frozenset[str]:
        """What JSON types a rule allows; one that says nothing of them allows any."""
        if not isinstance(rule, Mapping):
            return ANY
        if "type" in rule:
            said = rule["type"]
            return frozenset([said] if isinstance(said, str) else said)
        if "enum" in rule:
            return frozenset(_type_of(value) for value in rule["enum"])
        if "$ref" in rule:
            target = self.schema["$defs"][rule["$ref"].rpartition("/")[2]]
            return self._types(target)
        return ANY

    def _said(self, error: ValidationError) -> FieldError:
        path = list(error.absolute_path)
        rule, value = error.validator, error.validator_value
        if rule == "required":
            path.append(next(name for name in value if name not in error.instance))
        elif rule == "additionalProperties" and not path:
            path.append(next((name for name in error.instance if name not in self.properties), ""))
        return FieldError(field=_field(path), detail=_sentence(str(rule), value, error, self.properties))


@dataclass(frozen=True)
class Schemas:
    """The newest schema of every type, and its version; a type without one takes any attributes."""

    newest: Mapping[str, tuple[int, Validator]]

    def errors_of(self, type_code: str, attributes: Mapping[str, Any], *, is_parent: bool = False) -> list[FieldError]:
        """What is wrong with the attributes of a product of this type. Asks nothing of the database."""
        found = self.newest.get(type_code)
        return found[1].errors_of(attributes, is_parent=is_parent) if found else []

    def version_of(self, type_code: str) -> int | None:
        return self.newest[type_code][0] if type_code in self.newest else None


def understood(schema: Mapping[str, Any]) -> Validator:
    """The validator of a schema, made once for each content."""
    return _understood(json.dumps(schema, sort_keys=True))


@lru_cache(maxsize=512)
def _understood(text: str) -> Validator:
    return Validator(json.loads(text))


def readings(text: str, kinds: frozenset[str] | set[str]) -> list[Any]:
    """What a text can mean as each of these JSON types, the narrowest first: "12" is 12 and "12"."""
    found: list[Any] = []
    if "boolean" in kinds and text in {"true", "false"}:
        found.append(text == "true")
    if "integer" in kinds and INTEGER.fullmatch(text):
        found.append(int(text))
    elif "number" in kinds and NUMBER.fullmatch(text):
        found.append(float(text) if "." in text else int(text))
    if "string" in kinds:
        found.append(text)
    return found


def named_kinds(kinds: frozenset[str] | set[str]) -> str:
    """`a text or a whole number`, for a sentence."""
    return " or ".join(words for kind, words in KINDS.items() if kind in kinds)


def _type_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "integer" if isinstance(value, int) else "number" if isinstance(value, float) else "string"


def _field(path: list[Any]) -> str:
    return "attributes" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)


def _sentence(rule: str, value: Any, error: ValidationError, known: Mapping[str, Any]) -> str:
    """The refusal in words that name what would do. The value itself is not repeated: it may be long."""
    hint = error.schema.get("description", "")[:HINT_MAX] if isinstance(error.schema, Mapping) else ""
    match rule:
        case "type":
            said = f"Send {named_kinds(frozenset([value] if isinstance(value, str) else value))}."
        case "enum" | "const":
            choices = [str(choice) for choice in (value if rule == "enum" else [value])]
            more = f" … ({len(choices)} in all)" if len(choices) > NAMED_MAX else ""
            return f"Use one of {', '.join(choices[:NAMED_MAX])}{more}."
        case "required" | "dependentRequired":
            return "Is missing."
        case "additionalProperties":
            return f"Is no attribute of this type; it has {', '.join(islice(sorted(known), NAMED_MAX))}."
        case "pattern":
            said = f"Must match the pattern {value}."
        case "format":
            said = "Write a date as 2027-01-31." if value == "date" else f"Must be a {value}."
        case "uniqueItems":
            return "Names a value twice."
        case _ if rule in LIMITS:
            return LIMITS[rule].format(value)
        case _:
            said = f"Does not fit the rule {rule!r} of the type's schema."
    return f"{said} {hint}".strip()


LIMITS = {
    "minimum": "At least {}.",
    "maximum": "At most {}.",
    "exclusiveMinimum": "More than {}.",
    "exclusiveMaximum": "Less than {}.",
    "multipleOf": "A multiple of {}.",
    "minLength": "At least {} characters.",
    "maxLength": "At most {} characters.",
    "minItems": "At least {} values.",
    "maxItems": "At most {} values.",
    "minProperties": "At least {} attributes.",
    "maxProperties": "At most {} attributes.",
}
