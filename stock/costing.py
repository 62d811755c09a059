"""What units cost, followed through the ledger. Pure: movements in, layers and draws out, no database.

Units that come to us make a layer: so many, worth so much. What leaves a place draws on the layers there, the oldest
first, and takes their worth along: into the layers of the place it goes to (the age stays), or out of the house. By
first in, first out a draw is worth what the layer was; by moving average it is worth the average of its place, and
the layers only tell the age. A draw of all that is left takes all that is left of the value, so nothing is lost to
rounding: what came in is what went out and what is there, to the last digit.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, localcontext

FIFO, AVERAGE = "fifo", "average"
PLACES = Decimal("0.0001")
NOTHING = Decimal(0)
# The virtual places of the ledger that are not simply outside; see Location.VIRTUAL_IDS.
CUSTOMER, FOUND, ROAD, CONVERSION = -2, -3, -6, -8
CONVERTED = "conversion"
PRECISION = 60
"""More digits than the largest place times the largest cost."""


def share(value: Decimal, part: int, whole: int) -> Decimal:
    """The part's share of a value, to four places; the whole's is all of it."""
    if part == whole:
        return value
    with localcontext(prec=PRECISION):
        return (value * part / whole).quantize(PLACES)


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A movement of units of ours. A side is a warehouse's id, or the negative id of a virtual place."""

    id: int
    variant_id: int
    quantity: int
    source: int
    target: int
    kind: str
    reference: str
    occurred_at: datetime
    recorded_at: datetime


@dataclass(kw_only=True, slots=True, eq=False)
class Layer:
    """Units that came to a place together: what they were worth, and what is left of them there.

    `root_id` is the layer they were when they came to us.
    """

    id: int
    variant_id: int
    place: int
    root_id: int
    movement_id: int
    quantity: int
    value: Decimal
    left: int
    left_value: Decimal
    acquired_at: datetime
    recorded_at: datetime
    is_estimated: bool = False
    is_new: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Draw:
    """Units that left a layer by one movement, and what they took along."""

    layer: Layer
    movement_id: int
    quantity: int
    value: Decimal
    recorded_at: datetime


@dataclass(kw_only=True, slots=True)
class Pool:
    """What lies in one place of one product, oldest layer first. The value is the truth, also of an average."""

    quantity: int = 0
    value: Decimal = NOTHING
    layers: deque[Layer] = field(default_factory=deque)


