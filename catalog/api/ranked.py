"""Lists that are searched: the best first, page by page."""

from __future__ import annotations

import re
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request

from catalog import search
from catalog.models import Variant
from partners.api.pagination import BadPage, KeysetPagination, make_cursor, read_cursor, read_limit

PLACE = re.compile(r"([0-3]):(-?\d{1,15}):([A-Za-z0-9._/+-]{1,64})")


class RankedPagination(KeysetPagination):
    """With `q` the best hits first, at most 1,000 of them; without it by keyset, as every list.

    The cursor is a hit's place, so that what comes and goes meanwhile neither repeats nor skips another.
    """

    def paginate_queryset(self, queryset: QuerySet[Any], request: Request, view: Any = None) -> list[Any]:
        text = request.query_params.get("q", "").strip()
        if not text:
            return super().paginate_queryset(queryset, request, view)
        limit = read_limit(request.query_params.get("limit"))
        hits = search.find(
            text,
            within=view.filter_queryset(Variant.objects.all()),  # the assortment is the search's own business
            partner=view.partner,
            limit=limit + 1,
            after=_place(request.query_params.get("cursor")),
        )
        page = hits[:limit]
        self.next_cursor = make_cursor("{}:{}:{}".format(*page[-1].place)) if len(hits) > limit else None
        return in_order(view.visible(), page)


def in_order(queryset: QuerySet[Variant], hits: list[search.Hit]) -> list[Variant]:
    rows = queryset.in_bulk([hit.variant_id for hit in hits])
    return [rows[hit.variant_id] for hit in hits if hit.variant_id in rows]


def _place(cursor: str | None) -> search.Place | None:
    value = read_cursor(cursor)
    if value is None:
        return None
    found = PLACE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise BadPage("cursor: take it from nextCursor of the page before, of the same search.")
    return int(found[1]), int(found[2]), found[3]
