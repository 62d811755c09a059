"""Lists by cursor: pages neither skip nor repeat rows while others write, and the last page is as fast
as the first."""

from __future__ import annotations

import base64
import json
from typing import Any

from django.db.models import QuerySet
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from partners.problems import Problem

LIMIT_DEFAULT = 50
LIMIT_MAX = 200
# What servers take as one line of HTTP, about.
QUERY_CHARACTERS_MAX = 2_000


class BadPage(Problem):
    """A query parameter is unknown (data: parameter, known), sent twice or too long (data: parameter), or has a value
    that cannot be used."""

    code = "invalid_parameter"
    title = "A query parameter cannot be used"
    remedy = "Correct the parameter the detail names."
    status = 400
    is_final = False


class KeysetPagination(BasePagination):
    """Follows one unique column, named by the view: `keyset = "sku"`, or `"-id"` for newest first."""

    def paginate_queryset(self, queryset: QuerySet[Any], request: Request, view: Any = None) -> list[Any]:
        column: str = view.keyset
        after = read_cursor(request.query_params.get("cursor"))
        if after is not None:
            side = "lt" if column.startswith("-") else "gt"
            try:
                queryset = queryset.filter(**{f"{column.lstrip('-')}__{side}": after})
            except (TypeError, ValueError) as error:
                raise BadPage("cursor: take it from nextCursor of the page before.") from error
        limit = read_limit(request.query_params.get("limit"))
        rows = list(queryset.order_by(column)[: limit + 1])
        self.next_cursor = None
        if len(rows) > limit:
            rows = rows[:limit]
            self.next_cursor = make_cursor(getattr(rows[-1], column.lstrip("-")))
        return rows

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"items": data, "nextCursor": self.next_cursor})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["items", "nextCursor"],
            "properties": {
                "items": schema | {"description": "The rows of this page."},
                "nextCursor": {
                    "type": ["string", "null"],
                    "description": "Send it as `cursor` for the next page; null on the last page.",
                },
            },
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        limit = {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT}
        return [
            {"name": "limit", "in": "query", "schema": limit, "description": "Rows a page."},
            {
                "name": "cursor",
                "in": "query",
                "schema": {"type": "string", "maxLength": QUERY_CHARACTERS_MAX},
                "description": "`nextCursor` of the page before.",
            },
        ]


def read_limit(text: str | None) -> int:
    if text is None:
        return LIMIT_DEFAULT
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= LIMIT_MAX:
        raise BadPage(f"limit: a whole number from 1 to {LIMIT_MAX}.")
    return int(text)


def make_cursor(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, default=str).encode()).decode().rstrip("=")


def read_cursor(text: str | None) -> Any:
    if not text:
        return None
    try:
        value = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        is_usable = abs(value) < 2**63 if isinstance(value, int) else "\x00" not in value.encode().decode()
    except (ValueError, AttributeError, RecursionError) as error:
        raise BadPage("cursor: take it from nextCursor of the page before.") from error
    if not is_usable or isinstance(value, bool):
        raise BadPage("cursor: take it from nextCursor of the page before.")
    return value
