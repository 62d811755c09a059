"""What a stress run came to: the book against itself, and against what the workers were told.

Everything that was acknowledged must be there, each promise must have ended at most once, and what is there
without having been acknowledged can only be what a killed worker did not live to write down.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from stock import proof, seals
from stock.stress import Run

NAMED_MAX = 20


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the workers wrote down: how often each verb was done and refused, and the facts by their kind."""

    lines: int = 0
    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    facts: dict[str, list[list[int]]] = field(default_factory=dict)


def read(folder: Path) -> Told:
    """All that the workers wrote; a killed one may have left half a line, which nobody was told."""
    done: Counter[str] = Counter()
    refused: Counter[tuple[str, str]] = Counter()
    facts: dict[str, list[list[int]]] = defaultdict(list)
    faults, lines = [], 0
    for line in _lines(folder):
        lines += 1
        match line:
            case ["done", verb, fact, *numbers]:
                done[verb] += 1
                facts[fact].append(numbers)
            case ["refused", verb, code]:
                refused[verb, code] += 1
            case [_, verb, words]:
                faults.append(f"{verb}: {words}")
    return Told(lines=lines, done=done, refused=refused, faults=faults, facts=dict(facts))


def _lines(folder: Path) -> Iterator[list[Any]]:
    for path in sorted(folder.glob("*.jsonl")):
        with path.open("rb") as file:
            yield from (json.loads(line) for line in file if line.endswith(b"\n"))


def deadlocks() -> int:
    """How many this database has seen, by its own statistics."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        seen: int = cursor.fetchone()[0]
    return seen


# Acknowledged as made, all of it at once: the reservation, its lines, and units kept for each of them. What a
# promise loses later it keeps in `freed`, so the sum of its quantities never falls.
RESERVED = """
    SELECT 'reservation ' || told.id || ' was acknowledged with ' || told.lines || ' lines of ' || told.units
           || ' units; there are ' || found.lines || ' of ' || found.units
           || CASE WHEN found.is_kept THEN '' ELSE ', not all of them kept' END
      FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS told (id, lines, units), LATERAL (
          SELECT count(*) FILTER (WHERE kit_line_id IS NULL) AS lines,
                 coalesce(sum(quantity) FILTER (WHERE kit_line_id IS NULL), 0) AS units,
                 coalesce(bool_and(
                     EXISTS (SELECT FROM stock_reservationline part WHERE part.kit_line_id = line.id)
                     OR quantity <= (SELECT coalesce(sum(kept.quantity), 0) FROM stock_allocation kept
                                      WHERE kept.line_id = line.id)), false) AS is_kept
            FROM stock_reservationline line WHERE reservation_id = told.id) found
     WHERE (found.lines, found.units, found.is_kept) IS DISTINCT FROM (told.lines, told.units, true) LIMIT %s
"""
# A kind of fact, the table it is a row of, and how that row may look from then on.
LATER = (
    ("reserved", "stock_reservation", "true"),
    ("reserved in part", "stock_reservation", "true"),
    ("reserved again", "stock_reservation", "true"),
    ("extended", "stock_reservation", "extensions > 0"),
    ("committed", "stock_reservation", "state = 'committed'"),
    ("released", "stock_reservation", "state IN ('released', 'expired')"),
    ("held for order", "stock_reservation", "expires_at IS NULL"),
    ("shipped", "stock_reservation", "state <> 'expired'"),
    ("booked", "stock_movement", "true"),
    ("planned", "stock_transfer", "true"),
    ("dispatched", "stock_transfer", "state IN ('dispatched', 'arrived')"),
    ("arrived", "stock_transfer", "state IN ('dispatched', 'arrived')"),
    ("transfer cancelled", "stock_transfer", "state = 'cancelled'"),
    ("count opened", "stock_count", "true"),
    ("recorded", "stock_count", "true"),
    ("posted", "stock_count", "state = 'posted'"),
    ("batch held", "stock_batch", "true"),
    ("batch lifted", "stock_batch", "true"),
    ("recalled", "stock_recall", "true"),
    ("recall closed", "stock_recall", "state = 'closed'"),
)
# What left under a reservation's own reference is what it consumed, and running out was told once or never.
ENDED_ONCE = """
    WITH mine AS (
        SELECT id, public_id, state FROM stock_reservation WHERE reference LIKE %(world)s || '-%%'
    ), used AS (
        SELECT line.reservation_id AS id, sum(consumed) AS units
          FROM stock_allocation kept JOIN stock_reservationline line ON line.id = kept.line_id GROUP BY 1
    ), gone AS (
        SELECT reference, sum(quantity) AS units FROM stock_movement
         WHERE kind = 'shipment' AND reference LIKE %(world)s || '-SHIP-%%' GROUP BY 1
    ), told AS (
        SELECT subject, count(*) AS times FROM partners_outboxevent WHERE type = 'reservation.expired' GROUP BY 1
    )
    SELECT 'reservation ' || mine.id || ' is ' || mine.state || ': consumed ' || coalesce(used.units, 0)
           || ', shipped ' || coalesce(gone.units, 0) || ', told to have run out ' || coalesce(told.times, 0) || ' times'
      FROM mine
      LEFT JOIN used ON used.id = mine.id
      LEFT JOIN gone ON gone.reference = %(world)s || '-SHIP-' || mine.id
      LEFT JOIN told ON told.subject = 'reservation/' || mine.public_id
     WHERE coalesce(used.units, 0) <> coalesce(gone.units, 0)
        OR coalesce(told.times, 0) <> (mine.state = 'expired')::int
        OR (mine.state = 'expired' AND coalesce(used.units, 0) > 0)
     LIMIT %(limit)s
