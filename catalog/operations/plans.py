"""Many products or fitments change at once: planned first, applied whole or not at all, and taken back whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import batched
from typing import Any, Protocol

from django.db import IntegrityError, transaction
from django.utils import timezone

from catalog import effects, queries
from catalog.models import CatalogImport, CatalogImportRow
from catalog.operations import (
    plan_aces,
    plan_fitments,
    plan_fitments_writing,
    plan_moved,
    plan_pies,
    plan_prices,
    plan_reading,
    plan_terms,
    plan_undoing,
)
from catalog.operations.plan_moved import PlanOutdated
from catalog.operations.plan_products import Products
from catalog.operations.plan_reading import Planned
from catalog.operations.plan_writing import Writer
from partners import files, loading, outbox
from partners.actors import Actor
from partners.models import Partner
from partners.problems import Conflict, IllegalStep, Problem

State = CatalogImport.State
CHUNK_ROWS = 2_000
"""So many rows are in memory at once, and one transaction of the planning."""
ROWS_MAX = 1_000_000
COUNTED_ROWS = 500
NOTES_MAX = 100
NAMED_MAX = 20


class PlanDiffers(Conflict):
    """It is not the plan that was looked at. Data: planHash, that of this one."""

    code = "plan_differs"
    title = "This is another plan than the one that was seen"
    remedy = "Read the import again, look at its rows, and start it with the planHash it has now."


class RowsForgotten(Conflict):
    """Its rows were given up after the time we keep them. Data: forgottenAt."""

    code = "rows_forgotten"
    title = "The import's rows are kept no more"
    remedy = "It cannot be taken back any more; send an import that says what should be there."


class Reader(Protocol):
    """Plans rows chunk by chunk, and at the end what only all of them together tell."""

    @property
    def report(self) -> loading.Report: ...

    @property
    def ground(self) -> dict[str, Any]: ...

    def take(self, rows: Any) -> list[Planned]: ...

    def finish(self, plan: CatalogImport) -> None: ...


def _reader(plan: CatalogImport, actor: Actor) -> Reader:
    supplier, source = plan.supplier, plan.fitment_source
    if plan.format == CatalogImport.Format.ACES:
        return plan_aces.Apps(actor=actor, supplier=supplier, source=source, brands=plan.brands)
    if plan.format == CatalogImport.Format.PIES:
        return plan_pies.Items(actor=actor, supplier=supplier)
    if plan.kind == CatalogImport.Kind.FITMENTS:
        return plan_fitments.Fitments(actor=actor, supplier=supplier, source=source)
    return Products(actor=actor, supplier=supplier)


def plan(
    *,
    rows: Iterable[files.Row],
    kind: str,
    title: str,
    actor: Actor,
    supplier: Partner | None = None,
    origin: str = CatalogImport.Origin.FILE,
    partner: Partner | None = None,
    fitment_source: str = "",
    planned_from: CatalogImport | None = None,
) -> CatalogImport:
    """Say what each row would do, and do nothing. Rows have the columns of CatalogFile or FitmentFile.

    The plan says per row whether it is new, changed (from what to what), unchanged, or refused and why, and what
    it does to stock and open orders. Rows are taken 2,000 at a time, so that a file of any length needs the same
    memory; outside a transaction each chunk can be seen as it is planned. Of a product said twice the same, the
    first row counts; of one said differently none does. A `supplier`'s word counts as in `products.revise`.
    A file that cannot be read, has no rows or no good one makes a plan that is `refused`, with its reason.
    Called twice it makes two plans, either of which outdates the other once applied.
    """
    opened = open_plan(kind=kind, title=title, actor=actor, supplier=supplier, origin=origin, partner=partner,
                       fitment_source=fitment_source, planned_from=planned_from)  # fmt: skip
    return work_out(plan=opened, rows=rows, actor=actor)


def open_plan(
    *,
    kind: str,
    title: str,
    actor: Actor,
    supplier: Partner | None = None,
    origin: str = CatalogImport.Origin.FILE,
    partner: Partner | None = None,
    fitment_source: str = "",
    format: str = CatalogImport.Format.TABLE,
    brands: Sequence[str] = (),
    planned_from: CatalogImport | None = None,
    file_name: str = "",
    file_content: bytes | None = None,
) -> CatalogImport:
    """Begin a plan; with a file it waits for whoever works next (`plan_work`)."""
    return CatalogImport.objects.create(
        kind=kind, title=title[:200], origin=origin, partner=supplier or partner, fitment_source=fitment_source,
        format=format, brands=list(brands), actor=actor.label, planned_from=planned_from, file_name=file_name[:200],
        file_content=file_content,
    )  # fmt: skip


def work_out(*, plan: CatalogImport, rows: Iterable[files.Row], actor: Actor) -> CatalogImport:
    """Plan the rows of an import that is `planning`; what was planned of it before is forgotten.

    See `plan`. Locks the import chunk by chunk. Raises IllegalStep (data: status) where it is planned already.
    """
    reader = _reader(plan, actor)
    with transaction.atomic():
        _at(plan, State.PLANNING)
        _delete_rows(plan)
        plan.row_count = 0
    try:
        for chunk in batched(rows, CHUNK_ROWS):
            with transaction.atomic():
                _at(plan, State.PLANNING)
                planned = reader.take(chunk)
                plan_reading.keep(plan_id=plan.pk, rows=planned)
                save(plan=plan, row_count=plan.row_count + len(planned))
            if plan.row_count > ROWS_MAX:
                raise files.Unreadable(f"There are more than {ROWS_MAX:,} rows; send the file in parts.")
    except (files.Unreadable, UnicodeError, LookupError) as error:
        with transaction.atomic():
            _delete_rows(plan)
            return save(plan=plan, state=State.REFUSED, reason=str(error), file_content=None)
    if plan.row_count > COUNTED_ROWS:
        # What is compared below joins rows that came just now; without knowing how many, each would be compared with each.
        plan_reading.count_anew()
    return _finish(plan, reader)


def _finish(plan: CatalogImport, reader: Reader) -> CatalogImport:
    with transaction.atomic():
        _at(plan, State.PLANNING)
        reader.finish(plan)
        counts = queries.import_counts(plan_id=plan.pk)
        is_refused = sum(counts.values()) == counts["refused"]
        notes = [*plan.notes, *reader.report.notes[:NOTES_MAX]]
        if ignored := reader.report.ignored:
            notes.append(f"Columns that were not read: {', '.join(sorted(ignored)[:NAMED_MAX])}")
        why = ("" if not is_refused else "No row can be used." if counts["refused"] else "There are no rows.")  # fmt: skip
        return save(
            plan=plan,
            state=State.REFUSED if is_refused else State.PLANNED,
            reason=why,
            notes=notes,
            ground=reader.ground,
            row_count=sum(counts.values()),
            plan_hash=queries.import_hash(plan_id=plan.pk),
            effects=queries.import_effects(plan_id=plan.pk, felt=sorted(effects.FELT)),
            planned_at=timezone.now(),
            file_content=None,
            **{f"{name}_count": count for name, count in counts.items()},
        )


@transaction.atomic
def start(*, plan: CatalogImport, actor: Actor, plan_hash: str = "") -> CatalogImport:
    """Have a plan applied by whoever works next (`catalog.tasks`). Started twice it is applied once.

    Raises IllegalStep (data: currentStatus, allowedFrom) and PlanDiffers (data: planHash).
    """
    locked = CatalogImport.objects.lock().get(pk=plan.pk)
    if plan_hash and plan_hash != locked.plan_hash:
        raise PlanDiffers("The plan was made anew since it was looked at.", planHash=locked.plan_hash)
    if locked.state in (State.APPLYING, State.APPLIED):
        return locked
    if locked.state != State.PLANNED:
        raise not_from(plan=locked, verb="apply it", allowed=["planned"])
    return save(plan=locked, state=State.APPLYING, applied_by=actor.label, touched_at=None)


def apply(*, plan: CatalogImport, actor: Actor) -> CatalogImport:
    """Do what the plan says in one transaction, if nothing it was made from has moved.

    Locks the import, then every product it changes and their parents in id order. What it looks at again: each
    row's version, that new products are still not there, the types' rules, and whose product it is.
    Raises PlanOutdated (data: productIds, movedCount) and leaves it `outdated`, with nothing changed; IllegalStep
    where it cannot be applied. Called twice, the second answers the same.
    """
    try:
        with transaction.atomic():
            return _apply(plan, actor)
    except PlanOutdated as problem:
        with transaction.atomic():
            save(plan=CatalogImport.objects.lock().get(pk=plan.pk), state=State.OUTDATED, reason=problem.detail)
        raise


def _apply(plan: CatalogImport, actor: Actor) -> CatalogImport:
    locked = CatalogImport.objects.lock().get(pk=plan.pk)
    if locked.state == State.APPLIED:
        return locked
    if locked.state not in (State.PLANNED, State.APPLYING):
        raise not_from(plan=locked, verb="apply it", allowed=["planned"])
    try:
        with transaction.atomic():
            ground = _write(locked, actor)
    except IntegrityError as error:
        raise plan_moved.overtaken(error=error) from error
    except PlanOutdated:
        raise
    except Problem as problem:
        sku = str(problem.data.get("productId", ""))
        raise plan_moved.outdated(skus=[sku], why=problem.detail) from problem
    outbox.record(
        "import.applied",
        subject=f"import/{locked.number}",
        payload={
            "importId": locked.number, "kind": "catalog", "title": locked.title, "created": locked.new_count,
            "changed": locked.changed_count, "refused": locked.refused_count, "dropped": locked.dropped_count,
        },
        actor=actor, at=timezone.now(), addressee_ids=[locked.partner_id],
    )  # fmt: skip
    return save(
        plan=locked, state=State.APPLIED, applied_at=timezone.now(), applied_by=actor.label, reason="", ground=ground
    )


def _write(plan: CatalogImport, actor: Actor) -> dict[str, Any]:
    writer = Writer(plan_id=plan.pk, number=plan.number, doc="after", actor=actor)
    if plan.kind == CatalogImport.Kind.FITMENTS:
        moved = plan_fitments_writing.write(plan=plan, actor=actor, say=writer.say)
        if moved:
            raise plan_moved.outdated(skus=moved)
        return dict(plan.ground)
    writer.say("looks whether anything moved")
    plan_terms.lock(plan=plan)
    plan_moved.look_again(plan=plan)
    writer.say("writes products")
    missing = queries.import_new_types(plan_id=plan.pk)
    writer.register_types(missing)
    flagged = writer.flag_parents()
    writer.free_numbers()
    writer.add()
    writer.change()
    writer.say("writes offers")
    writer.offers()
    writer.lists()
    writer.say("writes history")
    writer.remember(outcome="new", type_="+")
    writer.remember(outcome="changed", type_="~")
    writer.remember_ids(ids=flagged, type_="~")
    opened = plan_prices.open_lists(currencies=plan.ground.get("lists", {}), actor=actor)
    if others := plan_terms.moved(plan=plan, doc="before"):
        raise plan_moved.outdated(skus=[sku for _, sku in others])
    plan_terms.write(plan=plan, doc="after", writer=writer, actor=actor)
    writer.note_versions()
    return {**plan.ground, "parents": flagged, "opened": opened}


def undo(*, plan: CatalogImport, actor: Actor, is_forced: bool = False) -> CatalogImport:
    """Take an applied import back: products return to what they were, new ones go.

    A new product that something refers to by now (stock, an order, a fitment …) stays and is discontinued; each row
    says what became of it. Locks the import and its products in id order. Where something has changed since,
    ImportMovedOn names it and nothing is taken back; with `is_forced` those are left as they are.
    Called twice, the second answers the same. Raises IllegalStep of an import that is not applied, and RowsForgotten
    (data: forgottenAt) a year after it was (`plan_sweeping`).
    """
    with transaction.atomic():
        locked = CatalogImport.objects.lock().get(pk=plan.pk)
        if locked.state == State.UNDONE:
            return locked
        if locked.state != State.APPLIED:
            raise not_from(plan=locked, verb="undo it", allowed=["applied"])
        check_rows(plan=locked)
        if locked.kind == CatalogImport.Kind.FITMENTS:
            plan_fitments_writing.take_back(plan_id=locked.pk, source=locked.fitment_source, is_forced=is_forced)
        else:
            writer = Writer(plan_id=locked.pk, number=locked.number, doc="before", actor=actor)
            plan_undoing.take_back(plan=locked, writer=writer, actor=actor, is_forced=is_forced)
        return save(plan=locked, state=State.UNDONE, undone_at=timezone.now(), undone_by=actor.label)


def _at(plan: CatalogImport, state: str) -> None:
    """Lock it and see that nobody moved it on."""
    plan.state = CatalogImport.objects.lock().values_list("state", flat=True).get(pk=plan.pk)
    if plan.state != state:
        raise not_from(plan=plan, verb="go on", allowed=[state])


def save(*, plan: CatalogImport, **fields: Any) -> CatalogImport:
    """Write where the import stands; the caller holds its lock."""
    for name, value in ({"touched_at": timezone.now()} | fields).items():
        setattr(plan, name, value)
    plan.version += 1
    plan.save(update_fields=["touched_at", "version", *fields])
    return plan


def _delete_rows(plan: CatalogImport) -> None:
    CatalogImportRow.objects.filter(plan=plan)._raw_delete("default")


def not_from(*, plan: CatalogImport, verb: str, allowed: list[str]) -> IllegalStep:
    """The step is not one from where the import stands."""
    return IllegalStep(
        f"{plan.number} is {plan.get_state_display().lower()}; nobody can {verb} now.",
        currentStatus=plan.state, allowedFrom=allowed,
    )  # fmt: skip


def check_rows(*, plan: CatalogImport) -> None:
    """Raises RowsForgotten where its rows were given up."""
    if plan.forgotten_at is not None:
        said = f"The rows of {plan.number} were given up on {plan.forgotten_at:%Y-%m-%d}; send what it said again."
        raise RowsForgotten(said, forgottenAt=plan.forgotten_at.isoformat())
