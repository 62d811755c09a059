"""Another system says what lies in warehouses: an import is opened, started, and ends.

What the numbers contain of what left is said by ranges of the warehouses' logical timestamps; see `stock/ranges.py` for
the meaning, `stating_rows` for how rows are taken in and `stating_work` for how they are applied.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F

from catalog.models import Variant
from partners import files
from partners.actors import Actor
from partners.models import Partner
from partners.problems import Conflict, IllegalStep, InvalidInput, Problem
from stock import queries
from stock.models import Acknowledged, StampedDeparture, StockImport, StockImportRange, Warehouse
from stock.operations import stating_rows
from stock.ranges import Range

State = StockImport.State
ENDINGS = (".csv", ".txt", ".tsv", ".xlsx", ".xls", ".ods", ".jsonl", ".ndjson", ".json")
FILE_BYTES_MAX = 50_000_000
MISSING_TOLD = 100


class StaleSnapshot(Conflict):
    """Numbers that contain more of what left were applied before. Data: warehouseLocation, acknowledgedThrough."""

    code = "stale_snapshot"
    title = "Newer numbers are there already"
    remedy = "Send today's numbers, with a range that ends no earlier than acknowledgedThrough."


class SnapshotDiffers(Conflict):
    """The snapshotId was used for other numbers. Data: importId."""

    code = "snapshot_differs"
    title = "This snapshot said something else before"
    remedy = "Give each snapshot an id of its own; the import that has it is told."


class RangeGap(Problem):
    """What left between the last range and this one is in neither. Data: warehouseLocation, acknowledgedThrough,
    missing[{logicalTimestamp, productId, quantity}]."""

    code = "range_gap"
    title = "Departures are left out"
    status = 422
    remedy = "Begin at the first missing timestamp; leave logicalTimestampStart out if the numbers contain all before."


class RangeAhead(Problem):
    """The numbers claim to contain what has not happened. Data: warehouseLocation, logicalTimestamp."""

    code = "range_ahead"
    title = "The range ends in the future"
    status = 422
    remedy = "End it at a timestamp you got in an event; the warehouse's last one is told."


@dataclass(frozen=True, kw_only=True)
class Contains:
    """What the numbers of one warehouse contain. `promised` is what their sender took off already for orders of ours,
    by variant's id; `head` the last timestamp the warehouse gave."""

    warehouse: Warehouse
    range: Range
    head: int
    promised: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Said:
    """What an import is, beside its rows. `warehouse` is that of rows that name none."""

    basis: str
    mode: str = StockImport.Mode.SNAPSHOT
    scope: str = StockImport.Scope.LISTED
    snapshot_id: str = ""
    title: str = ""
    warehouse: Warehouse | None = None
    contains: Sequence[Contains] = ()


@transaction.atomic
def open_items(
    *, said: Said, items: Sequence[Mapping[str, Any]], actor: Actor, partner: Partner | None = None
) -> StockImport:
    """Take rows in, to be applied once it is started; rows that cannot be used are refused with their reasons.

    The same snapshotId with the same rows answers the import it made; with others it raises SnapshotDiffers. Raises
    RangeAhead, StaleSnapshot and RangeGap, and InvalidInput where the basis needs a range. Nothing is kept then.
    """
    mark = _fingerprint(said, json.dumps(items, sort_keys=True, default=str).encode())
    made, is_new = _opened(said, mark, actor, partner)
    if is_new:
        stating_rows.take_in(
            stock_import=made, rows=[files.Row(number, dict(item)) for number, item in enumerate(items, 1)]
        )
        stating_rows.taken_in(stock_import=made)
    return StockImport.objects.defer("file_content").get(pk=made.pk)


@transaction.atomic
def open_file(*, said: Said, name: str, content: bytes, actor: Actor, partner: Partner | None = None) -> StockImport:
    """Keep a file, whose rows are taken in by whoever works next. Otherwise as `open_items`.

    Raises files.Unreadable for what is no table of ours or longer than 50 MB.
    """
    if Path(name).suffix.lower() not in ENDINGS:
        raise files.Unreadable(
            f"{Path(name).suffix or 'A file without an ending'} is not read here; send .csv, .xlsx or .jsonl."
        )
    if len(content) > FILE_BYTES_MAX:
        raise files.Unreadable(f"The file is longer than {FILE_BYTES_MAX // 1_000_000} MB; send it in parts.")
    made, is_new = _opened(said, _fingerprint(said, content), actor, partner)
    if is_new:
        StockImport.objects.filter(pk=made.pk).update(file_name=name[:200], file_content=content)
    return StockImport.objects.defer("file_content").get(pk=made.pk)


@transaction.atomic
def start(*, stock_import: StockImport, actor: Actor, at: datetime) -> StockImport:
    """Have it applied by whoever works next. Started twice answers the same.

    Raises StaleSnapshot where newer numbers were applied since it was opened, and IllegalStep of one that failed.
    """
    locked = StockImport.objects.lock().defer("file_content").get(pk=stock_import.pk)
    if locked.state in (State.RUNNING, State.APPLIED):
        return locked
    if locked.state != State.CREATED:
        raise IllegalStep(
            f"{locked.number} is {locked.state} and cannot be started; send its numbers again.",
            currentStatus=locked.state, allowedFrom=["created"],
        )  # fmt: skip
    for one in locked.ranges.select_related("warehouse"):
        check_not_stale(warehouse=one.warehouse, ends=one.ends, partner=locked.partner)
    locked.state, locked.started_at, locked.started_by = State.RUNNING, at, actor.label
    locked.version += 1
    locked.save(update_fields=["state", "started_at", "started_by", "version"])
    return locked


