"""How much there is of what a state tells about: the floor that keeps stock says here how to find out.

A counter answers for many at once, in as many queries as for one: (product, warehouse, owner) → quantity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from partners.models import OutboxEvent

Place = tuple[str, str, str | None]
Counter = Callable[[Sequence[Place]], Mapping[Place, int]]

_counters: dict[str, Counter] = {}


def count_by(name: str, counter: Counter) -> None:
    """Let a floor above count; said again under the same name it replaces what was said."""
    _counters[name] = counter


def quantities(events: Iterable[OutboxEvent]) -> dict[str, int]:
    """What is available now of each event's subject, where somebody can say."""
    places = {event.subject: place for event in events if (place := _place_of(event)) is not None}
    found: dict[Place, int] = {}
    for counter in _counters.values():
        found |= counter(list(places.values()))
    return {subject: found[place] for subject, place in places.items() if place in found}


def _place_of(event: OutboxEvent) -> Place | None:
    payload = event.payload
    if "productId" not in payload or "warehouseLocation" not in payload:
        return None
    return payload["productId"], payload["warehouseLocation"], payload.get("ownerId")
