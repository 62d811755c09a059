"""Serializer fields that take what they say and nothing that merely looks like it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

QUANTITY_MAX = 1_000_000_000_000


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


@extend_schema_field(OpenApiTypes.DATE)
class ExpirationDate(serializers.DateField):
    """A date; of an RFC 3339 time, as in the guide's example, the day is taken."""

    def to_internal_value(self, value: Any) -> Any:
        if isinstance(value, str) and len(value) > 10 and value[10] in "Tt ":
            serializers.DateTimeField().to_internal_value(value)
            value = value[:10]
        return super().to_internal_value(value)
