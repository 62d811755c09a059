"""Bodies that are plainly good, read as their serializer would read them, in a tenth of the time.

A reader is made from the serializer's own fields and bounds, so nothing is said twice. It takes a value only where
it is already what the serializer would make of it; whatever needs a closer look is left to the serializer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.validators import (
    MaxLengthValidator,
    MaxValueValidator,
    MinValueValidator,
    ProhibitNullCharactersValidator,
)
from rest_framework import serializers
from rest_framework.fields import empty
from rest_framework.validators import ProhibitSurrogateCharactersValidator

from partners.api.fields import Flag, Quantity, Text

# The parser has refused NUL and lone surrogates; the bounds are read from the fields.
KNOWN_VALIDATORS = (
    MaxLengthValidator, MinValueValidator, MaxValueValidator, ProhibitNullCharactersValidator,
    ProhibitSurrogateCharactersValidator,
)  # fmt: skip
Read = Callable[[Any], Any]


class Unusual(Exception):
    """Not plainly good: it needs the closer look."""


def reader(serializer_class: type[serializers.Serializer[Any]]) -> Read:
    """A function from a parsed body to the serializer's validated data. It raises Unusual."""
    return _reader(serializer_class())


def _reader(serializer: serializers.Serializer[Any]) -> Read:
    if type(serializer).validate is not serializers.Serializer.validate:
        raise TypeError(f"{type(serializer).__name__} looks at the whole; it cannot be read plainly.")
    fields = [(name, *_member(serializer, name, field)) for name, field in serializer.fields.items()]
    known = frozenset([*serializer.fields, *getattr(serializer, "ignores", ())])

    def read(value: Any) -> dict[str, Any]:
        if type(value) is not dict or not known.issuperset(value):
            raise Unusual
        found = {}
        for name, target, absent, take in fields:
            if name in value:
                found[target] = take(value[name])
            elif absent is empty:
                raise Unusual
            else:
                found[target] = absent
        return found

    return read


def _member(serializer: Any, name: str, field: Any) -> tuple[str, Any, Read]:
    """Where a field goes, what stands there when it is absent (empty: that is unusual), and how it is read."""
    absent = empty if callable(field.default) else field.default
    own_look = getattr(serializer, f"validate_{name}", None)
    if own_look is not None and absent is not empty:
        absent = own_look(absent)
    take = _never if own_look is not None or "." in field.source else _taker(field)
    return field.source, absent, take


def _never(value: Any) -> Any:
    raise Unusual


def _taker(field: Any) -> Read:
    if any(type(validator) not in KNOWN_VALIDATORS for validator in field.validators):
        return _never
    if isinstance(field, serializers.ListSerializer):
        return _list(field, _reader(field.child))
    makers = {Text: _text, Quantity: _quantity, Flag: lambda field: _truth}
    maker = makers.get(type(field))
    return maker(field) if maker else _never


def _list(field: Any, read: Read) -> Read:
    most, least = field.max_length, 0 if field.allow_empty else 1

    def take(value: Any) -> list[Any]:
        if type(value) is not list or not least <= len(value) <= most:
            raise Unusual
        return [read(inner) for inner in value]

    return take


def _text(field: Any) -> Read:
    most, least = field.max_length, 0 if field.allow_blank else 1

    def take(value: Any) -> str:
        if type(value) is not str or not least <= len(value) <= most or value != value.strip():
            raise Unusual
        return value

    return take


def _quantity(field: Any) -> Read:
    least, most = field.min_value, field.max_value

    def take(value: Any) -> int:
        if type(value) is not int or not least <= value <= most:
            raise Unusual
        return value

    return take


def _truth(value: Any) -> bool:
    if type(value) is not bool:
        raise Unusual
    return value
