"""What a body says and its serializer does not know, and what a refused choice could have been. No field is lost in
silence: a name that is spelled otherwise than documented is refused with the ones that are known."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import Any

from django import forms
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

NAMED_MAX = 40
STRANGERS_MAX = 20


def unknown_fields(serializer: Any, body: Any, path: str = "") -> list[tuple[str, str]]:
    """Fields of a body that no serializer of its tree has, as (field, sentence); the first few.

    What a serializer `ignores` may be there all the same: an answer sent back, or words for another door.
    """
    found: list[tuple[str, str]] = []
    if isinstance(serializer, serializers.ListSerializer):
        for place, row in enumerate(body if isinstance(body, list) else ()):
            found += unknown_fields(serializer.child, row, f"{path}[{place}]")
            if len(found) >= STRANGERS_MAX:
                break
        return found
    if not isinstance(body, dict):
        return found
    fields = serializer.fields
    if strange := [name for name in body if name not in fields and name not in getattr(serializer, "ignores", ())]:
        found += [(_below(path, str(name)[:80]), _say(str(name), fields.keys())) for name in strange]
    for name, field in fields.items():
        if isinstance(field, serializers.BaseSerializer) and not field.read_only and body.get(name):
            found += unknown_fields(field, body[name], _below(path, name))
    return found[:STRANGERS_MAX]


def with_choices(field: Any, detail: Any) -> Any:
    """A serializer's errors, where each choice that was refused names those there are."""
    if isinstance(detail, dict):
        children = getattr(field, "fields", {})
        return {
            name: with_choices(children.get(name, getattr(field, "child", None)), inner)
            for name, inner in detail.items()
        }
    if isinstance(detail, list):
        child = getattr(field, "child", None)
        return [
            with_choices(child, inner) if isinstance(inner, dict | list) else with_choices(field, inner)
            for inner in detail
        ]
    if isinstance(detail, ErrorDetail) and detail.code == "invalid_choice" and hasattr(field, "choices"):
        return ErrorDetail(f"{str(detail).rstrip('.')}: it is {one_of(field.choices)}.", code=detail.code)
    return detail


def refused_filter(form: forms.Form, name: str, found: Iterable[str]) -> str:
    """What to say of a query parameter; of a choice, which there are."""
    field = form.fields.get(name)
    is_choice = any(error.code == "invalid_choice" for error in form.errors.as_data().get(name, ()))
    choices = [str(value) for value, _ in getattr(field, "choices", ()) if value] if is_choice else []
    return f"{name}: it is {one_of(choices)}." if choices else f"{name}: {' '.join(found)}"


def one_of(choices: Collection[Any]) -> str:
    """`one of a, b, c`, as long a list as anybody reads."""
    words = [str(choice) for choice in choices if choice != ""]
    more = f" … ({len(words)} in all)" if len(words) > NAMED_MAX else ""
    return f"one of {', '.join(words[:NAMED_MAX])}{more}"


def _say(name: str, known: Collection[str]) -> str:
    nearest = get_close_matches(name.lower(), [word.lower() for word in known], n=1, cutoff=0.6)
    meant = next((word for word in known if nearest and word.lower() == nearest[0]), "")
    guess = f" Did you mean {meant}?" if meant else ""
    return f"There is no such field here.{guess} It is {one_of(known)}."


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
