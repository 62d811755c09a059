"""Made-up stock in any amount, for measuring: invented products on invented shelves with a history that adds up.

Beside the ledger the only module that writes levels and movements, and only where there is no movement yet:
a million levels posted one by one would take hours, so everything is made by the database, set by set, with
arithmetic instead of chance. The same numbers and seed make the same stock.

What comes out obeys the house's invariants at every moment of its history: `on_hand` is the sum of the
movements, `reserved` the sum of the open allocations, and no running sum is ever below zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from catalog.models import ProductType
from partners import actors
from partners.models import Partner
from partners.problems import Conflict
from stock.models import Location, Movement
from stock.operations import warehouses as buildings

HISTORY_DAYS = 730
SLICE_ROWS = 500_000
BINS_MIN = 5
SUPPLIERS = 20
ENDLESS = 10**9
BATCHES_PER_VARIANT = 4
ACTOR = actors.job("make_stock")

# Half of the history is spread over all levels, two fifths over the hottest twentieth, a tenth over the very
# hottest: each stream visits its levels in rounds, so that a level's turn is known without counting.
# (share of ten, first digit of the movement's number, one level in so many)
STREAMS = ((5, 0, 1), (4, 5, 20), (1, 9, 2_000))


class NotEmpty(Conflict):
    """There are movements already, and made-up ones are never mixed with real ones. Data: none."""

    code = "not_empty"
    title = "The ledger is not empty"
    remedy = "Use an empty database."


@transaction.atomic
def fill(
    *,
    variants: int,
    warehouses: int,
    levels: int,
    movements: int,
    at: datetime,
    seed: int = 1,
    say: Callable[[str], None] = lambda step: None,
) -> None:
    """Fill an empty stock book: all of it or, on any failure, nothing.

    Every fifth product is tracked by batch, one level in 25 is damaged or in quarantine, about one in 50 holds
    a promise; the history ends at `at`. Tells the feed nothing. Raises NotEmpty where there are movements.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "LOCK TABLE stock_movement, stock_level, stock_batch, catalog_variant IN SHARE ROW EXCLUSIVE MODE"
        )
        if Movement.objects.exists():
            raise NotEmpty("There are movements in this database; make stock up in an empty one.")
        # Ten million rows sorted and summed: memory for this transaction, not for the server.
        cursor.execute("SET LOCAL work_mem = '256MB'")
        cursor.execute("SET LOCAL maintenance_work_mem = '512MB'")
        numbers: dict[str, Any] = {"seed": seed, "at": at, "actor": ACTOR.label, "levels": levels}
        numbers["per_variant"] = per_variant = math.ceil(levels / variants)
        say(f"{warehouses:,} warehouses, {variants:,} variants")
        numbers["locations"] = _buildings(warehouses, bins=max(BINS_MIN, math.ceil(per_variant / warehouses)))
        numbers |= _partners()
        _variants(cursor, numbers, variants)
        cursor.execute(PLACES, numbers)
        cursor.execute("ANALYZE made_up_place")
        _movements(cursor, numbers, movements, say)
        say(f"{levels:,} levels and what is promised of them")
        for statement in (SUMS, PROMISES, LEVELS, RESERVATIONS, LINES, ALLOCATIONS):
            cursor.execute(statement, numbers)
        say("Checks and statistics")
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("DROP TABLE made_up_place, made_up_sum, made_up_promise")
        for table in TABLES:
            cursor.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), greatest(max(id), 1)) FROM {table}")
            cursor.execute(f"ANALYZE {table}")


TABLES = (
    "catalog_variant", "catalog_supplieritem", "stock_batch", "stock_level", "stock_movement", "stock_reservation",
    "stock_reservationline", "stock_allocation",
)  # fmt: skip


def _buildings(count: int, *, bins: int) -> list[int]:
    """Open the warehouses; their bins' ids, so that neighbours in the list are in different buildings."""
    made = [
        buildings.open_warehouse(code=f"MU-{number:02}", name=f"Made up {number}", actor=ACTOR)
        for number in range(1, count + 1)
    ]
    Location.objects.bulk_create(
        Location(warehouse=warehouse, code=f"BIN-{number:02}") for warehouse in made for number in range(2, bins + 1)
    )
    places = Location.objects.filter(warehouse__in=made).order_by("-is_default", "code", "warehouse__code")
    return list(places.values_list("pk", flat=True))


