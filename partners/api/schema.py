"""The OpenAPI document: what each operation does, what it refuses, and an example of both."""

from __future__ import annotations

import re
from functools import cache
from http import HTTPStatus
from typing import Any

from django.core.validators import EmailValidator, RegexValidator, URLValidator
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework.serializers import CharField, ListSerializer

from partners.api import catalogue, conditional, document, refusals

OF_ALL = ("not_authenticated", "invalid_token", "insufficient_scope", "partner_suspended", "invalid_parameter",
          "rate_limited", "busy", "two_credentials", "address_not_allowed")  # fmt: skip
OF_WRITES = ("malformed", "invalid_input", "body_too_large", "unsupported_media_type", "length_required")
# By the header that is asked for.
OF_HEADERS = {
    "Idempotency-Key": (
        "idempotency_key_missing", "idempotency_key_malformed", "idempotency_key_reused", "idempotency_in_progress",
        "conflict", "constraint_refused",
    ),
    "If-Match": ("precondition_required", "precondition_failed", "conflict", "constraint_refused"),
}  # fmt: skip
TWICE = {
    "Idempotency-Key": "Sent again with the same `Idempotency-Key` it does nothing more: the first answer comes again, "
    "with `Idempotent-Replayed: true`.",
    "If-Match": "Once it has succeeded the ETag is another one: sent again it is 412 `precondition_failed`.",
}
# PostgreSQL keeps no NUL in a text; what must not be empty is not so by blanks either.
ANY_TEXT = r"^[^\u0000]*$"
SOME_TEXT = r"^[^\u0000]*[^\u0000\s][^\u0000]*$"
READS_ONLY = "It changes nothing, however often it is asked."


SEEN = OpenApiParameter(
    "If-Match",
    {"type": "string", "minLength": 1, "maxLength": conditional.IF_MATCH_CHARACTERS_MAX, "examples": ['"3"']},
    OpenApiParameter.HEADER,
    description="The ETag of what this step was decided on. Where it has changed since, 412; not sent, nothing is asked.",
)