@transaction.atomic
def fail(*, stock_import: StockImport, reason: str, at: datetime) -> None:
    """End an import that cannot go on. Chunks that were applied stay; nothing is acknowledged by it as a whole, so its
    sender's next range begins where this one did."""
    locked = StockImport.objects.lock().defer("file_content").get(pk=stock_import.pk)
    if locked.state in (State.CREATED, State.RUNNING):
        StockImport.objects.filter(pk=locked.pk).update(
            state=State.FAILED, reason=reason, ended_at=at, file_content=None, version=F("version") + 1
        )


def check_not_stale(*, warehouse: Warehouse, ends: int | None, partner: Partner | None) -> None:
    """Raises StaleSnapshot where the sender's numbers of this warehouse reach further already. One query."""
    through = queries.acknowledged_end(warehouse_id=warehouse.pk, partner=partner)
    if ends is not None and ends < through:
        raise StaleSnapshot(
            f"{warehouse.code} has numbers through {through}; these end at {ends}.",
            warehouseLocation=warehouse.code, acknowledgedThrough=through,
        )  # fmt: skip


def _opened(said: Said, mark: str, actor: Actor, partner: Partner | None) -> tuple[StockImport, bool]:
    if said.snapshot_id and (found := _same(said, mark, partner)):
        return found, False
    for one in said.contains:
        _check(one, partner)
    if said.basis == StockImport.Basis.ATP_WITH_ORDERS and not said.contains:
        raise InvalidInput.at(
            "logicalTimestampEnd", "Say through which event our orders are taken off already; this basis needs it."
        )
    try:
        with transaction.atomic():
            made = StockImport.objects.create(
                title=said.title, mode=said.mode, basis=said.basis, scope=said.scope, partner=partner,
                warehouse=said.warehouse, snapshot_id=said.snapshot_id, fingerprint=mark, actor=actor.label,
            )  # fmt: skip
    except IntegrityError as error:
        if "stock_import_snapshot_once" not in str(error) or not (found := _same(said, mark, partner)):
            raise
        return found, False
    StockImportRange.objects.bulk_create(
        StockImportRange(
            stock_import=made, warehouse=one.warehouse, starts=one.range.starts, ends=one.range.ends,
            promised={str(variant_id): units for variant_id, units in one.promised.items()},
        )
        for one in said.contains
    )  # fmt: skip
    return made, True


def _same(said: Said, mark: str, partner: Partner | None) -> StockImport | None:
    found = StockImport.objects.filter(partner=partner, snapshot_id=said.snapshot_id).defer("file_content").first()
    if found and found.fingerprint != mark:
        raise SnapshotDiffers(f"{found.number} was made of {said.snapshot_id}.", importId=found.number)
    return found


def _check(one: Contains, partner: Partner | None) -> None:
    said = one.range
    if said.ends is None:
        return
    if said.ends > one.head:
        raise RangeAhead(
            f"{one.warehouse.code} has given {one.head} as its last; the range ends at {said.ends}.",
            warehouseLocation=one.warehouse.code, logicalTimestamp=one.head,
        )  # fmt: skip
    check_not_stale(warehouse=one.warehouse, ends=said.ends, partner=partner)
    through = queries.acknowledged_end(warehouse_id=one.warehouse.pk, partner=partner)
    if said.starts is None or said.starts <= through + 1:
        return
    left = StampedDeparture.objects.filter(
        warehouse=one.warehouse, contained_in=None, logical_timestamp__gt=through, logical_timestamp__lt=said.starts
    ).select_related("variant")
    if partner:
        left = left.filter(variant__in=Variant.objects.for_partner(partner))
    if missing := list(left.order_by("logical_timestamp", "id")[:MISSING_TOLD]):
        raise RangeGap(
            f"Something left {one.warehouse.code} at {missing[0].logical_timestamp}, after {through} and before {said.starts}.",
            warehouseLocation=one.warehouse.code, acknowledgedThrough=through,
            missing=[
                {"logicalTimestamp": row.logical_timestamp, "productId": row.variant.sku, "quantity": row.quantity}
                for row in missing
            ],
        )  # fmt: skip


def _fingerprint(said: Said, content: bytes) -> str:
    """Of all that gives the numbers their meaning."""
    words = [
        said.basis, said.mode, said.scope, said.warehouse.code if said.warehouse else "",
        sorted((one.warehouse.code, one.range.starts, one.range.ends) for one in said.contains),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(words, default=str).encode() + b"\0" + content).hexdigest()


def acknowledge(*, stock_import: StockImport) -> None:
    """Its ranges count as applied. Only ever raises what a sender has had acknowledged."""
    for one in stock_import.ranges.exclude(ends=None).order_by("warehouse_id"):
        row, _ = Acknowledged.objects.get_or_create(partner=stock_import.partner, warehouse_id=one.warehouse_id)
        Acknowledged.objects.filter(pk=row.pk, through__lt=one.ends).update(through=one.ends)
