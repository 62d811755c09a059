"""How staff find rows of the stock book: by the words on the box."""

from __future__ import annotations

from typing import Any

from django.db.models import Q

from catalog import search
from catalog.models import Variant
from catalog.search import Hit
from stock.models import Batch

# More hits than this and the words say too little.
FOUND_MAX = 200


def find(queryset: Any, words: str, *others: Q) -> Any:
    """Rows of the products or batches the words name, or that fit one of `others`.

    Products and batches are looked up first, so that a ledger without end is read by its own indexes.
    """
    variant_ids = variants_named(words)
    batch_ids = list(Batch.objects.filter(number__holds=words).order_by().values_list("pk", flat=True)[:FOUND_MAX])
    found = Q(variant_id__in=variant_ids) | Q(batch_id__in=batch_ids)
    for other in others:
        found |= other
    return queryset.filter(found)


def variants_named(words: str) -> list[int]:
    """The products the words find, near ones only where there are no better. Two queries."""
    return [hit.variant_id for hit in hits_of(words)]


def hits_of(words: str) -> list[Hit]:
    """How the words find them."""
    hits = search.find(words, most=FOUND_MAX)
    return [hit for hit in hits if not hit.is_near] or hits


def named(variant: Variant) -> list[str]:
    """A product as lists show it: the name, and the SKU below it."""
    return [variant.name, variant.sku]
