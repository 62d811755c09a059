"""Serializer fields that take what they say and nothing that merely looks like it."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

QUANTITY_MAX = 1_000_000_000_000
DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Text(serializers.CharField):
    """A JSON string; a number is not taken for one."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Quantity(serializers.IntegerField):
    """A whole number of stock units, as a JSON integer: not "1", not 1.0, not true."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"min_value": 1, "max_value": QUANTITY_MAX} | kwargs)

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return data


class Flag(serializers.BooleanField):
    """true or false; not "yes", not 1."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class Amount(serializers.DecimalField):
    """A decimal number as a JSON string or number, in digits and a point: not "1e2", not "1_000", not "١"."""

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        # The library takes "" for null.
        return serializers.Field.validate_empty_values(self, data)

    def to_internal_value(self, data: Any) -> Decimal:
        if isinstance(data, bool) or not isinstance(data, str | int | float) or not DECIMAL.fullmatch(str(data)):
            self.fail("invalid")
        return super().to_internal_value(data)


@extend_schema_field(OpenApiTypes.DATE)
class Day(serializers.DateField):
    """A date as RFC 3339 writes it, 2027-01-31."""

    def to_internal_value(self, value: Any) -> Any:
        if not isinstance(value, str) or not DAY.fullmatch(value):
            self.fail("invalid", format="YYYY-MM-DD")
        return super().to_internal_value(value)


@extend_schema_field(OpenApiTypes.DATE)
class ExpirationDate(Day):
    """A date; of an RFC 3339 time, as in the guide's example, the day is taken."""

    def to_internal_value(self, value: Any) -> Any:
        if isinstance(value, str) and len(value) > 10 and value[10] in "Tt ":
            serializers.DateTimeField().to_internal_value(value)
            value = value[:10]
        return super().to_internal_value(value)
