"""What left the shelf for an order line is shared out among the requests it completes. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from orders.operations.ticking import Part


class Leftover:
    """What left for `units` of a line and no request has claimed yet: of a kit its components, by batch."""

    def __init__(self, parts: Sequence[Part], units: int) -> None:
        self.parts, self.units = list(parts), units

    def take(self, units: int) -> list[Part]:
        """What left for so many units: each variant's share, of the batches in their order, each batch said once."""
        owed = Counter[int]()
        for part in self.parts:
            owed[part.variant_id] += part.quantity
        owed = Counter({variant_id: quantity * units // self.units for variant_id, quantity in owed.items()})
        taken: Counter[tuple[int, int | None]] = Counter()
        rest = []
        for part in self.parts:
            count = min(part.quantity, owed[part.variant_id])
            owed[part.variant_id] -= count
            if count:
                taken[part.variant_id, part.batch_id] += count
            if count < part.quantity:
                rest.append(part._replace(quantity=part.quantity - count))
        self.parts, self.units = rest, self.units - units
        return [Part(variant_id, batch_id, count) for (variant_id, batch_id), count in taken.items()]
