"""What is held back does not leave and is not put back on sale."""

from __future__ import annotations

from collections.abc import Iterable

from partners.problems import Problem
from stock.models import Batch


class BatchBlocked(Problem):
    """The batch is quarantined or recalled. Data: productId, batchNumber, holdState."""

    code = "batch_blocked"
    title = "The batch is held back"
    remedy = "Choose another batch, or wait until it is lifted."


def check_released(*, batch_ids: Iterable[int | None]) -> None:
    """Refuse where one of these batches is held back. One query; none where no batch is named.

    The caller holds the locks of the levels concerned: who holds a batch back needs all of them, so what is
    read here stays so to the end of the transaction. Raises BatchBlocked.
    """
    named = {batch_id for batch_id in batch_ids if batch_id is not None}
    if not named:
        return
    held = Batch.objects.filter(pk__in=named).exclude(hold_state=Batch.HoldState.RELEASED)
    blocked = held.select_related("variant").order_by("pk").first()
    if blocked is not None:
        raise BatchBlocked(
            f"Batch {blocked.number} of {blocked.variant.sku} is {blocked.hold_state}.",
            productId=blocked.variant.sku,
            batchNumber=blocked.number,
            holdState=blocked.hold_state,
        )