"""
EXPIRED_GOODS = """
    SELECT 'allocation ' || kept.id || ' promises batch ' || batch.number || ', which ran out in 2020'
      FROM stock_batch batch JOIN stock_level level ON level.batch_id = batch.id
      JOIN stock_allocation kept ON kept.level_id = level.id
     WHERE batch.number = 'LOT-OLD' AND batch.expires_on < '2021-01-01' LIMIT %s
"""


def differences(*, world: str, told: Told, run: Run, deadlocks_seen: int) -> list[str]:
    """Everything that is not as it should be, a bounded number of each kind."""
    found = [f"fault in {fault}" for fault in told.faults[:NAMED_MAX]] + run.deaths
    if deadlocks_seen:
        found.append(f"the database broke {deadlocks_seen} deadlocks")
    if not run.operations <= told.lines <= run.operations + run.killed:
        found.append(f"{run.operations} operations, {told.lines} written down, {run.killed} workers killed")
    found += proof.prove_ledger(limit=NAMED_MAX).differences
    found += seals.prove_seals().differences
    with connection.cursor() as cursor:
        reserved = told.facts.get("reserved", [])
        columns = [list(column) for column in zip(*reserved, strict=True)] or [[], [], []]
        found += _rows(cursor, RESERVED, [*columns, NAMED_MAX])
        for fact, table, condition in LATER:
            ids = sorted({number for numbers in told.facts.get(fact, []) for number in numbers[: _ids_in(fact)]})
            # Constants of this module; the ids are a parameter.
            query = f"""
                SELECT '{table} ' || told.id || ' was acknowledged as {fact}'
                  FROM unnest(%s::bigint[]) AS told (id) LEFT JOIN {table} kept ON kept.id = told.id
                 WHERE kept.id IS NULL OR NOT ({condition}) LIMIT %s
            """
            found += _rows(cursor, query, [ids, NAMED_MAX])
        with transaction.atomic():
            # The planner expects a handful of names here, and would look at each beside each.
            cursor.execute("SET LOCAL enable_nestloop = off")
            found += _rows(cursor, ENDED_ONCE, {"world": world, "limit": NAMED_MAX})
        found += _rows(cursor, EXPIRED_GOODS, [NAMED_MAX])
        cursor.execute("SELECT count(*) FROM stock_reservation WHERE reference LIKE %s", [f"{world}-%"])
        [there] = cursor.fetchone()
    unacknowledged = there - len(reserved) - len(told.facts.get("reserved in part", []))
    if not 0 <= unacknowledged <= run.killed:
        found.append(f"{unacknowledged} reservations nobody was told of, and {run.killed} workers were killed")
    return found


def _ids_in(fact: str) -> int | None:
    """A booking names all its movements; any other fact begins with the id of its document."""
    return None if fact == "booked" else 1


def _rows(cursor: Any, query: str, parameters: Any) -> list[str]:
    cursor.execute(query, parameters)
    return [row[0] for row in cursor.fetchall()]
