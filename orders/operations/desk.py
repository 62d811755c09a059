"""What shops sold and the book did not have: noted for the desk, and flagged to be counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from catalog.models import Variant
from orders.models import FoundAtSale, Sale
from partners.actors import Actor
from stock.models import Batch, Count, Warehouse
from stock.operations import counting


@dataclass(frozen=True, kw_only=True)
class Found:
    """So many units a sale had that the book did not, of a batch (null: nobody knows which)."""

    sale: Sale
    variant: Variant
    warehouse: Warehouse
    quantity: int
    batch: Batch | None = None


def note_found(*, found: Sequence[Found], actor: Actor, at: datetime) -> list[FoundAtSale]:
    """Note what was found by being sold; each product is counted where it happened.

    A blind count is opened for each warehouse, of the products no such count is open for. The caller holds a
    transaction. Noted twice it is there twice: the caller's reports arrive once.
    """
    counts = _counts(found, actor=actor, at=at)
    return FoundAtSale.objects.bulk_create(
        FoundAtSale(
            sale=row.sale,
            variant=row.variant,
            warehouse=row.warehouse,
            batch=row.batch,
            quantity=row.quantity,
            count=counts[row.warehouse.pk, row.variant.pk],
            noted_at=at,
        )
        for row in found
    )


def _counts(found: Sequence[Found], *, actor: Actor, at: datetime) -> dict[tuple[int, int], Count]:
    """The count that is open for each (warehouse, variant), opened where there is none."""
    places = {row.warehouse.pk: row.warehouse for row in found}
    noted = FoundAtSale.objects.filter(
        warehouse__in=places, variant__in={row.variant.pk for row in found}, count__state=Count.State.OPEN
    )
    counts = {(row.warehouse_id, row.variant_id): row.count for row in noted.select_related("count") if row.count}
    for warehouse in places.values():
        missing = {
            row.variant.sku: row.variant.pk
            for row in found
            if row.warehouse.pk == warehouse.pk and (warehouse.pk, row.variant.pk) not in counts
        }
        if missing:
            scope = counting.Scope(skus=tuple(sorted(missing)))
            count = counting.open(warehouse=warehouse, scope=scope, rules=counting.Rules(), actor=actor, at=at)
            counts |= {(warehouse.pk, variant_id): count for variant_id in missing.values()}
    return counts
