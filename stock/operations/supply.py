"""What is on its way, as a document says that orders it; availability reads nothing else.

Whoever owns the document says anew what is still to come, in the transaction that changes it and under its lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from django.db import transaction

from catalog.models import Variant
from stock.models import Inbound, Warehouse


@dataclass(frozen=True, kw_only=True)
class Coming:
    """So many stock units of a document's line that are still to come, and the day they should be here.

    What nobody has confirmed is shown to staff and not promised.
    """

    line: int
    variant: Variant
    quantity: int
    expected_on: date
    is_confirmed: bool = True


@transaction.atomic
def expect(*, kind: Inbound.Kind, document: str, warehouse: Warehouse, coming: Sequence[Coming]) -> None:
    """Say all that is still to come by a document; lines that are not said, and those of nothing, come no more.

    The caller holds the document's lock. Said twice it stays the same. Two statements.
    """
    rows = [row for row in coming if row.quantity > 0]
    gone = Inbound.objects.filter(kind=kind, document=document).exclude(line__in=[row.line for row in rows])
    gone.delete()
    Inbound.objects.bulk_create(
        [
            Inbound(
                kind=kind,
                document=document,
                line=row.line,
                variant=row.variant,
                warehouse=warehouse,
                quantity=row.quantity,
                expected_on=row.expected_on,
                is_confirmed=row.is_confirmed,
            )
            for row in rows
        ],
        update_conflicts=True,
        unique_fields=["kind", "document", "line"],
        update_fields=["variant", "warehouse", "quantity", "expected_on", "is_confirmed"],
    )
