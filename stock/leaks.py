"""What partners could conclude of our stock from what they were told, asked for and got: the leak report.

A reading of who looked up what (operations/lookups.py). What may be promised to a partner is all it can learn of; what
its disclosure keeps back from it stays hidden behind that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.db import connection

from catalog.models import Variant
from partners.models import Partner

CLOSEST_MAX = 200
"""Products named one by one; whoever needs all of them takes the look-ups."""
NEAR_PERCENT = 10

# Of each product, the day on which its bounds were closest; bounds that crossed were those of stock that moved.
BEST = """
    WITH seen AS (
        SELECT partner_id, variant_id, day, lower, upper, looks, refusals, grants
          FROM stock_lookup WHERE day >= %(since)s AND day < %(until)s
           AND (%(partner)s::bigint IS NULL OR partner_id = %(partner)s)
    ), best AS (
        SELECT DISTINCT ON (partner_id, variant_id) partner_id, variant_id, day, lower, upper
          FROM seen ORDER BY partner_id, variant_id, abs(upper - lower) NULLS LAST, lower DESC, day DESC
    )
"""
SUMS = f"""{BEST}
    SELECT seen.partner_id, sum(seen.looks)::bigint, sum(seen.refusals)::bigint, sum(seen.grants)::bigint,
           max(of_products.products), max(of_products.exact), max(of_products.near), max(of_products.bounded)
      FROM seen JOIN (
           SELECT partner_id, count(*) AS products, count(*) FILTER (WHERE lower >= upper) AS exact,
                  count(*) FILTER (WHERE upper > lower AND (upper - lower) * 100 <= lower * %(near)s) AS near,
                  count(*) FILTER (WHERE upper IS NULL AND lower > 0 OR (upper - lower) * 100 > lower * %(near)s) AS bounded
             FROM best GROUP BY partner_id) of_products USING (partner_id)
     GROUP BY seen.partner_id ORDER BY seen.partner_id
"""  # noqa: S608  our own
CLOSEST = f"""{BEST}
    SELECT variant.sku, best.day, best.lower, best.upper, sums.looks, sums.refusals, sums.grants
      FROM best JOIN catalog_variant variant ON variant.id = best.variant_id
      JOIN (SELECT variant_id, sum(looks)::bigint AS looks, sum(refusals)::bigint AS refusals,
                   sum(grants)::bigint AS grants FROM seen GROUP BY variant_id) sums ON sums.variant_id = variant.id
     ORDER BY abs(best.upper - best.lower) NULLS LAST, best.lower DESC, variant.sku LIMIT %(limit)s
"""  # noqa: S608  our own


@dataclass(frozen=True, kw_only=True)
class Known:
    """The closest a partner came to the number of one product: `upper` null says it could not bound it above."""

    sku: str
    day: date
    lower: int
    upper: int | None
    looks: int
    refusals: int
    grants: int

    @property
    def words(self) -> str:
        if self.upper is None:
            return f"at least {self.lower:,}" if self.lower else "nothing"
        if self.lower == self.upper:
            return f"exactly {self.lower:,}"
        if self.lower > self.upper:
            return f"{self.upper:,} at one time and {self.lower:,} at another"
        return f"between {self.lower:,} and {self.upper:,}"


@dataclass(frozen=True, kw_only=True)
class Leak:
    """What one partner could conclude in a month. `exact`, `near` (within a tenth) and `bounded` are products."""

    partner: Partner
    looks: int
    refusals: int
    grants: int
    products: int
    exact: int
    near: int
    bounded: int
    assortment: int

    @property
    def share_percent(self) -> int:
        return min(100, round(100 * self.products / self.assortment)) if self.assortment else 0

    @property
    def words(self) -> str:
        asked = (
            f"{self.partner.code} is told {self.partner.disclosure_rule}. It looked {self.looks:,} times, at"
            f" {self.products:,} of the {self.assortment:,} products it may see ({self.share_percent} %);"
            f" {self.grants:,} times units were promised to it, {self.refusals:,} times it asked for too many."
        )
        if self.partner.disclosure_rule.is_exact:
            return f"{asked} It is told numbers as they are, so it knows them of all it looked at."
        return (
            f"{asked} It could know the number of {self.exact:,}, to within a tenth that of {self.near:,} more, and"
            f" roughly that of {self.bounded:,}."
        )


def month_of(text: str) -> tuple[date, date]:
    """The first day of a month written 2026-11, and of the next one. Raises ValueError."""
    first = date.fromisoformat(f"{text}-01")
    if first.year == date.max.year:
        raise ValueError(f"{text} is never over.")
    return first, (first + timedelta(days=31)).replace(day=1)


def report(*, since: date, until: date, partner: Partner | None = None) -> list[Leak]:
    """What each partner that looked could conclude from `since` until before `until`, the most exact first. One query
    by the index of days, and one for each partner's assortment."""
    found = []
    with connection.cursor() as cursor:
        cursor.execute(SUMS, _asked(since, until, partner))
        rows = cursor.fetchall()
    partners = Partner.objects.in_bulk([row[0] for row in rows])
    for partner_id, looks, refusals, grants, products, exact, near, bounded in rows:
        who = partners[partner_id]
        found.append(
            Leak(
                partner=who, looks=looks, refusals=refusals, grants=grants, products=products, exact=exact, near=near,
                bounded=bounded, assortment=Variant.objects.for_partner(who).stocked().count(),
            )
        )  # fmt: skip
    return sorted(found, key=lambda leak: (-leak.exact, -leak.near, -leak.products, leak.partner.code))


def closest(*, since: date, until: date, partner: Partner, limit: int = CLOSEST_MAX) -> Sequence[Known]:
    """The products of which a partner knows most, each on the day it knew most. One query."""
    with connection.cursor() as cursor:
        cursor.execute(CLOSEST, _asked(since, until, partner) | {"limit": limit})
        names = ("sku", "day", "lower", "upper", "looks", "refusals", "grants")
        return [Known(**dict(zip(names, row, strict=True))) for row in cursor.fetchall()]


def _asked(since: date, until: date, partner: Partner | None) -> dict[str, Any]:
    return {"since": since, "until": until, "partner": partner.pk if partner else None, "near": NEAR_PERCENT}