class ProblemSchema(AutoSchema):
    def get_override_parameters(self) -> list[Any]:
        is_step = self.method == "POST" and getattr(self.view, "are_steps_matched", False)
        declared: list[Any] = super().get_override_parameters()
        return [SEEN, *declared] if is_step and "{" in getattr(self, "path", "") else declared

    def _is_list_view(self, serializer: Any = None) -> bool:
        """A GET that is called list… and is paged; the library knows only views that inherit their lists from it."""
        is_paged = getattr(self.view, "pagination_class", None) is not None
        return bool(self.method == "GET" and is_paged and self.get_operation_id().startswith("list"))

    def get_filter_backends(self) -> list[Any]:
        """The filter set of a list; the doors apply it themselves."""
        return [DjangoFilterBackend] if self._is_list_view() and getattr(self.view, "filterset_class", None) else []

    def query_names(self) -> set[str]:
        """Every name that may stand in the query of this operation."""
        declared = [row for row in self.get_override_parameters() if isinstance(row, OpenApiParameter)]
        names = {row.name for row in declared if row.location == OpenApiParameter.QUERY}
        if self._is_list_view():
            names |= {row["name"] for row in self._get_pagination_parameters()}
            names |= set(getattr(getattr(self.view, "filterset_class", None), "base_filters", ()))
        return names

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)  # type: ignore[no-untyped-call]
        if operation is None:
            return None
        for status, answer in operation["responses"].items():
            if status.startswith("2"):
                answer["headers"] = answer.get("headers", {}) | {
                    name: {"$ref": f"#/components/headers/{name}"} for name in document.LIMIT_HEADERS
                }
        scope = getattr(self.view, "required_scopes", {}).get(self.method)
        if scope:
            operation["security"] = [{"oauth2": [scope]}, {"apiKey": []}]
        self.describe(operation)
        return operation

    def describe(self, operation: dict[str, Any]) -> None:
        """What the docstring leaves to us: a title, what happens twice, each refusal, examples, what will go."""
        asked = [row for row in operation.get("parameters", []) if row["in"] == "header"]
        headers = [row["name"] for row in asked if row.get("required")]
        own = {kind.code for kind in refusals.of_door(type(self.view), str(self.method))}
        general = {*OF_ALL, *(code for name in headers for code in OF_HEADERS.get(name, ()))}
        if self.method != "GET":
            general |= set(OF_WRITES)
        if any(row["name"] == "If-Match" for row in asked):
            general.add("precondition_failed")
        if "{" in self.path:
            general.add("not_found")
        operation["summary"] = spoken(operation["operationId"])
        parts = [operation.get("description", "").strip()]
        if special := sorted(own - general):
            parts.append("Refusals of its own: " + ", ".join(f"`{code}`" for code in special) + ".")
        parts += [TWICE[name] for name in TWICE if name in headers][:1] or [self.twice()]
        operation["description"] = "\n\n".join(part for part in parts if part)
        operation["responses"] |= responses(own | general)
        for status, answer in operation["responses"].items():
            if not answer.get("description"):
                answer["description"] = self.said_of(status, operation["responses"])
        document.illustrate(operation, floor=type(self.view).__module__.split(".")[0])
        if gone := vars(type(self.view)).get("deprecated", {}).get(self.method):
            gone.mark(operation)

    def said_of(self, status: str, answers: dict[str, Any]) -> str:
        if status == "200" and "201" in answers:
            return "It was there already: the same again."
        return {"201": "Made.", "202": "Begun; ask how far it is."}.get(
            status, "What there is." if self.method == "GET" else "Done."
        )

    def twice(self) -> str:
        """Of a method without a key; a door that keeps something all the same says so itself."""
        return getattr(self.view, "twice", READS_ONLY)

    def _map_serializer_field(self, field: Any, direction: Any, bypass_extensions: bool = False) -> Any:  # noqa: FBT001  as the library calls it
        """The bounds of a list of objects, which the library leaves out."""
        schema = super()._map_serializer_field(field, direction, bypass_extensions)
        if isinstance(field, ListSerializer) and direction == "request" and schema.get("type") == "array":
            longest, shortest = getattr(field, "max_length", None), getattr(field, "min_length", None)
            if longest is not None:
                schema["maxItems"] = longest
            if not field.allow_empty:
                schema["minItems"] = max(1, shortest or 0)
        if direction == "request" and isinstance(field, CharField) and _is_free_text(field, schema):
            schema["pattern"] = ANY_TEXT if field.allow_blank else SOME_TEXT
        return schema

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> Any:
        """A body is read to the last name: what it may hold besides its fields is nothing, or what is passed over."""
        schema = super()._map_basic_serializer(serializer, direction)  # type: ignore[no-untyped-call]
        if direction == "request" and not getattr(serializer, "ignores", ()):
            schema["additionalProperties"] = False
        return schema


def _is_free_text(field: CharField, schema: dict[str, Any]) -> bool:
    """A text whose characters nothing else bounds."""
    has_form = any(isinstance(one, RegexValidator | EmailValidator | URLValidator) for one in field.validators)
    return not has_form and "string" in schema.get("type", ()) and not {"enum", "format", "pattern"} & set(schema)


def spoken(operation_id: str) -> str:
    """`listPurchaseOrders` as a title: List purchase orders."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", operation_id).lower()
    return words[0].upper() + words[1:]


def responses(codes: set[str]) -> dict[str, Any]:
    """The refusals by status, each code with its words and a link to its entry."""
    known = catalogue.entries()
    found: dict[str, list[catalogue.Entry]] = {}
    for entry in sorted((known[code] for code in codes), key=lambda entry: (entry.status, entry.code)):
        found.setdefault(str(entry.status), []).append(entry)
    return {
        status: {
            "description": f"{HTTPStatus(int(status)).phrase}.\n\n"
            + "\n".join(f"- [`{row.code}`]({row.type}): {row.meaning}" for row in rows),
            "content": {
                "application/problem+json": {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "examples": {row.code: {"$ref": f"#/components/examples/{row.code}"} for row in rows},
                }
            },
            "x-codes": [row.code for row in rows],
        }
        for status, rows in found.items()
    }


@cache
def query_names(door: type, method: str) -> frozenset[str]:
    """What may be asked of a door in the query, as the document says. A name that ends in `<name>` stands for many."""
    handler = getattr(door, method.lower(), None)
    described = getattr(handler, "kwargs", {}).get("schema")
    if described is None:
        return frozenset()
    view = door()
    view.request, view.args, view.kwargs = None, (), {}
    schema = described()
    schema.view, schema.method = view, method
    return frozenset(schema.query_names())
