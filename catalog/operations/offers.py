"""Suppliers' offers of a product: under which number, in which pack, how soon, and for how much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction
from iso4217 import Currency

from catalog.models import SupplierItem, Variant
from catalog.operations import identifiers
from partners.models import Partner
from partners.problems import InvalidInput

SUPPLIERS_MAX = 50
CURRENCIES = frozenset(currency.code for currency in Currency)
TERMS = (
    "pack", "minimum_quantity", "order_multiple", "lead_time_days", "lead_time_deviation_days", "cost", "currency",
    "last_confirmed_on",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Source:
    """Who supplies it, and under which number of their own.

    `terms` are those that are said, named as in TERMS; what is not named stays. `pack` is a pack's name.
    """

    supplier: Partner
    supplier_code: str = ""
    terms: dict[str, Any] = field(default_factory=dict)


def set_sources(*, variant: Variant, sources: Sequence[Source], supplier: Partner | None = None) -> bool:
    """Make `sources` the offers there are; for a `supplier` its own offer, and those of others stay.

    Whether that changed anything. The caller holds the product's lock. Raises InvalidInput at `suppliers[…]`.
    """
    if len(sources) > SUPPLIERS_MAX:
        raise InvalidInput.at("suppliers", f"A product has at most {SUPPLIERS_MAX} suppliers.")
    if len({source.supplier.pk for source in sources}) < len(sources):
        raise InvalidInput.at("suppliers", "A supplier is named twice.")
    offers = variant.supplier_items.all() if supplier is None else variant.supplier_items.filter(supplier=supplier)
    there = {item.supplier_id: item for item in offers}
    packs = {pack.name: pack.pk for pack in variant.packs.all()}
    changed = said(variant=variant, sources=sources, there=there, packs=packs)
    gone = [item.pk for item in there.values() if item.supplier_id not in {source.supplier.pk for source in sources}]
    if not changed and not gone:
        return False
    _check_codes(variant, changed)
    try:
        with transaction.atomic():
            SupplierItem.objects.filter(pk__in=gone).delete()
            for item in changed:
                item.save()
    except IntegrityError as error:
        raise _understood(error) from error
    return True


def said(
    *, variant: Variant, sources: Sequence[Source], there: dict[int, SupplierItem], packs: dict[str, int]
) -> list[SupplierItem]:
    """The offers that become others by what is said, changed and not saved; `there` are those there are, by supplier.

    `packs` are the product's, by name. Raises InvalidInput at `suppliers[…]`. Asks nothing of the database.
    """
    changed = []
    for place, source in enumerate(sources):
        item = there.get(source.supplier.pk) or SupplierItem(supplier=source.supplier, variant=variant)
        before = None if item.pk is None else _picture(item)
        _say(item, source, packs, f"suppliers[{place}]")
        if _picture(item) != before:
            changed.append(item)
    return changed


def check_currency(code: str, *, field: str) -> str:
    """An ISO 4217 code in capitals. Raises InvalidInput at the field."""
    if code not in CURRENCIES:
        raise InvalidInput.at(field, f"{code!r} is no currency of ISO 4217; write EUR or USD.")
    return code


def _say(item: SupplierItem, source: Source, packs: dict[str, int], place: str) -> None:
    item.supplier_code = source.supplier_code
    for name, value in source.terms.items():
        if name == "pack":
            if value and value not in packs:
                raise InvalidInput.at(f"{place}.pack", f"There is no pack {value} of this product.")
            item.pack_id = packs[value] if value else None
        elif name == "currency":
            item.currency = check_currency(value, field=f"{place}.currency") if value else ""
        else:
            setattr(item, name, value)
    if "cost" in source.terms and item.cost is None and "currency" not in source.terms:
        item.currency = ""
    if (item.cost is None) != (not item.currency):
        raise InvalidInput.at(f"{place}.currency", "A cost and its currency go together.")
    if item.lead_time_deviation_days is not None and item.lead_time_days is None:
        raise InvalidInput.at(f"{place}.leadTimeDeviationDays", "A deviation needs the lead time it is of.")


def _picture(item: SupplierItem) -> dict[str, Any]:
    names = ("supplier_code", "pack_id", *(name for name in TERMS if name != "pack"))
    return {name: getattr(item, name) for name in names}


def _check_codes(variant: Variant, items: Sequence[SupplierItem]) -> None:
    taken = SupplierItem.objects.exclude(variant=variant)
    for item in items:
        code = item.supplier_code
        if code and taken.filter(supplier=item.supplier_id, supplier_code=code).exists():
            raise _code_taken(code)


def _code_taken(code: str) -> InvalidInput:
    return InvalidInput.at("suppliers", f"The supplier's number {code} stands for another product.")


def _understood(error: IntegrityError) -> Exception:
    diagnosis = getattr(error.__cause__, "diag", None)
    if getattr(diagnosis, "constraint_name", None) == "supplier_item_code_unique":
        return InvalidInput.at("suppliers", "A supplier's number stands for another product.")
    return identifiers.understood(error, field="suppliers")