def _partners() -> dict[str, Any]:
    suppliers = Partner.objects.bulk_create(
        Partner(
            code=f"MU-SUPPLIER-{number:02}",
            name=f"Made up supplier {number}",
            kind=Partner.Kind.SUPPLIER,
            assortment=Partner.Assortment.OWN,
        )
        for number in range(1, SUPPLIERS + 1)
    )
    shop = Partner.objects.create(code="MU-SHOP", name="Made up shop", kind=Partner.Kind.RETAILER)
    return {"suppliers": [supplier.pk for supplier in suppliers], "shop": shop.pk}


def _variants(cursor: Any, numbers: dict[str, Any], count: int) -> None:
    ProductType.objects.get_or_create(code="general", defaults={"name": "General"})
    for table in ("catalog_variant", "stock_batch"):
        cursor.execute(f"SELECT coalesce(max(id), 0) + 1 FROM {table}")
        numbers[f"first_{table.rpartition('_')[2]}"] = cursor.fetchone()[0]
    numbers |= {"variants": count, "batches": BATCHES_PER_VARIANT}
    for statement in (VARIANTS, SUPPLIER_ITEMS, BATCHES):
        cursor.execute(statement, numbers)


def _movements(cursor: Any, numbers: dict[str, Any], count: int, say: Callable[[str], None]) -> None:
    """The history, in order of time. Indexes are taken down meanwhile: built at once they take a tenth of it."""
    cursor.execute(
        "SELECT indexname, indexdef FROM pg_indexes"
        " WHERE schemaname = current_schema() AND tablename = 'stock_movement' AND indexname <> 'stock_movement_pkey'"
    )
    indexes = cursor.fetchall()
    for name, _ in indexes:
        cursor.execute(f'DROP INDEX "{name}"')
    numbers |= {"movements": count, "days": HISTORY_DAYS}
    for first in range(0, count, SLICE_ROWS):
        last = min(first + SLICE_ROWS, count)
        cursor.execute(MOVEMENTS.format(turns=_turns(numbers["levels"])), numbers | {"first": first, "last": last})
        say(f"{last:,} of {count:,} movements")
    say("Indexes of the ledger")
    for _, definition in indexes:
        cursor.execute(definition)


