"""What a sealed row of the ledger looks like, and the proof that none was changed since.

A row's digest is the SHA-256 of all its columns in the order of COLUMNS, encoded as PostgreSQL's binary form of a
row: the number of columns (four bytes), and for each the oid of its type (four), its length in bytes or -1 for
null (four), and the value: bigint as eight bytes, text as UTF-8, a time as eight bytes of microseconds since
2000-01-01 UTC; all big-endian. Nothing in it depends on a setting, and lengths keep neighbours apart.

Rows are sealed in blocks of ascending ids. A block's root is the SHA-256 of the root before it (nothing, for the
first) and the block's digests; so whoever keeps the newest root outside holds the whole ledger to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import connection

from stock import proof
from stock.models import Seal

# A column added to the ledger later must join with care: rows sealed before were digested without it.
COLUMNS = (
    "id", "variant_id", "batch_id", "owner_id", "quantity", "from_location_id", "from_condition", "to_location_id",
    "to_condition", "kind", "reason", "reference", "actor", "request_id", "corrects_id", "occurred_at", "recorded_at",
)  # fmt: skip


def digest_sql(table: str, *, movement_id: str = "") -> str:
    """The digest of a row of `table`; with `movement_id`, as it would be under that id."""
    columns = [f"{table}.{column}" for column in COLUMNS]
    if movement_id:
        columns[0] = movement_id
    return f"sha256(record_send(ROW({', '.join(columns)})))"


# One block is compared as a whole where it was sealed: three equations, and nothing is sent.
BLOCK = f"""
    SELECT seal.root, seal.rows, seal.first_id, seal.root = sha256(%(root_before)s || seal.digests),
           seal.movement_ids = coalesce(found.ids, '') AND seal.digests = coalesce(found.digests, '')
      FROM stock_seal seal, (
          SELECT string_agg(int8send(m.id), '' ORDER BY m.id) AS ids,
                 string_agg({digest_sql("m")}, '' ORDER BY m.id) AS digests
            FROM (SELECT * FROM stock_movement WHERE id > %(after)s AND id <= %(last)s ORDER BY id) m) found
     WHERE seal.last_id = %(last)s
"""
ROWS_NOW = f"""
    SELECT m.id, {digest_sql("m")} FROM stock_movement m WHERE m.id > %(after)s AND m.id <= %(last)s ORDER BY m.id
"""
# Which of these rows would be right under the id of which other: it was moved there.
MOVED = f"""
    SELECT mine.id, other.id
      FROM unnest(%(ids)s::bigint[], %(digests)s::bytea[]) AS mine (id, digest)
      JOIN stock_movement other ON other.id = ANY(%(others)s) AND other.id <> mine.id
     WHERE {digest_sql("other", movement_id="mine.id")} = mine.digest
"""


@dataclass(frozen=True, kw_only=True)
class SealProof:
    """What the seals say of the ledger. `differences` are in the order of the ledger, bounded."""

    blocks: int
    sealed: int
    unsealed: int
    newest_root: str
    differences: list[str]


@dataclass(frozen=True)
class _Change:
    """A row that is not as it was sealed; without a sealed digest it was put in, without one of now taken out."""

    movement_id: int
    sealed: bytes | None
    now: bytes | None


def prove_seals(*, root: str = "", limit: int = 20, progress: Callable[[int], Any] = lambda rows: None) -> SealProof:
    """Compute every sealed row's digest anew and follow the chain of roots; names the first rows that differ.

    `root` is one that was kept outside, in hex: it must be in the chain, or the chain itself was made anew. Rows
    after the last seal are only counted. Reads the ledger once in order of id, a block at a time, in one snapshot;
    `progress` is told the rows of each block.
    """
    blocks = sealed = 0
    after, root_before = -(2**63), b""
    found: list[str | _Change] = []
    is_root_known = False
    with proof.one_snapshot(), connection.cursor() as cursor:
        cursor.execute("SELECT last_id FROM stock_seal ORDER BY last_id")
        for (last,) in cursor.fetchall():
            bounds = {"after": after, "last": last}
            cursor.execute(BLOCK, bounds | {"root_before": root_before})
            [(root_now, rows, first_id, is_chained, is_same)] = cursor.fetchall()
            if not is_chained:
                found.append(
                    f"the seal of movements {first_id} to {last} does not follow from the one before:"
                    " a seal was changed, taken out or put in"
                )
            if not is_same and len(found) < limit:
                found += _changes(cursor, bounds)
            blocks, sealed, after, root_before = blocks + 1, sealed + rows, last, bytes(root_now)
            is_root_known = is_root_known or root_before.hex() == root.lower()
            progress(rows)
        cursor.execute("SELECT count(*) FROM stock_movement WHERE id > %s", [after])
        [unsealed] = cursor.fetchone()
        differences = _told(cursor, found[:limit])
    if root and not is_root_known:
        differences.append(f"the root {root} is not in the chain: seals were taken away, or the chain was made anew")
    return SealProof(
        blocks=blocks, sealed=sealed, unsealed=unsealed, newest_root=root_before.hex(), differences=differences
    )


def newest_root() -> str:
    """The root that holds the whole sealed ledger, in hex; nothing where nothing is sealed. One query."""
    root = Seal.objects.order_by("-last_id").values_list("root", flat=True).first()
    return bytes(root).hex() if root else ""


def _changes(cursor: Any, bounds: dict[str, int]) -> list[_Change]:
    """The rows of one block that are not as they were sealed, in order of id."""
    cursor.execute("SELECT movement_ids, digests FROM stock_seal WHERE last_id = %(last)s", bounds)
    [(ids, digests)] = cursor.fetchall()
    ids, digests = bytes(ids), bytes(digests)
    sealed = {
        int.from_bytes(ids[place * 8 : place * 8 + 8], signed=True): digests[place * 32 : place * 32 + 32]
        for place in range(len(ids) // 8)
    }
    cursor.execute(ROWS_NOW, bounds)
    now = {movement_id: bytes(digest) for movement_id, digest in cursor.fetchall()}
    return [
        _Change(movement_id, sealed.get(movement_id), now.get(movement_id))
        for movement_id in sorted(sealed.keys() | now.keys())
        if sealed.get(movement_id) != now.get(movement_id)
    ]


def _told(cursor: Any, found: list[str | _Change]) -> list[str]:
    """What was found, in words; a row that was sealed under another id of these is named with it."""
    changes = [change for change in found if isinstance(change, _Change)]
    wanted = {change.movement_id: change.sealed for change in changes if change.sealed}
    others = [change.movement_id for change in changes if change.now]
    cursor.execute(MOVED, {"ids": list(wanted), "digests": list(wanted.values()), "others": others})
    moved: dict[int, int] = dict(cursor.fetchall())
    return [_in_words(entry, moved) if isinstance(entry, _Change) else entry for entry in found]


def _in_words(change: _Change, moved: dict[int, int]) -> str:
    place = moved.get(change.movement_id)
    if place is not None and moved.get(place) == change.movement_id:
        return f"movement {change.movement_id} was swapped with movement {place}"
    if place is not None:
        return f"movement {change.movement_id} now has the number {place}"
    if change.now is None:
        return f"movement {change.movement_id} was deleted"
    if change.sealed is None:
        return f"movement {change.movement_id} was inserted after its range was sealed"
    return f"movement {change.movement_id} was altered"
