"""`?attributes.<name>=`: products by what their type says of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import BooleanField, Q
from django.db.models.expressions import RawSQL
from drf_spectacular.utils import OpenApiParameter

from catalog import queries, schemas
from catalog.schemas import Validator
from partners.api.pagination import BadPage

PREFIX = "attributes."
ATTRIBUTES = OpenApiParameter(
    f"{PREFIX}<name>",
    str,
    description="What an attribute must be, for up to 20 names: `attributes.spf=30`. With `productType` also"
    " `attributes.<name>.min` and `.max`, of numbers.",
)
ASKED_MAX = 20
TEXT_MAX = 500
# In jsonb's order texts come before all numbers and booleans after them; no double is below -1e309. So each
# bound has another on its far side, and only numbers lie between. The indexes of `index_attributes` answer both.
VALUE = "(catalog_variant.attributes -> %s)"
AT_LEAST = f"({VALUE} >= %s::jsonb AND {VALUE} < 'false'::jsonb)"
AT_MOST = f"({VALUE} <= %s::jsonb AND {VALUE} >= '-1e309'::jsonb)"


def by_attributes(queryset: Any, query: Mapping[str, str], *, product_type: str) -> Any:
    """The products with all the attributes that are asked for. One query for the type's schema, where one is named.

    Raises BadPage for a value of another type than the declared one and, where the type declares any, for an
    attribute that is not declared.
    """
    asked = {name.removeprefix(PREFIX): text for name, text in query.items() if name.startswith(PREFIX)}
    if len(asked) > ASKED_MAX:
        raise BadPage(f"At most {ASKED_MAX} attributes at once.")
    for name, text in asked.items():
        if not name or len(name) > TEXT_MAX or len(text) > TEXT_MAX or "\x00" in name + text:
            raise BadPage(f"{(PREFIX + name)[:80]!r}: write attributes.<name>=<value>.")
    found = queries.newest_schema(code=product_type) if asked and product_type else None
    validator = found if found and found.filters else None
    for name, text in asked.items():
        bare, _, end = name.rpartition(".")
        if validator and name not in validator.filters and end in {"min", "max"} and bare in validator.ranges:
            queryset = queryset.filter(_between(bare, end, text))
        elif not product_type and bare and end in {"min", "max"}:
            raise BadPage(f"{PREFIX}{name[:80]}: name a productType too, which says what can be asked for by range.")
        else:
            queryset = queryset.filter(_equal(name, text, validator))
    return queryset


def _equal(name: str, text: str, validator: Validator | None) -> Q:
    """Answered by the index over all attributes; a list is found by any of its values."""
    if validator is None:
        values, is_list = schemas.readings(text, schemas.ANY), True
    elif name in validator.filters:
        values, is_list = schemas.readings(text, validator.filters[name]), validator.is_list(name)
        if not values:
            raise BadPage(f"{PREFIX}{name}: this is {schemas.named_kinds(validator.filters[name])}.")
    else:
        known = ", ".join(sorted(validator.filters))
        ranges = "".join(f", {name}.min, {name}.max" for name in validator.ranges)
        raise BadPage(f"{PREFIX}{name[:80]}: of this type can be asked for {known}{ranges}.")
    wanted = Q()
    for value in values:
        wanted |= Q(attributes__contains={name: value})
        if is_list:
            wanted |= Q(attributes__contains={name: [value]})
    return wanted


def _between(name: str, end: str, text: str) -> Any:
    if not schemas.NUMBER.fullmatch(text):
        raise BadPage(f"{PREFIX}{name}.{end}: write a number.")
    bound = AT_LEAST if end == "min" else AT_MOST
    return RawSQL(bound, (name, text, name), output_field=BooleanField())  # noqa: S611  values are parameters