def _turns(levels: int) -> str:
    """For each stream: which level the number n falls on, and which of the level's turns in this stream it is."""
    cases = []
    for share, digit, one_in in STREAMS:
        size = max(1, levels // one_in)
        step = next(step for step in (7_919, 104_729, 15_485_863, 1) if math.gcd(step, size) == 1)
        turn = f"((n / 10) * {share} + n %% 10 - {digit})"
        place = f"({turn} %% {size} * {step} + {turn} / {size} * 7) %% {size}"
        cases.append(
            f"SELECT n, {place} AS place, {turn} / {size} AS turn FROM numbers"
            f" WHERE n %% 10 BETWEEN {digit} AND {digit + share - 1}"
        )
    return " UNION ALL ".join(cases)


# A number below `most`, made from n, that looks like chance and is the same next time.
CHANCE = "(abs(hashint8extended({n}, %(seed)s::bigint + {salt}) %% 1000003) %% {most})"


def chance(n: str, most: int | str, salt: int) -> str:
    return CHANCE.format(n=f"({n})::bigint", most=most, salt=salt)


VARIANTS = f"""
    INSERT INTO catalog_variant
        (id, sku, name, brand, is_parent, gtin, gtin14, attributes, tracking, unit, status, version, updated_at,
         product_type_id, unit_cost)
    SELECT %(first_variant)s + v, 'MU-' || lpad(v::text, 7, '0'),
           (ARRAY['Red', 'Blue', 'Green', 'Small', 'Large', 'Fresh', 'Dried', 'Plain'])[1 + {chance("v", 8, 1)}] || ' '
           || (ARRAY['sauce', 'filter', 'cream', 'bearing', 'soap', 'belt', 'tea', 'lamp'])[1 + {chance("v", 8, 2)}]
           || ' ' || v,
           'Brand ' || {chance("v", 100, 3)}, false, '', '', '{{}}', CASE WHEN v %% 5 = 0 THEN 'batch' ELSE 'none' END,
           'each', 'active', 1, %(at)s, 'general', 1 + {chance("v", 10_000, 4)} / 100.0
      FROM generate_series(0, %(variants)s - 1) AS v
"""
SUPPLIER_ITEMS = """
    INSERT INTO catalog_supplieritem (supplier_id, variant_id, supplier_code)
    SELECT (%(suppliers)s::bigint[])[1 + v %% cardinality(%(suppliers)s::bigint[])], %(first_variant)s + v, ''
      FROM generate_series(0, %(variants)s - 1) AS v
"""
BATCHES = f"""
    INSERT INTO stock_batch (id, variant_id, number, expires_on, hold_state, created_at)
    SELECT %(first_batch)s + b, %(first_variant)s + b / %(batches)s * 5, 'LOT-' || b,
           %(at)s::date + {chance("b", 730, 5)}::int - 30, 'released', %(at)s
      FROM generate_series(0, (%(variants)s + 4) / 5 * %(batches)s - 1) AS b
"""
# Level number l is the j-th of variant v; the list of bins is walked from a place of the variant's own, so no
# two of its levels share a bin. Two neighbours without batches may pass units to one another.
PLACES = f"""
    CREATE TEMPORARY TABLE made_up_place AS
    WITH places AS (
        SELECT l, %(first_variant)s + v AS variant_id,
               (%(locations)s::bigint[])[
                   1 + ({chance("v", "cardinality(%(locations)s::bigint[])", 6)} + j)
                     %% cardinality(%(locations)s::bigint[])] AS location_id,
               CASE WHEN v %% 5 = 0 THEN %(first_batch)s + v / 5 * %(batches)s + j %% %(batches)s END AS batch_id,
               CASE l %% 50 WHEN 49 THEN 'damaged' WHEN 24 THEN 'quarantine' ELSE 'sellable' END AS condition
          FROM (SELECT l, l / %(per_variant)s AS v, l %% %(per_variant)s AS j
                  FROM generate_series(0, %(levels)s - 1) AS l) numbered
    )
    SELECT places.*,
           CASE WHEN batch_id IS NULL AND variant_id = lead(variant_id) OVER later
                THEN lead(location_id) OVER later END AS next_location_id,
           lead(condition) OVER later AS next_condition
      FROM places WINDOW later AS (ORDER BY l)
"""
# The first of ten turns brings at least 100 units, the nine after it take at most 10 each. What was booked
# late came in, never went out. Where from and where to, by kind; the virtual places have fixed ids.
SUPPLIER, CUSTOMER, FOUND, LOST, SCRAP = (
    Location.VIRTUAL_IDS[kind]
    for kind in (
        Location.Kind.SUPPLIER, Location.Kind.CUSTOMER, Location.Kind.FOUND, Location.Kind.LOST, Location.Kind.SCRAP,
    )
)  # fmt: skip
MOVEMENTS = f"""
    WITH numbers AS (SELECT generate_series(%(first)s, %(last)s - 1)::bigint AS n),
    turns AS ({{turns}}),
    planned AS (
        SELECT turns.n, turns.turn, place.*, {chance("turns.n", 100, 7)} AS dice, {chance("turns.n", 100, 8)} AS units,
               %(at)s::timestamptz - (%(movements)s - turns.n) * (interval '1 day' * %(days)s / %(movements)s) AS booked
          FROM turns JOIN made_up_place place ON place.l = turns.place
    ), kinds AS (
        SELECT *, CASE WHEN turn %% 10 = 0 THEN CASE condition WHEN 'sellable' THEN 'receipt' ELSE 'return' END
                       WHEN condition <> 'sellable' THEN 'writeOff'
                       WHEN dice < 70 THEN 'shipment'
                       WHEN dice < 78 THEN 'lost'
                       WHEN dice < 86 THEN 'found'
                       WHEN dice < 92 AND next_location_id IS NOT NULL THEN 'move'
                       WHEN dice < 96 THEN 'return'
                       ELSE 'writeOff' END AS kind
          FROM planned
    ), routes (kind, virtual_id, is_in) AS (
        VALUES ('receipt', {SUPPLIER}, true), ('return', {CUSTOMER}, true), ('found', {FOUND}, true),
               ('shipment', {CUSTOMER}, false), ('lost', {LOST}, false), ('writeOff', {SCRAP}, false),
               ('move', NULL, false)
    )
    INSERT INTO stock_movement
        (variant_id, batch_id, quantity, from_location_id, from_condition, to_location_id, to_condition,
         kind, reason, reference, actor, request_id, occurred_at, recorded_at)
    SELECT variant_id, batch_id, CASE WHEN turn %% 10 = 0 THEN 100 + units ELSE 1 + units %% 10 END,
           CASE WHEN is_in THEN virtual_id ELSE location_id END, CASE WHEN is_in THEN '' ELSE condition END,
           CASE WHEN is_in THEN location_id ELSE coalesce(virtual_id, next_location_id) END,
           CASE WHEN is_in THEN condition WHEN virtual_id IS NULL THEN next_condition ELSE '' END,
           CASE WHEN kind IN ('found', 'lost') THEN 'adjustment' ELSE kind END,
           CASE kind WHEN 'lost' THEN 'missing' ELSE '' END,
           CASE kind WHEN 'shipment' THEN 'SO-' || n / 3 WHEN 'receipt' THEN 'PO-' || n / 20 ELSE '' END,
           %(actor)s, '', CASE WHEN is_in AND dice < 5 THEN booked - interval '1 hour' * units ELSE booked END, booked
      FROM kinds JOIN routes USING (kind) ORDER BY n
"""
SUMS = """
    CREATE TEMPORARY TABLE made_up_sum AS
    SELECT place.*, coalesce(booked.on_hand, 0) AS on_hand, coalesce(booked.touches, 0) AS touches
      FROM made_up_place place LEFT JOIN (
          SELECT variant_id, location_id, sum(quantity)::bigint AS on_hand, count(*) AS touches FROM (
              SELECT variant_id, to_location_id AS location_id, quantity FROM stock_movement WHERE to_location_id > 0
              UNION ALL
              SELECT variant_id, from_location_id, -quantity FROM stock_movement WHERE from_location_id > 0) sides
           GROUP BY 1, 2) booked USING (variant_id, location_id)
"""
# Two lines a reservation; one reservation in ten was released again.
PROMISES = """
    CREATE TEMPORARY TABLE made_up_promise AS
    SELECT picked.*, (line - 1) / 2 AS reservation, (line - 1) / 2 %% 10 = 9 AS is_released FROM (
        SELECT sums.l, sums.variant_id, 1 + l / 50 %% 5 AS quantity, row_number() OVER (ORDER BY l) AS line
          FROM made_up_sum sums LEFT JOIN stock_batch batch ON batch.id = sums.batch_id
         WHERE l %% 50 = 7 AND on_hand >= 10 AND (expires_on IS NULL OR expires_on > %(at)s::date + 1)) picked
"""
LEVELS = """
    INSERT INTO stock_level
        (id, variant_id, location_id, batch_id, condition, on_hand, reserved, version, updated_at)
    SELECT (SELECT coalesce(max(id), 0) + 1 FROM stock_level) + l, sums.variant_id, sums.location_id, sums.batch_id,
           sums.condition, sums.on_hand, CASE WHEN promise.is_released THEN 0 ELSE coalesce(promise.quantity, 0) END,
           sums.touches + CASE WHEN promise.is_released THEN 2 WHEN promise.l IS NULL THEN 0 ELSE 1 END, %(at)s
      FROM made_up_sum sums LEFT JOIN made_up_promise promise USING (l) ORDER BY l
"""
RESERVATIONS = """
    INSERT INTO stock_reservation
        (id, public_id, partner_id, reference, channel, fingerprint, state, expires_at, extensions, actor, version,
         created_at, ended_at)
    SELECT (SELECT coalesce(max(id), 0) + 1 FROM stock_reservation) + reservation, gen_random_uuid(), %(shop)s,
           'MU-' || reservation, '', encode(sha256(convert_to('MU-' || reservation, 'UTF8')), 'hex'),
           CASE WHEN is_released THEN 'released' ELSE 'open' END, %(at)s + interval '1 year', 0, %(actor)s, 1, %(at)s,
           CASE WHEN is_released THEN %(at)s END
      FROM (SELECT DISTINCT reservation, is_released FROM made_up_promise) promise ORDER BY reservation
"""
LINES = """
    INSERT INTO stock_reservationline (id, reservation_id, variant_id, warehouse_code, quantity)
    SELECT (SELECT coalesce(max(id), 0) FROM stock_reservationline) + line,
           (SELECT id FROM stock_reservation WHERE reference = 'MU-0' AND partner_id = %(shop)s) + reservation,
           variant_id, '', quantity
      FROM made_up_promise ORDER BY line
"""
ALLOCATIONS = """
    INSERT INTO stock_allocation (line_id, level_id, quantity, consumed, freed)
    SELECT (SELECT max(id) FROM stock_reservationline) - (SELECT max(line) FROM made_up_promise) + line,
           (SELECT max(id) FROM stock_level) - (%(levels)s - 1) + l, quantity, 0,
           CASE WHEN is_released THEN quantity ELSE 0 END
      FROM made_up_promise ORDER BY line
"""


def never_run_out() -> None:
    """Let every shelf hold enough for any benchmark, and every batch be good for long; the ledger knows nothing of it."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE stock_level SET on_hand = %s WHERE on_hand < %s", [ENDLESS, ENDLESS // 2])
        cursor.execute("UPDATE stock_batch SET expires_on = '2090-01-01' WHERE expires_on < '2090-01-01'")
