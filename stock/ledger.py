"""The one door to the vault: only this module writes Level and Movement.

It speaks SQL, for this is the hot path; the models beside it describe the tables. Every call here needs
the caller's transaction, locks levels in id order, and tells the feed what changed.

Source of the invariants: on_hand = sum of movements, reserved = sum of open allocations, for each level.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import DatabaseError, IntegrityError, connection, transaction

from catalog.models import Variant
from partners import actors, prepared
from partners.actors import Actor
from partners.problems import InvalidInput, Problem
from stock import serials
from stock.models import Location, Movement

ON_HAND_MAX = 10**15


class NotEnoughOnHand(Problem):
    """More was to leave a place than lies there unpromised. Data: shortages[{levelId, requested, available}]."""

    code = "not_enough_on_hand"
    title = "Not that much is there"
    remedy = "Take no more than available, or count the place first."


class KitNeverStocked(Problem):
    """A kit was to be given a level; its components are what is kept. Data: productIds."""

    code = "kit_never_stocked"
    title = "A kit is never stocked itself"
    remedy = "Name the components instead."


@dataclass(frozen=True, kw_only=True, order=True)
class Place:
    """A location and a condition in it; a virtual location has none."""

    location_id: int
    condition: str = ""

    @property
    def is_virtual(self) -> bool:
        return self.location_id < 0


@dataclass(frozen=True, kw_only=True)
class Posting:
    """So many units from one place to another, and why. `from_promise` units leave with their promise.

    They belong to `owner_id` (null: to us) before and after. A variant tracked by serial number names the
    `serials` that go, one for each unit.
    """

    variant_id: int
    batch_id: int | None
    quantity: int
    source: Place
    target: Place
    kind: Movement.Kind
    reason: str = ""
    reference: str = ""
    corrects_id: int | None = None
    from_promise: bool = False
    owner_id: int | None = None
    serials: tuple[str, ...] = ()

    def side(self, place: Place) -> Key:
        return self.variant_id, place.location_id, self.batch_id, place.condition, self.owner_id


class LockedLevel(NamedTuple):
    """A level as it stands under our lock, by its columns."""

    id: int
    variant_id: int
    location_id: int
    batch_id: int | None
    condition: str
    owner_id: int | None
    on_hand: int
    reserved: int
    version: int

    @property
    def key(self) -> Key:
        return self.variant_id, self.location_id, self.batch_id, self.condition, self.owner_id

    @property
    def available(self) -> int:
        return self.on_hand - self.reserved


# variant, location, batch, condition, owner
Key = tuple[int, int, int | None, str, int | None]
COLUMNS = ", ".join(LockedLevel._fields)


def virtual(kind: Location.Kind) -> Place:
    return Place(location_id=Location.VIRTUAL_IDS[kind])


def ensure(keys: Iterable[Key]) -> list[int]:
    """Make the levels that are missing, empty and at version 0; return the ids of all, sorted.

    Two who make the same level at once wait for one another here, before any lock is taken. Who makes one
    keeps its batch from being held back and its variant from becoming a kit until the transaction ends: both
    look at all levels there are, and must not miss this one.
    """
    wanted = sorted(set(keys), key=lambda key: (key[0], key[1], key[2] or 0, key[3], key[4] or 0))
    if not wanted:
        return []
    columns = [list(column) for column in zip(*wanted, strict=True)]
    source = (
        "unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::bigint[])"
        " AS k (variant_id, location_id, batch_id, condition, owner_id)"
    )
    find = f"""
        SELECT level.id FROM {source} JOIN stock_level level
            ON level.variant_id = k.variant_id AND level.location_id = k.location_id
            AND level.batch_id IS NOT DISTINCT FROM k.batch_id AND level.condition = k.condition
            AND level.owner_id IS NOT DISTINCT FROM k.owner_id
         ORDER BY level.id
    """
    with connection.cursor() as cursor:
        cursor.execute(find, columns)
        ids = [row[0] for row in cursor.fetchall()]
        if len(ids) < len(wanted):
            _make(source, columns)
            cursor.execute(find, columns)
            ids = [row[0] for row in cursor.fetchall()]
    return ids


def _make(source: str, columns: list[Any]) -> None:
    """Make the levels of `source` that are not there. Raises KitNeverStocked."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM stock_batch WHERE id = ANY(%s) ORDER BY id FOR SHARE", [columns[2]])
        cursor.execute("SELECT FROM catalog_variant WHERE id = ANY(%s) ORDER BY id FOR KEY SHARE", [columns[0]])
        try:
            with transaction.atomic():
                cursor.execute(
                    f"""
                    INSERT INTO stock_level
                        (variant_id, location_id, batch_id, condition, owner_id, on_hand, reserved, version, updated_at)
                    SELECT variant_id, location_id, batch_id, condition, owner_id, 0, 0, 0, clock_timestamp()
                      FROM {source}
                    ON CONFLICT DO NOTHING
                    """,
                    columns,
                )
        except IntegrityError as error:
            if getattr(getattr(error.__cause__, "diag", None), "constraint_name", None) != "level_of_a_sku_not_a_kit":
                raise
            kits = Variant.objects.filter(pk__in=columns[0], components__isnull=False).distinct().order_by("sku")
            skus = list(kits.values_list("sku", flat=True))
            raise KitNeverStocked(f"{', '.join(skus[:5])}: book its components.", productIds=skus[:20]) from error


