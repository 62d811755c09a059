"""The OpenAPI document: problems beside every answer, scopes beside every door."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema

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
    "411": "Content-Length is missing.",
    "412": "It changed since you read it.",
    "413": "The body is too large.",
    "415": "The body is not application/json.",
    "422": "Understood, but a field cannot be used.",
    "428": "If-Match is missing.",
    "429": "The application has spent its minute; Retry-After says when the next begins.",
    "503": "Busy; send the same request again.",
}
OF_READS = ("400", "401", "403", "404", "429", "503")
OF_WRITES = ("400", "401", "403", "404", "409", "411", "412", "413", "415", "422", "428", "429", "503")
LIMIT_HEADERS = {
    "RateLimit-Policy": {
        "description": "Units (q) the application may spend in so many seconds (w), on reads or on writes, as this call"
        " is one: the two are counted apart. A batch costs one for each of its parts, a page one for each 50 rows.",
        "schema": {"type": "string", "examples": ['"client";q=6000;w=60']},
    },
    "RateLimit": {
        "description": "Units that are left (r), and after how many seconds all are there again (t).",
        "schema": {"type": "string", "examples": ['"client";r=5412;t=23']},
    },
}


class ProblemSchema(AutoSchema):
    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)  # type: ignore[no-untyped-call]
        if operation is None:
            return None
        for status in OF_READS if self.method == "GET" else OF_WRITES:
            operation["responses"].setdefault(status, {"$ref": f"#/components/responses/Problem{status}"})
        for status, answer in operation["responses"].items():
            if status.startswith("2"):
                answer["headers"] = answer.get("headers", {}) | {
                    name: {"$ref": f"#/components/headers/{name}"} for name in LIMIT_HEADERS
                }
        scope = getattr(self.view, "required_scopes", {}).get(self.method)
        if scope:
            operation["security"] = [{"oauth2": [scope]}]
        return operation


def describe_security(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Adds what every operation refers to: the problem and its responses."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = PROBLEM
    body = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    components["headers"] = LIMIT_HEADERS
    components["responses"] = {
        f"Problem{status}": {"description": text, "content": body} for status, text in REFUSALS.items()
    }
    return result
