"""Who looked up what, and what it could conclude: gathered in the process, written a few seconds later.

Nothing is locked and nothing asked of the database while somebody looks. A process that is killed takes the last
few seconds with it; that is the price.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import DatabaseError, connection, transaction

from partners import prepared
from partners.disclosure import Rule
from partners.models import Partner
from stock.models import LookUp, RefusedSize

log = logging.getLogger(__name__)

ROWS_MAX = 20_000
"""Gathered rows after which no more is gathered until they are written: the database is away then."""
Known = tuple[int, int, int | None]
"""A product (its id), and the least and the most there may be of it, as somebody was told."""

WRITE = """
    INSERT INTO stock_lookup AS known (partner_id, variant_id, day, looks, refusals, grants, lower, upper)
    SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::date[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],
                         %s::bigint[]) AS fresh
    ON CONFLICT (partner_id, variant_id, day) DO UPDATE
       SET looks = known.looks + excluded.looks, refusals = known.refusals + excluded.refusals,
           grants = known.grants + excluded.grants, lower = greatest(known.lower, excluded.lower),
           upper = least(known.upper, excluded.upper)
"""


class _Tally:
    """What this process has heard and not yet written."""

    def __init__(self) -> None:
        self.guard = threading.Lock()
        self.rows: dict[tuple[int, int, date], list[int | None]] = {}
        self.timer: threading.Timer | None = None

    def add(
        self, partner_id: int, day: date, known: Iterable[Known], *, looks: int, refusals: int, grants: int
    ) -> None:
        with self.guard:
            rows = self.rows
            for variant_id, lower, upper in known:
                row = rows.get((partner_id, variant_id, day))
                if row is None:
                    if len(rows) < ROWS_MAX:
                        rows[partner_id, variant_id, day] = [looks, refusals, grants, lower, upper]
                    continue
                row[0] += looks  # type: ignore[operator]  # only the last is ever null
                row[1] += refusals  # type: ignore[operator]
                row[2] += grants  # type: ignore[operator]
                if lower > row[3]:  # type: ignore[operator]
                    row[3] = lower
                if upper is not None and (row[4] is None or upper < row[4]):
                    row[4] = upper
            if self.timer is None and settings.LOOKUPS_FLUSH_SECONDS:
                self.timer = threading.Timer(settings.LOOKUPS_FLUSH_SECONDS, _flush_aside)
                self.timer.daemon = True
                self.timer.start()

    def take(self) -> dict[tuple[int, int, date], list[int | None]]:
        with self.guard:
            found, self.rows, self.timer = self.rows, {}, None
        return found


_tally = _Tally()


def note(*, partner: Partner | None, known: Iterable[Known], at: datetime) -> None:
    """A partner was told something of these products. Costs no query."""
    if partner is not None:
        _tally.add(partner.pk, at.date(), known, looks=1, refusals=0, grants=0)


def note_granted(*, partner: Partner | None, units: Iterable[tuple[int, int]], at: datetime) -> None:
    """So many units (of a product, by id) were promised to a partner, which had been there then. Costs no query."""
    if partner is not None:
        known = [(variant_id, quantity, None) for variant_id, quantity in units]
        _tally.add(partner.pk, at.date(), known, looks=0, refusals=0, grants=1)


def keep_refused(*, partner: Partner, refused: Sequence[tuple[int, int, int]], at: datetime) -> None:
    """A partner asked for more of these products than there was: (product, asked, found).

    What taught it more than its disclosure tells is written down at once, for `bounds.check` to count. One statement,
    or none.
    """
    rule: Rule = partner.disclosure_rule
    known, taught = [], []
    for variant_id, asked, found in refused:
        lower, upper = rule.bounds(found)
        if upper is None or asked - 1 < upper:
            upper = asked - 1
            taught.append(RefusedSize(partner=partner, variant_id=variant_id, quantity=asked, at=at))
        known.append((variant_id, lower, upper))
    _tally.add(partner.pk, at.date(), known, looks=0, refusals=1, grants=0)
    if taught:
        RefusedSize.objects.bulk_create(taught)


def flush() -> int:
    """Write what this process has gathered; returns the rows. Rows are written in one order, so that two processes do
    not wait for one another in a circle."""
    found = _tally.take()
    if not found:
        return 0
    keys = sorted(found)
    columns = list(zip(*(found[key] for key in keys), strict=True))
    with connection.cursor() as cursor:
        cursor.execute(
            WRITE,
            [
                *([key[place] for key in keys] for place in range(3)),
                *(prepared.bigints(column) for column in columns),
            ],
        )
    return len(keys)


@transaction.atomic
def forget(*, at: datetime, limit: int = 10_000) -> int:
    """Delete what is older than it is kept: look-ups after LOOKUPS_KEPT_DAYS, refused sizes after a day. Run again it
    goes on."""
    old = LookUp.objects.filter(day__lt=at.date() - timedelta(days=settings.LOOKUPS_KEPT_DAYS)).order_by("day", "id")
    gone = LookUp.objects.filter(pk__in=old.values("pk")[:limit]).delete()[0]
    sizes = RefusedSize.objects.filter(at__lt=at - timedelta(days=1)).order_by("id").values("pk")[:limit]
    return gone + RefusedSize.objects.filter(pk__in=sizes).delete()[0]


def _flush_aside() -> None:
    try:
        flush()
    except DatabaseError:
        log.warning("Who looked up what in the last seconds could not be written, and is lost.", exc_info=True)
    finally:
        connection.close()


def _flush_at_exit() -> None:
    if settings.LOOKUPS_FLUSH_SECONDS:
        _flush_aside()


atexit.register(partial(_flush_at_exit))
