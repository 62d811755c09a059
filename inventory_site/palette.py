"""The command palette (Ctrl-K): products by anything they are called, all else by the beginning of its number."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse
from unfold.dataclasses import SearchResult

from catalog import search
from catalog.models import Variant
from catalog.search import Hit
from orders.models import (
    AdvanceShipNotice,
    FulfilmentRequest,
    Order,
    Package,
    PickWave,
    PurchaseOrder,
    Receipt,
    Return,
    Shipment,
)
from partners.models import Partner
from stock.models import Count, Recall, Transfer, Warehouse

PRODUCTS_MAX = 12
OTHERS_MAX = 5
# What is called by a number of ours, and the icon it has in the side bar.
NUMBERED: tuple[tuple[type[Any], str], ...] = (
    (Order, "receipt_long"),
    (FulfilmentRequest, "assignment"),
    (PickWave, "trolley"),
    (Package, "package_2"),
    (Shipment, "local_shipping"),
    (Return, "assignment_return"),
    (PurchaseOrder, "shopping_cart"),
    (AdvanceShipNotice, "local_shipping"),
    (Receipt, "receipt"),
    (Transfer, "sync_alt"),
    (Count, "checklist"),
    (Recall, "campaign"),
)
CODED: tuple[tuple[type[Any], str], ...] = ((Partner, "handshake"), (Warehouse, "warehouse"))
WHY = {
    "sku": "",
    "barcode": "Barcode {}",
    "packBarcode": "Barcode of a pack {}",
    "supplierCode": "Supplier's number {}",
    "partnerCode": "Partner's number {}",
    "asin": "ASIN {}",
    "brandPart": "Brand's part number {}",
    "oe": "Vehicle maker's number {}",
    "interchange": "Equal to another brand's {}",
    "name": "",
    "words": "",
    "vehicle": "Fits the vehicle",
    "near": "Similar",
}


def find(request: HttpRequest, words: str) -> list[SearchResult]:
    """What this member of staff may see of it; a few of each kind. Seventeen queries at most, each by index or of a
    short table."""
    words = words.replace("\x00", " ").strip()[: search.TEXT_MAX]
    if not words:
        return []
    found = _products(words) if _may_view(request, Variant) else []
    for model, icon in NUMBERED:
        if _may_view(request, model):
            rows = model._default_manager.filter(number__startswith=words.upper()).order_by("-pk")
            found += [_row(row, row.number, icon) for row in rows[:OTHERS_MAX]]
    for model, icon in CODED:
        if _may_view(request, model):
            rows = model._default_manager.filter(Q(code__istartswith=words) | Q(name__istartswith=words))
            found += [_row(row, f"{row.name} ({row.code})", icon) for row in rows.order_by("code")[:OTHERS_MAX]]
    return found


def _products(words: str) -> list[SearchResult]:
    hits = search.find(words, most=PRODUCTS_MAX)
    names = dict(Variant.objects.filter(pk__in=[hit.variant_id for hit in hits]).values_list("pk", "name"))
    return [
        SearchResult(
            title=names[hit.variant_id],
            description=" · ".join(filter(None, (hit.sku, _why(hit)))),
            link=reverse("admin:catalog_variant_change", args=[hit.variant_id]),
            icon="category",
        )
        for hit in hits
        if hit.variant_id in names
    ]


def _why(hit: Hit) -> str:
    return WHY[hit.why].format(hit.what)


def _row(row: Any, title: str, icon: str) -> SearchResult:
    options = row._meta
    link = reverse(f"admin:{options.app_label}_{options.model_name}_change", args=[row.pk])
    return SearchResult(title=title, description=options.verbose_name.capitalize(), link=link, icon=icon)


def _may_view(request: HttpRequest, model: type[Any]) -> bool:
    return bool(request.user.has_perm(f"{model._meta.app_label}.view_{model._meta.model_name}"))
