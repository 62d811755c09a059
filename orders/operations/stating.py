"""Another system says what lies in warehouses, and which of their events it knows of.

The book's half is `stock.operations.stating`; it is told here what only orders know: how far each warehouse's clock has
come, and what was promised to orders as of one of its timestamps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orders import queries
from partners.actors import Actor
from partners.models import Partner
from partners.problems import InvalidInput
from stock.models import StockImport, Warehouse
from stock.operations import stating
from stock.operations.stating import Contains, Said
from stock.ranges import Range


@dataclass(frozen=True, kw_only=True)
class Known:
    """The sender knows of a warehouse's events from one logical timestamp (None: the first) to another."""

    warehouse: Warehouse
    starts: int | None
    ends: int


def open_items(
    *,
    said: Said,
    known: Sequence[Known],
    items: Sequence[Mapping[str, Any]],
    actor: Actor,
    partner: Partner | None = None,
) -> StockImport:
    """Take rows in as `stock.operations.stating.open_items` does; raises what it raises."""
    return stating.open_items(said=_with_clocks(said, known), items=items, actor=actor, partner=partner)


def open_file(
    *, said: Said, known: Sequence[Known], name: str, content: bytes, actor: Actor, partner: Partner | None = None
) -> StockImport:
    """Keep a file as `stock.operations.stating.open_file` does; raises what it raises."""
    return stating.open_file(said=_with_clocks(said, known), name=name, content=content, actor=actor, partner=partner)


def _with_clocks(said: Said, known: Sequence[Known]) -> Said:
    """A clock is locked until its tick commits, so everything up to a number that is seen is seen, for good."""
    halls = [row.warehouse.pk for row in known]
    if len(halls) != len(set(halls)):
        raise InvalidInput.at("ranges", "A warehouse has one range; name it once.")
    heads = queries.clocks(warehouse_ids=halls)
    takes_off = said.basis == StockImport.Basis.ATP_WITH_ORDERS
    contains = [
        Contains(
            warehouse=row.warehouse,
            range=Range(starts=row.starts, ends=row.ends),
            head=heads.get(row.warehouse.pk, 0),
            promised=queries.promised_as_of(warehouse_id=row.warehouse.pk, timestamp=row.ends) if takes_off else {},
        )
        for row in known
    ]
    return replace(said, contains=contains)