@dataclass(frozen=True, kw_only=True, slots=True)
class Landing:
    """Cost that came later, of the units of one root layer: so much on what is left in `layer`, None where gone."""

    note_id: int
    layer: Layer | None
    amount: Decimal


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What documents say a movement cost: its price (None: nobody said), and freight and duty."""

    price: Decimal | None = None
    landed: Decimal = NOTHING


@dataclass(kw_only=True)
class Books:
    """The state of some products between two movements, and what has been written since it was read."""

    ids: Iterator[int]
    methods: Mapping[int, str]
    unit_costs: Mapping[int, Decimal | None]
    told: Mapping[int, Told] = field(default_factory=dict)
    # variant, place
    pools: dict[tuple[int, int], Pool] = field(default_factory=lambda: defaultdict(Pool))
    sold: dict[int, tuple[int, Decimal]] = field(default_factory=dict)
    """Units and value of the last shipment of a product."""
    converting: dict[str, tuple[Decimal, datetime]] = field(default_factory=dict)
    """What went into the conversion place and has not come out, by reference, and how old it is."""
    layers: list[Layer] = field(default_factory=list)
    draws: list[Draw] = field(default_factory=list)

    def follow(self, step: Step) -> None:
        """One movement: what leaves a place of ours draws on it, what comes to one is a layer there."""
        if step.source == step.target:
            return
        taken = self.take(step) if is_ours(step.source) else None
        if not is_ours(step.target):
            self._gone(step, taken or [])
        elif taken is None:
            self._came(step)
        else:
            for draw in taken:
                self.lay(
                    place=step.target, movement_id=step.id, recorded_at=step.recorded_at, value=draw.value, like=draw.layer,
                    quantity=draw.quantity,
                )  # fmt: skip

    def take(self, step: Step) -> list[Draw]:
        """Draw a movement's units on the place they leave, the oldest first.

        Units that were never seen to come there (an arrival that never set out) are made up, at an estimate.
        """
        pool = self.pools[step.variant_id, step.source]
        if (missing := step.quantity - pool.quantity) > 0:
            value = self._estimate(step.variant_id, missing)
            self._lay_new(step, place=step.source, quantity=missing, value=value, is_estimated=True)
        total = share(pool.value, step.quantity, pool.quantity)
        is_average = self.methods[step.variant_id] == AVERAGE
        taken: list[Draw] = []
        done, given = 0, NOTHING
        while done < step.quantity:
            layer = pool.layers[0]
            units = min(layer.left, step.quantity - done)
            value = own = share(layer.left_value, units, layer.left)
            done += units
            if is_average:
                value = share(total, done, step.quantity) - given
            layer.left, layer.left_value, given = layer.left - units, layer.left_value - own, given + value
            if not layer.left:
                pool.layers.popleft()
            taken.append(
                Draw(
                    layer=layer, movement_id=step.id, quantity=units, value=value, recorded_at=step.recorded_at
                )
            )  # fmt: skip
        pool.quantity -= done
        pool.value -= given
        self.draws += taken
        return taken

    def lay(
        self, *, place: int, movement_id: int, recorded_at: datetime, quantity: int, value: Decimal, like: Layer
    ) -> Layer:
        """A layer of units that were `like` another's, and are as old."""
        return self._add(
            Layer(
                id=next(self.ids), variant_id=like.variant_id, place=place, root_id=like.root_id, movement_id=movement_id,
                quantity=quantity, value=value, left=quantity, left_value=value, acquired_at=like.acquired_at,
                recorded_at=recorded_at, is_estimated=like.is_estimated,
            )
        )  # fmt: skip

    def land(self, *, note_id: int, variant_id: int, root_id: int, quantity: int, amount: Decimal) -> list[Landing]:
        """Put cost that came later on what is left of a root layer, wherever it lies; the rest is a variance."""
        here = [
            (pool, layer)
            for (known, _), pool in sorted(self.pools.items())
            if known == variant_id
            for layer in pool.layers
            if layer.root_id == root_id
        ]
        landed = []
        done, given = 0, NOTHING
        for pool, layer in here:
            done += layer.left
            part = share(amount, done, quantity) - given
            given += part
            layer.left_value += part
            pool.value += part
            landed.append(Landing(note_id=note_id, layer=layer, amount=part))
        if given != amount or not here:
            landed.append(Landing(note_id=note_id, layer=None, amount=amount - given))
        return landed

    def _gone(self, step: Step, taken: list[Draw]) -> None:
        value = sum((draw.value for draw in taken), NOTHING)
        if step.target == CUSTOMER:
            self.sold[step.variant_id] = (step.quantity, value)
        elif step.target == CONVERSION and step.kind == CONVERTED:
            before, since = self.converting.get(step.reference, (NOTHING, step.occurred_at))
            oldest = min([since, *(draw.layer.acquired_at for draw in taken)])
            self.converting[step.reference] = (before + value, oldest)

    def _came(self, step: Step) -> None:
        """Units from outside: worth what a document says, what they left for, what they were made of, or a guess."""
        told = self.told.get(step.id, Told())
        acquired_at, is_estimated = step.occurred_at, False
        if told.price is not None:
            value = told.price
        elif step.kind == CONVERTED and step.reference in self.converting:
            value, acquired_at = self.converting.pop(step.reference)
        elif step.source == CUSTOMER and step.variant_id in self.sold:
            units, sold = self.sold[step.variant_id]
            value = share(sold, step.quantity, units)
        else:
            value = self._estimate(step.variant_id, step.quantity, average_first=step.source == FOUND)
            is_estimated = True
        self._lay_new(
            step, place=step.target, quantity=step.quantity, value=value + told.landed, acquired_at=acquired_at,
            is_estimated=is_estimated,
        )  # fmt: skip

    def _lay_new(
        self,
        step: Step,
        *,
        place: int,
        quantity: int,
        value: Decimal,
        is_estimated: bool,
        acquired_at: datetime | None = None,
    ) -> None:
        new_id = next(self.ids)
        self._add(
            Layer(
                id=new_id, variant_id=step.variant_id, place=place, root_id=new_id, movement_id=step.id, quantity=quantity,
                value=value, left=quantity, left_value=value, acquired_at=acquired_at or step.occurred_at,
                recorded_at=step.recorded_at, is_estimated=is_estimated,
            )
        )  # fmt: skip

    def _add(self, layer: Layer) -> Layer:
        pool = self.pools[layer.variant_id, layer.place]
        pool.quantity += layer.quantity
        pool.value += layer.value
        pool.layers.append(layer)
        self.layers.append(layer)
        return layer

    def _estimate(self, variant_id: int, quantity: int, *, average_first: bool = False) -> Decimal:
        """What the catalog says a unit costs, else the average of what we have; nothing where neither is known."""
        unit_cost = self.unit_costs.get(variant_id)
        pools = [pool for (known, _), pool in self.pools.items() if known == variant_id]
        units = sum(pool.quantity for pool in pools)
        if units and (average_first or unit_cost is None):
            return share(sum((pool.value for pool in pools), NOTHING), quantity, units)
        return (unit_cost or NOTHING) * quantity


def is_ours(place: int) -> bool:
    """A warehouse, or the road between two."""
    return place > 0 or place == ROAD
