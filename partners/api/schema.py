"""The OpenAPI document: problems beside every answer, scopes beside every door."""

from __future__ import annotations

from functools import cache
from typing import Any

from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter

PROBLEM = {
    "type": "object",
    "description": "A refusal (RFC 9457). `code` is stable; further members depend on it.",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "examples": ["insufficient_stock"]},
        "detail": {"type": "string"},
        "instance": {"type": "string", "format": "uri-reference"},
        "requestId": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "field": {"type": "string", "examples": ["lines[0].quantity"]},
                    "pointer": {"type": "string", "examples": ["#/lines/0/quantity"]},
                    "detail": {"type": "string"},
                },
            },
        },
    },
    "additionalProperties": True,
}
REFUSALS = {
    "400": "Malformed: not JSON, an unknown parameter, or a header is missing.",
    "401": "No token, or one that is unknown, expired or revoked.",
    "403": "The token's scope does not cover this.",
    "404": "Not there, or not yours.",
    "409": "The state of things does not allow it.",
    "412": "It changed since you read it.",
    "413": "The body is too large.",
    "415": "The body is not application/json.",
    "422": "Understood, but a field cannot be used.",
    "428": "If-Match is missing.",
    "503": "Busy; send the same request again.",
}
OF_READS = ("400", "401", "403", "404", "503")
OF_WRITES = ("400", "401", "403", "404", "409", "412", "413", "415", "422", "428", "503")


SEEN = OpenApiParameter(
    "If-Match",
    str,
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
        for status in OF_READS if self.method == "GET" else OF_WRITES:
            operation["responses"].setdefault(status, {"$ref": f"#/components/responses/Problem{status}"})
        scope = getattr(self.view, "required_scopes", {}).get(self.method)
        if scope:
            operation["security"] = [{"oauth2": [scope]}, {"apiKey": []}]
        return operation


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


def describe_security(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Adds what every operation refers to: the problem and its responses."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = PROBLEM
    body = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    components["responses"] = {
        f"Problem{status}": {"description": text, "content": body} for status, text in REFUSALS.items()
    }
    return result
