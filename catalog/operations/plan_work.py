"""Imports that wait are worked on: files read and planned, plans that were started applied."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone

from catalog import aces, pies, queries, records
from catalog.models import CatalogImport
from catalog.operations import aces_files, imports, pies_files, plans
from catalog.operations.fitment_files import FitmentFile
from catalog.operations.plans import CHUNK_ROWS, State, not_from, save
from catalog.records import Record
from partners import actors, files
from partners.actors import Actor
from partners.models import Partner

FILE_BYTES_MAX = 50_000_000
type Watched = Callable[[Iterable[files.Row]], Iterable[files.Row]]
ENDINGS = (
    ".csv", ".txt", ".tsv", ".xlsx", ".xls", ".ods", ".jsonl", ".ndjson", ".json", ".xml", ".gz", ".zip",
)  # fmt: skip
BOOKS = {
    "ACES": (CatalogImport.Format.ACES, CatalogImport.Kind.FITMENTS, aces.read),
    "PIES": (CatalogImport.Format.PIES, CatalogImport.Kind.PRODUCTS, pies.read),
}


def replan(*, plan: CatalogImport, actor: Actor) -> CatalogImport:
    """Make a new plan from the rows of this one, held against what is there now. The old one stays as it is.

    Raises IllegalStep (data: status) while this one is being planned or applied, and RowsForgotten (data: forgottenAt).
    """
    return plans.work_out(plan=open_again(plan=plan, actor=actor), rows=rows_of(plan=plan), actor=actor)


@transaction.atomic
def open_again(*, plan: CatalogImport, actor: Actor) -> CatalogImport:
    """Begin a plan of the same rows, for whoever works next. Locks the old one, so that it keeps them until then.

    Raises IllegalStep as `replan` does, and RowsForgotten (data: forgottenAt).
    """
    plan = CatalogImport.objects.lock().defer("file_content").get(pk=plan.pk)
    plans.check_rows(plan=plan)
    if plan.state in (State.PLANNING, State.APPLYING):
        allowed = ["planned", "outdated", "applied", "undone", "refused", "failed"]
        raise not_from(plan=plan, verb="plan it again", allowed=allowed)
    return plans.open_plan(
        kind=plan.kind, title=plan.title, actor=actor, origin=plan.origin, partner=plan.partner,
        fitment_source=plan.fitment_source, format=plan.format, brands=plan.brands, planned_from=plan,
    )  # fmt: skip


def open_file(
    *, name: str, content: bytes, title: str, actor: Actor, origin: str, partner: Partner | None = None
) -> CatalogImport:
    """Take a file in, to be planned by whoever works next; its columns tell whether it is of fitments.

    Raises files.Unreadable for what is no file of ours or longer than 50 MB.
    """
    if Path(name).suffix.lower() not in ENDINGS:
        raise files.Unreadable(
            f"{Path(name).suffix or 'A file without an ending'} is not read here; send .csv, .xlsx, .jsonl, or"
            " ACES and PIES as .xml, .gz or .zip."
        )
    if len(content) > FILE_BYTES_MAX:
        raise files.Unreadable(f"The file is longer than {FILE_BYTES_MAX // 1_000_000} MB; send it in parts.")
    return plans.open_plan(
        kind=CatalogImport.Kind.PRODUCTS, title=title or name, actor=actor, origin=origin, partner=partner,
        file_name=name, file_content=content,
    )  # fmt: skip


def open_rows(*, rows: Iterable[files.Row], title: str, actor: Actor, origin: str) -> CatalogImport:
    """Take rows of products in, to be planned by whoever works next, as if they came in a file of JSON lines."""
    lines = "\n".join(json.dumps(row.values) for row in rows)
    return plans.open_plan(
        kind=CatalogImport.Kind.PRODUCTS, title=title, actor=actor, origin=origin, file_name="rows.jsonl",
        file_content=lines.encode(),
    )  # fmt: skip


def rows_of(*, plan: CatalogImport) -> Iterator[files.Row]:
    """The rows as they came, read anew page by page; what a plan adds to those of ACES and PIES said nothing."""
    last, is_table = 0, plan.format == CatalogImport.Format.TABLE
    while page := list(plan.rows.filter(pk__gt=last).order_by("pk").values_list("pk", "number", "said")[:CHUNK_ROWS]):
        yield from (files.Row(number, said) for _, number, said in page if said or is_table)
        last = page[-1][0]


def waiting() -> list[CatalogImport]:
    """Imports somebody should plan or apply now: new ones, and those nobody touched for a while. One query."""
    return list(queries.imports_waiting(at=timezone.now()))


def work_on(*, plan: CatalogImport) -> CatalogImport:
    """Plan or apply an import that waits, in the name of who asked for it. Called twice, once is enough.

    Raises what `plans.apply` raises, and nothing for a file that cannot be read: that is said in the plan.
    """
    actor = actor_of(label=plan.applied_by if plan.state == State.APPLYING else plan.actor)
    with actors.acting(actor):
        if plan.state == State.APPLYING:
            return plans.apply(plan=plan, actor=actor)
        if CatalogImport.objects.filter(pk=plan.pk, file_content=None).exists():
            return plans.work_out(plan=plan, rows=rows_of(plan=plan.planned_from or plan), actor=actor)
        return _plan_file(plan, actor)


def plan_path(*, plan: CatalogImport, path: Path, actor: Actor, watched: Watched = iter) -> CatalogImport:
    """Plan a file: ACES and PIES by their root, fitments by their columns, else products.

    Who wants to see the rows pass gives `watched`. A file that cannot be read makes the plan `refused`, and says why. Raises as `plans.work_out` does.
    """
    try:
        root = imports.root_of(path)
        if root in BOOKS:
            return _plan_book(plan, path, root, actor, watched)
        encoding, assumed = files.guess_encoding(path)
        is_of_fitments = isinstance(imports.loader_for(path, actor=actor, encoding=encoding), FitmentFile)
    except (files.Unreadable, UnicodeError) as error:
        return plans.work_out(plan=plan, rows=_unreadable(str(error)), actor=actor)
    plan.notes = [assumed] if assumed else []
    plan.kind = CatalogImport.Kind.FITMENTS if is_of_fitments else CatalogImport.Kind.PRODUCTS
    plan.save(update_fields=["kind", "notes"])
    return plans.work_out(plan=plan, rows=watched(files.rows(path, encoding=encoding)), actor=actor)


def _plan_book(plan: CatalogImport, path: Path, root: str, actor: Actor, watched: Watched) -> CatalogImport:
    plan.format, plan.kind, read = BOOKS[root]
    book = read(path)
    plan.brands = list(book.replaces.brands) if book.replaces else []
    plan.fitment_source = aces_files.source_of(book) if plan.format == CatalogImport.Format.ACES else ""
    plan.save(update_fields=["format", "kind", "brands", "fitment_source"])
    return plans.work_out(plan=plan, rows=watched(_kept(book.records)), actor=actor)


def _kept(found: Iterator[Record]) -> Iterator[files.Row]:
    """The records as rows; those of an Item are one, under the line of the Item."""
    for record, *others in pies_files.items(found):
        kept = records.document(record)
        if others:
            kept["others"] = [records.document(other) for other in others]
        yield files.Row(record.line, kept)


def _unreadable(reason: str) -> Iterator[files.Row]:
    raise files.Unreadable(reason)
    yield


def _plan_file(plan: CatalogImport, actor: Actor) -> CatalogImport:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"import{Path(plan.file_name).suffix.lower()}"
        with path.open("wb") as handle:
            for piece in queries.import_content(plan_id=plan.pk):
                handle.write(piece)
        return plan_path(plan=plan, path=path, actor=actor)


def fail(*, plan: CatalogImport, reason: str) -> None:
    """Say that an import cannot be planned or applied for a reason that is none of its rows'."""
    with transaction.atomic():
        locked = CatalogImport.objects.lock().get(pk=plan.pk)
        if locked.state in (State.PLANNING, State.APPLYING):
            save(plan=locked, state=State.FAILED, reason=reason, file_content=None)


def actor_of(*, label: str) -> Actor:
    """Who had it started, for a worker that acts in their name."""
    kind, _, name = label.partition(":")
    if kind == "staff":
        user = get_user_model().objects.filter(username=name).first()
        return Actor(kind="staff", label=label, user_id=user.pk if user else None)
    return Actor(kind="partner" if kind == "partner" else "job", label=label)
