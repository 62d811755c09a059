"""Who may say what happened to goods: whoever keeps them. The kinds of partner and the operators of warehouses decide;
scopes and grants were asked before."""

from __future__ import annotations

from partners.models import Partner
from partners.problems import LeftToTheHouse
from stock.models import Warehouse

KEEPERS = (Partner.Kind.CHANNEL, Partner.Kind.LOGISTICS)


def must_keep(partner: Partner, warehouse: Warehouse | None, detail: str) -> None:
    """What came, and in what state, is said by our own channels and the 3PL of the warehouse; never by who buys or
    delivers it. Without a warehouse only the kind of partner counts. Raises LeftToTheHouse."""
    if partner.kind not in KEEPERS:
        raise LeftToTheHouse(detail)
    if warehouse is not None:
        must_run(partner, warehouse, detail)


def must_run(partner: Partner, warehouse: Warehouse, detail: str) -> None:
    """What was done in a warehouse is said by who is granted it; in one that somebody runs for us, by nobody but
    them and our own channels. Raises LeftToTheHouse."""
    runs = partner.kind == Partner.Kind.CHANNEL or warehouse.operator_id in (None, partner.pk)
    if not runs or not partner.may_see_warehouse(warehouse.code):
        raise LeftToTheHouse(detail)
