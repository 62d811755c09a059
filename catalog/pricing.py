"""What things cost: the best price for a partner, a quantity and a moment. One query, however many lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Case, Q, When

from catalog.models import PriceList, Variant
from partners.models import Partner


@dataclass(frozen=True, kw_only=True)
class Wish:
    """So many stock units of a product."""

    sku: str
    quantity: int


@dataclass(frozen=True, kw_only=True)
class Priced:
    """What a wish costs. Without `unit_price` there is no price for it; not `is_known`: no such product for the asker.

    Until `valid_until` the same wish is answered alike, unless somebody changes a price; None: without end.
    """

    wish: Wish
    is_known: bool
    unit_price: Decimal | None = None
    currency: str | None = None
    price_list: str | None = None
    from_quantity: int | None = None
    valid_until: datetime | None = None


# `lists` and `products` are the querysets' own SQL, so that who may see what is said in one place. Each line looks at
# the prices of its product alone (index price_by_variant). What comes first: the partner's list, then the channel's
# (the one that is asked for and the one that asks are alike), then everybody's; of those the higher priority; of lists
# that stand alike the one whose code comes first, byte by byte, so that every database answers the same; of one list
# the greater break. No two lists stand in the same place. A price that begins later and would come first then ends the
# answer before the price found does.
LOOKUP = """
    WITH lists AS MATERIALIZED (SELECT id, code COLLATE "C" AS code, currency, priority, rank FROM ({lists}) meant),
         products AS MATERIALIZED ({products})
    SELECT wish.place, products.id, best.amount, best.currency, best.code, best.from_quantity,
           least(best.until, next.since)
      FROM unnest(%s::text[], %s::bigint[]) WITH ORDINALITY AS wish (sku, quantity, place)
      LEFT JOIN products ON products.sku = wish.sku
      LEFT JOIN LATERAL (
            SELECT price.amount, price.from_quantity, upper(price.valid) AS until,
                   lists.currency, lists.rank, lists.priority, lists.code
              FROM catalog_price AS price JOIN lists ON lists.id = price.price_list_id
             WHERE price.variant_id = products.id AND price.from_quantity <= wish.quantity AND price.valid @> %s
             ORDER BY lists.rank, lists.priority DESC, lists.code, price.from_quantity DESC
             LIMIT 1
      ) AS best ON true
      LEFT JOIN LATERAL (
            SELECT min(lower(price.valid)) AS since
              FROM catalog_price AS price JOIN lists ON lists.id = price.price_list_id
             WHERE price.variant_id = products.id AND price.from_quantity <= wish.quantity
               AND lower(price.valid) > %s
               AND (best.code IS NULL OR (lists.rank, -lists.priority, lists.code, -price.from_quantity)
                                       < (best.rank, -best.priority, best.code, -best.from_quantity))
      ) AS next ON true
     ORDER BY wish.place
"""
RANK = Case(When(partner__isnull=False, then=0), When(~Q(channel=""), then=1), default=2)


def look_up(
    *, wishes: Sequence[Wish], partner: Partner, at: datetime, currency: str | None = None, channel: str = ""
) -> list[Priced]:
    """The price of each wish at a moment, in one query. `channel` counts where our own channel asks.

    Each line is answered by the first list that has a price for it: the partner's own, its channel's, everybody's;
    among those the higher priority, then the code that comes first, whatever the currency unless one is asked for.
    """
    lists = PriceList.objects.for_partner(partner, channel=channel).order_by()
    if currency:
        lists = lists.filter(currency=currency)
    lists_sql, lists_values = lists.values("id", "code", "currency", "priority", rank=RANK).query.sql_with_params()
    products = Variant.objects.for_partner(partner).filter(sku__in={wish.sku for wish in wishes}).order_by()
    products_sql, products_values = products.values("id", "sku").query.sql_with_params()
    values = [
        *lists_values,
        *products_values,
        [wish.sku for wish in wishes],
        [wish.quantity for wish in wishes],
        at,
        at,
    ]
    with connection.cursor() as cursor:
        cursor.execute(LOOKUP.format(lists=lists_sql, products=products_sql), values)
        rows = cursor.fetchall()
    return [_priced(wish, row) for wish, row in zip(wishes, rows, strict=True)]


def _priced(wish: Wish, row: Sequence[Any]) -> Priced:
    _, product_id, amount, currency, code, from_quantity, until = row
    return Priced(
        wish=wish,
        is_known=product_id is not None,
        unit_price=amount,
        currency=currency,
        price_list=code,
        from_quantity=from_quantity,
        valid_until=until,
    )
