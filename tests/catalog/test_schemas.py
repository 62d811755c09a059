"""Schemas: what they mean, and what no schema may do. No database is asked."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog import schema_check, schemas
from catalog.schemas import Schemas
from partners.problems import InvalidInput

SCHEMA = {
    "type": "object",
    "properties": {
        "shade": {"type": "string", "maxLength": 10, "x-filter": True},
        "hex": {"type": "string", "pattern": "^#[0-9A-F]{6}$", "description": "Write # and six digits."},
        "spf": {"type": "integer", "minimum": 1, "maximum": 100, "x-filter": True},
        "allergens": {"type": "array", "items": {"$ref": "#/$defs/allergen"}, "uniqueItems": True, "x-filter": True},
        "until": {"type": "string", "format": "date"},
        "vegan": {"type": "boolean", "x-filter": True},
    },
    "required": ["shade"],
    "$defs": {"allergen": {"type": "string", "enum": ["fish", "milk"]}},
}


def refused(schema) -> str:
    with pytest.raises(InvalidInput) as found:
        schema_check.check(schema)
    [error] = found.value.data["errors"]
    assert error["field"] == "schema"
    return error["detail"]


@pytest.mark.parametrize(
    ("attributes", "field", "detail"),
    [
        ({}, "attributes.shade", "Is missing."),
        ({"shade": 5}, "attributes.shade", "Send a text."),
        ({"shade": "x" * 11}, "attributes.shade", "At most 10 characters."),
        ({"shade": "x", "hex": "red"}, "attributes.hex", "Must match the pattern ^#[0-9A-F]{6}$. Write # and six digits."),
        ({"shade": "x", "hex": "#FFFFFF\n"}, "attributes.hex", "Must match the pattern ^#[0-9A-F]{6}$. Write # and six digits."),
        ({"shade": "x", "spf": "30"}, "attributes.spf", "Send a whole number."),
        ({"shade": "x", "spf": True}, "attributes.spf", "Send a whole number."),
        ({"shade": "x", "spf": 101}, "attributes.spf", "At most 100."),
        ({"shade": "x", "allergens": "fish"}, "attributes.allergens", "Send a list."),
        ({"shade": "x", "allergens": ["fish", "soy"]}, "attributes.allergens[1]", "Use one of fish, milk."),
        ({"shade": "x", "allergens": ["fish", "fish"]}, "attributes.allergens", "Names a value twice."),
        ({"shade": "x", "until": "2027-02-30"}, "attributes.until", "Write a date as 2027-01-31."),
        ({"shade": "x", "vegan": 1}, "attributes.vegan", "Send true or false."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_by_attribute_with_what_would_do(attributes, field, detail):
    [error] = schemas.understood(SCHEMA).errors_of(attributes)
    assert (error.field, error.detail) == (field, detail)


def test_what_fits_is_fine_and_a_parent_may_leave_out_what_its_variants_say_each():
    validator = schemas.understood(SCHEMA)
    assert validator.errors_of({"shade": "355N", "spf": 30, "allergens": ["fish"], "other": [1, "a"]}) == []
    assert validator.errors_of({}, is_parent=True) == []
    assert [error.field for error in validator.errors_of({"spf": 0}, is_parent=True)] == ["attributes.spf"]


def test_a_closed_type_names_the_attributes_it_has():
    closed = {"type": "object", "properties": {"a": {}, "b": {}}, "additionalProperties": False}
    [error] = schemas.understood(closed).errors_of({"a": 1, "c": 1})
    assert (error.field, error.detail) == ("attributes.c", "Is no attribute of this type; it has a, b.")


def test_a_type_without_a_schema_takes_anything():
    known = Schemas({"beauty": (3, schemas.understood(SCHEMA))})
    assert (known.errors_of("tools", {"x": 1}), known.version_of("tools")) == ([], None)
    assert (len(known.errors_of("beauty", {"spf": 0})), known.version_of("beauty")) == (2, 3)


def test_no_more_than_twenty_errors_are_said():
    assert len(schemas.understood(SCHEMA).errors_of({"shade": "x", "allergens": list(range(1_000))})) == 20


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("spf", "30", 30), ("spf", "30.5", "30.5"), ("spf", "thirty", "thirty"), ("spf", "٣", "٣"),
        ("shade", "30", "30"), ("vegan", "true", True), ("vegan", "yes", "yes"),
        ("allergens", "fish, milk", ["fish", "milk"]), ("allergens", "fish|milk", ["fish", "milk"]), ("other", "5", "5"),
    ],
)  # fmt: skip
def test_a_tables_cell_is_read_as_the_attributes_own_type(name, text, value):
    assert schemas.understood(SCHEMA).read(name, text) == value


def test_declared_filters_say_their_types_and_which_are_ranges():
    validator = schemas.understood(SCHEMA)
    assert validator.filters == {
        "shade": {"string"}, "spf": {"integer"}, "allergens": {"string"}, "vegan": {"boolean"}
    }  # fmt: skip
    assert validator.ranges == ["spf"]


def doubling(levels: int) -> dict:
    """References to references: each level twice the one below."""
    definitions = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(levels)}
    return {"type": "object", "properties": {"x": {"$ref": "#/$defs/a0"}}, "$defs": definitions | {f"a{levels}": {}}}


def deep(levels: int) -> dict:
    rule: dict = {}
    for _ in range(levels):
        rule = {"not": rule}
    return {"type": "object", "properties": {"x": rule}}


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({}, '"object"'),
        ({"type": "string"}, '"object"'),
        ({"type": "object", "$schema": "http://json-schema.org/draft-07/schema#"}, "dialect"),
        ({"type": "object", "properties": []}, "properties: [] is not of type 'object'"),
        ({"type": "object", "properties": {"x": {"type": "strin"}}}, "properties/x/type"),
        ({"type": "object", "properties": {"x": {"minLength": -1}}}, "properties/x/minLength"),
        ({"type": "object", "properties": {"x": True}}, "{} takes any value"),
        ({"type": "object", "properties": {"": {}}}, "1 to 80 characters"),
        ({"type": "object", "properties": {"a\n": {}}}, "one can see"),
        ({"type": "object", "properties": {"x": {"x-filter": "yes"}}}, "true or false"),
        ({"type": "object", "properties": {str(n): {"x-filter": True} for n in range(41)}}, "at most 40"),
        ({"type": "object", "properties": {str(n): {} for n in range(101)}}, "at most 100"),
        ({"type": "object", "properties": {"x": {"$ref": "https://example.test/x"}}}, "under $defs of this one"),
        ({"type": "object", "properties": {"x": {"$ref": "#"}}}, "under $defs of this one"),
        ({"type": "object", "properties": {"x": {"$ref": "#/$defs/none"}}}, "under $defs of this one"),
        ({"type": "object", "$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}, "items": {"$ref": "#/$defs/a"}}, "itself"),
        (doubling(30), "more than 2,000 rules"),
        (deep(30), "deeper than 12"),
        ({"type": "object", "properties": {"x": {"pattern": "(a)\\1"}}}, "RE2"),
        ({"type": "object", "properties": {"x": {"pattern": "(?=a)b"}}}, "RE2"),
        ({"type": "object", "properties": {"x": {"pattern": "["}}}, "RE2"),
        ({"type": "object", "properties": {"x": {"pattern": "a" * 501}}}, "more than 500"),
        ({"type": "object", "properties": {"x": {"format": "email"}}}, "only date and uuid"),
        ({"type": "object", "patternProperties": {"^a": {}}}, "one by one"),
        ({"type": "object", "$id": "https://example.test"}, "$id"),
        ({"type": "object", "properties": {"x": {"$dynamicRef": "#x"}}}, "$dynamicRef"),
        ({"type": "object", "title": "\x00"}, "cannot be kept"),
        ({"type": "object", "title": "\ud800"}, "cannot be kept"),
        ({"type": "object", "properties": {"x": {"minimum": float("nan")}}}, "NaN"),
        ({"type": "object", "properties": {"x": {"minimum": 10**18}}}, "18 digits"),
        ({"type": "object", "title": "x" * 50_000}, "50,000 bytes"),
    ],
)  # fmt: skip
def test_a_schema_that_may_not_be_kept_is_refused_with_its_place_and_reason(schema, said):
    assert said in refused(schema)


@pytest.mark.parametrize("text", ["[", "[]", "5", "[" * 40_000, '{"a": 1, "a": 2}', '{"a": ' * 10_000])
def test_what_is_no_schema_at_all_is_refused_before_it_is_looked_at(text):
    with pytest.raises(InvalidInput):
        schema_check.read(text)


def test_a_pattern_that_would_stop_a_worker_takes_no_time():
    """`re` needs longer than anybody lives for this one."""
    schema = {"type": "object", "properties": {"x": {"pattern": "^(a+)+$"}}}
    schema_check.check(schema)
    began = time.process_time()
    assert schemas.understood(schema).errors_of({"x": "a" * 15_000 + "b"})
    assert time.process_time() - began < 10


def test_a_long_list_is_compared_by_a_set_and_not_each_with_each():
    schema = {"type": "object", "properties": {"x": {"uniqueItems": True}}}
    began = time.process_time()
    assert schemas.understood(schema).errors_of({"x": [*range(5_000), *map(str, range(5_000))]}) == []
    assert schemas.understood(schema).errors_of({"x": [1, True, "1"]}) == []
    assert schemas.understood(schema).errors_of({"x": [1, 1.0]}) != []
    assert time.process_time() - began < 10


def test_a_schema_is_understood_once_for_each_content():
    assert schemas.understood(SCHEMA) is schemas.understood(json.loads(json.dumps(SCHEMA)))
    assert schemas.understood(SCHEMA) is not schemas.understood(SCHEMA | {"required": []})


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**17), 10**17), st.floats(allow_nan=False), st.text("#A0é\n", max_size=20)
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from([*SCHEMA["properties"], "x"]), VALUES | st.lists(VALUES, max_size=5)))
def test_whatever_is_sent_is_answered_by_attribute(attributes):
    for error in schemas.understood(SCHEMA).errors_of(attributes):
        assert error.field.startswith("attributes.")
        assert error.detail.endswith(".")