def lock(ids: Iterable[int]) -> dict[int, LockedLevel]:
    """Lock levels in id order and return them as they are now; whoever holds one makes us wait."""
    return _locked("id", ids)


def lock_variants(variant_ids: Iterable[int]) -> dict[int, LockedLevel]:
    """Lock all levels of these variants, in id order."""
    return _locked("variant_id", variant_ids)


def _locked(column: str, ids: Iterable[int]) -> dict[int, LockedLevel]:
    rows = prepared.fetch(
        f"SELECT {COLUMNS} FROM stock_level WHERE {column} = ANY({prepared.BIGINTS}) ORDER BY id FOR NO KEY UPDATE",
        [prepared.bigints(sorted(set(ids)))],
    )
    return {row[0]: LockedLevel(*row) for row in rows}


@dataclass(frozen=True, kw_only=True)
class NewLine:
    """A line of a reservation to be kept: what was asked for, and the picks (level id, quantity) that hold it.

    `kit_line` is the place of the kit's line among the lines given, for a component of a kit.
    """

    variant_id: int
    warehouse_code: str
    quantity: int
    picks: Sequence[tuple[int, int]]
    kit_line: int | None = None


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The header of a reservation to be made; see Reservation for the meaning of each."""

    public_id: UUID
    partner_id: int | None
    reference: str
    channel: str
    fingerprint: str
    seconds: int | None
    actor: Actor
    at: datetime
    units: int = 0

    @property
    def columns(self) -> list[Any]:
        return [
            self.public_id, self.partner_id, self.reference, self.channel, self.fingerprint, self.seconds,
        ]  # fmt: skip


class PickGone(Exception):
    """What was picked went to somebody else, or off sale, before it was locked."""

    sqlstate = "BS001"


def claim(headers: Sequence[Claim]) -> dict[UUID, tuple[int, datetime | None]]:
    """Insert reservations without lines: id and end by public id, without those whose reference is taken.

    Twins wait here for one another, on the unique index, before any level is locked.
    """
    if not headers:
        return {}
    rows_of_headers = ([*header.columns, header.actor.label, header.at, header.units] for header in headers)
    columns = [list(column) for column in zip(*rows_of_headers, strict=True)]
    rows = prepared.fetch(
        """
        INSERT INTO stock_reservation
            (public_id, partner_id, reference, channel, fingerprint, state, expires_at, extensions, actor, version,
             created_at, units)
        SELECT c.public_id, c.partner_id, c.reference, c.channel, c.fingerprint, 'open',
               clock_timestamp() + c.seconds * interval '1 second', 0, c.actor, 1, c.at, c.units
          FROM unnest(%s::uuid[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::integer[], %s::text[],
                      %s::timestamptz[], %s::bigint[])
               AS c (public_id, partner_id, reference, channel, fingerprint, seconds, actor, at, units)
         ORDER BY c.partner_id NULLS FIRST, c.reference COLLATE "C"
        ON CONFLICT DO NOTHING RETURNING public_id, id, expires_at
        """,
        columns,
    )
    return {public_id: (made_id, expires_at) for public_id, made_id, expires_at in rows}


def keep(lines: Sequence[NewLine], *, reservation_ids: Sequence[int], actor: Actor, at: datetime) -> list[int]:
    """Write the lines of claimed reservations and reserve what they pick; the lines' ids, in their order.

    Locks the levels in id order as it changes them, and looks again. Raises PickGone where some pick no longer
    stands; the transaction has to be rolled back then.
    """
    [(line_ids,)] = _kept(
        f"SELECT stock_keep(%s::bigint[], {LINES_SQL}, %s, %s, %s)",
        [prepared.bigints(reservation_ids), *_columns(lines), actor.label, actors.current_request_id(), at],
    )
    return line_ids  # type: ignore[no-any-return]


RESERVE_ONE = "stock_reserve_one(%s, %s, %s, %s, %s, %s, %s::bigint, %s, %s::bigint, %s::text[], %s, %s, %s)"
RESERVE_MANY = "stock_reserve(%s, %s, %s, %s, %s, %s, %s::bigint[], %s::text[], %s::bigint[], %s::text[], %s, %s, %s)"
MADE = ("made_id", "made_until")


def reserve(
    header: Claim, lines: Sequence[tuple[int, str, int]], *, granted_warehouses: list[str] | None
) -> tuple[int, datetime | None] | None:
    """Claim, look, lock, look again and write in one statement, where one level fills each line.

    A line is a variant's id, a warehouse ("" for any) and a quantity. Answers the reservation's id and end; or
    None where it is not that plain: nothing was written, and within a transaction that is to be taken back to
    where it was before.
    """
    function, parameters = reserving(header, lines, granted_warehouses=granted_warehouses)
    try:
        [(made_id, made_until)] = _kept(f"SELECT {', '.join(MADE)} FROM {function}", parameters)
    except PickGone:
        return None
    return None if made_id is None else (made_id, made_until)


def reserving(
    header: Claim, lines: Sequence[tuple[int, str, int]], *, granted_warehouses: list[str] | None
) -> tuple[str, list[Any]]:
    """The call of `reserve`, whose columns are MADE, for a statement that does more. It raises what `is_pick_gone`
    knows, and answers nulls where `reserve` answers None."""
    what: Sequence[Any] = lines[0]
    function = RESERVE_ONE
    if len(lines) > 1:
        variant_ids, warehouse_codes, quantities = zip(*lines, strict=True)
        what = prepared.bigints(variant_ids), list(warehouse_codes), prepared.bigints(quantities)
        function = RESERVE_MANY
    about = [granted_warehouses, header.actor.label, actors.current_request_id(), header.at]
    return function, [*header.columns, *what, *about]


def is_pick_gone(error: DatabaseError) -> bool:
    return getattr(error.__cause__, "sqlstate", None) == PickGone.sqlstate


def _kept(statement: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
    try:
        return prepared.fetch(statement, parameters)
    except DatabaseError as error:
        if is_pick_gone(error):
            raise PickGone from error
        raise


LINES_SQL = "%s::bigint[], %s::text[], %s::bigint[], %s::int[], %s::int[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[]"


def _columns(lines: Sequence[NewLine]) -> list[Any]:
    """Lines and picks as the arrays the functions take; places count from one, as PostgreSQL's do."""
    picks = [(place, *pick) for place, line in enumerate(lines, 1) for pick in line.picks]
    demand: dict[int, int] = defaultdict(int)
    for _, level_id, quantity in picks:
        demand[level_id] += quantity
    levels = sorted(demand)
    return [
        prepared.bigints(line.variant_id for line in lines),
        [line.warehouse_code for line in lines],
        prepared.bigints(line.quantity for line in lines),
        prepared.bigints(None if line.kit_line is None else line.kit_line + 1 for line in lines),
        *(prepared.bigints(pick[column] for pick in picks) for column in range(3)),
        prepared.bigints(levels),
        prepared.bigints(demand[level_id] for level_id in levels),
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class Stated:
    """What somebody says lies sellable in a warehouse's default bin."""

    sku: str
    warehouse_code: str
    batch_number: str
    expires_on: date | None
    on_hand: int
    reason: str


def state(rows: Sequence[Stated], *, actor: Actor, at: datetime) -> list[str | None]:
    """Book the differences to what many rows say, in one statement: `changed`, `unchanged`, or None.

    None is for a row that is not plain (unknown product, warehouse or batch, other tracking, less than is
    promised) and was left alone. No two rows may name the same place. Locks the levels in id order.
    """
    columns = [
        [row.sku for row in rows],
        [row.warehouse_code for row in rows],
        [row.batch_number for row in rows],
        [row.expires_on for row in rows],
        prepared.bigints(row.on_hand for row in rows),
        [row.reason for row in rows],
    ]
    [(outcomes,)] = prepared.fetch(
        "SELECT stock_state(%s::text[], %s::text[], %s::text[], %s::date[], %s::bigint[], %s::text[], %s, %s, %s)",
        [*columns, actor.label, actors.current_request_id(), at],
    )
    return outcomes  # type: ignore[no-any-return]


def promise(changes: Mapping[int, int], *, actor: Actor, at: datetime) -> None:
    """Add to (or, below zero, take from) what is reserved, by level id. The caller holds the locks."""
    _apply({level_id: (0, quantity) for level_id, quantity in changes.items() if quantity}, actor=actor, at=at)


def post(postings: Iterable[Posting], *, actor: Actor, at: datetime, occurred_at: datetime | None = None) -> list[int]:
    """Book movements and change the levels they touch, all or none; return the movements' ids.

    `at` is when it was booked for the feed, `occurred_at` when it happened (the same unless said). Levels
    that do not exist yet are made. Raises NotEnoughOnHand where more would leave than is free (or, for
    `from_promise`, than is promised).
    """
    entries = list(postings)
    if not entries:
        return []
    deltas: dict[Key, list[int]] = defaultdict(lambda: [0, 0])
    for entry in entries:
        if not entry.source.is_virtual:
            delta = deltas[entry.side(entry.source)]
            delta[0] -= entry.quantity
            delta[1] -= entry.quantity if entry.from_promise else 0
        if not entry.target.is_virtual:
            deltas[entry.side(entry.target)][0] += entry.quantity
    levels = lock(ensure(deltas))
    changes = {level.id: (deltas[level.key][0], deltas[level.key][1]) for level in levels.values()}
    _check(levels, changes)
    _apply(changes, actor=actor, at=at)
    movement_ids = _write(entries, actor=actor, occurred_at=occurred_at or at)
    serials.move(entries, movement_ids, {level.key: level.id for level in levels.values()}, at=at)
    return movement_ids


def _check(levels: Mapping[int, LockedLevel], changes: Mapping[int, tuple[int, int]]) -> None:
    shortages = []
    for level_id, (on_hand, reserved) in changes.items():
        level = levels[level_id]
        free_after = level.on_hand + on_hand - (level.reserved + reserved)
        if free_after < 0 or level.reserved + reserved < 0:
            available = level.reserved if reserved else level.available
            shortages.append({"levelId": level_id, "requested": -on_hand, "available": available})
        if level.on_hand + on_hand > ON_HAND_MAX:
            raise InvalidInput.at("quantity", f"No place holds more than {ON_HAND_MAX:,} units.")
    if shortages:
        raise NotEnoughOnHand("There is less to take than that.", shortages=shortages)


def _apply(changes: Mapping[int, tuple[int, int]], *, actor: Actor, at: datetime) -> None:
    if not changes:
        return
    ids = sorted(changes)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE stock_level level
               SET on_hand = level.on_hand + d.on_hand, reserved = level.reserved + d.reserved,
                   version = level.version + 1, updated_at = clock_timestamp()
              FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS d (id, on_hand, reserved)
             WHERE level.id = d.id
            """,
            [ids, [changes[level_id][0] for level_id in ids], [changes[level_id][1] for level_id in ids]],
        )
    _tell(ids, actor=actor, at=at)


def _write(entries: list[Posting], *, actor: Actor, occurred_at: datetime) -> list[int]:
    rows = [
        (
            entry.variant_id,
            entry.batch_id,
            entry.quantity,
            entry.source.location_id,
            entry.source.condition,
            entry.target.location_id,
            entry.target.condition,
            entry.kind,
            entry.reason,
            entry.reference,
            entry.corrects_id,
            entry.owner_id,
        )
        for entry in entries
    ]
    columns: list[Any] = [list(column) for column in zip(*rows, strict=True)]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO stock_movement
                (variant_id, batch_id, quantity, from_location_id, from_condition, to_location_id, to_condition,
                 kind, reason, reference, corrects_id, owner_id, actor, request_id, occurred_at, recorded_at)
            SELECT e.*, %s, %s, %s, clock_timestamp()
              FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::bigint[], %s::text[],
                          %s::text[], %s::text[], %s::text[], %s::bigint[], %s::bigint[]) AS e
            RETURNING id
            """,
            [actor.label, actors.current_request_id(), occurred_at, *columns],
        )
        return [row[0] for row in cursor.fetchall()]


def _tell(ids: list[int], *, actor: Actor, at: datetime) -> None:
    """One `inventory.updated` for each variant, warehouse and owner touched, with the levels as they are now."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT stock_tell(%s::bigint[], %s, %s, %s)", [ids, actor.label, actors.current_request_id(), at]
        )
