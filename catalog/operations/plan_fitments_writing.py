"""Planned fitments are written and taken back, in the transaction of whoever applies or undoes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from django.db import connection

from catalog.models import CatalogImport, CatalogImportRow
from catalog.operations import fitments, plan_aces
from catalog.operations.plan_fitments import KEY, Outcome, fits_of, standing
from catalog.operations.plan_undoing import NAMED_MAX, ImportMovedOn
from partners.actors import Actor

PAGE_ROWS = 5_000
WRITTEN = ["new", "changed", "dropped"]

# In the order of the guard, in which `fitments.put_many` locks, too.
LOCK = f"""
    SELECT count(*) FROM (
        SELECT f.id FROM catalog_fitment f JOIN catalog_catalogimportrow row
            ON row.variant_id = f.variant_id AND row.key = {KEY.format(one="f")}
         WHERE row.plan_id = %(plan)s AND row.outcome IN ('changed', 'dropped')
         ORDER BY f.variant_id, f.make_key, f.model_key, f.year_from, f.year_to, f.identity
           FOR UPDATE OF f) locked
"""
# Where a row has nothing before it there was no such fitment.
MOVED = f"""
    WITH there AS MATERIALIZED (
        SELECT {KEY.format(one="f")} AS key, f.quantity, f.note FROM catalog_fitment f
         WHERE f.variant_id IN (SELECT variant_id FROM catalog_catalogimportrow WHERE plan_id = %(plan)s))
    SELECT DISTINCT row.sku FROM catalog_catalogimportrow row LEFT JOIN there ON there.key = row.key
     WHERE row.plan_id = %(plan)s AND row.key IS NOT NULL AND row.outcome <> 'refused'
       AND (there.quantity, there.note) IS DISTINCT FROM ((row.before->>'quantity')::integer, row.before->>'note')
"""


def pages(plan_id: int) -> Iterator[list[CatalogImportRow]]:
    last = 0
    rows = CatalogImportRow.objects.filter(plan=plan_id, outcome__in=WRITTEN).order_by("pk").defer("said")
    while page := list(rows.filter(pk__gt=last)[:PAGE_ROWS]):
        yield page
        last = page[-1].pk


def write(*, plan: CatalogImport, actor: Actor, say: Callable[[str], None]) -> list[str]:
    """Write the rows; the SKUs of those that are not as they were planned any more, for the caller to refuse it all.

    Of a FULL file the set must be what it was, too: what came into it since was not looked at.
    """
    source = plan.fitment_source
    is_set = bool(plan.brands) and not plan.refused_count
    for brand in sorted(plan.brands) if is_set else ():
        fitments.lock_set(source=source, brand_aaia_id=brand)
    with connection.cursor() as cursor:
        cursor.execute(LOCK, {"plan": plan.pk})
        cursor.execute(MOVED, {"plan": plan.pk})
        moved = {sku for (sku,) in cursor.fetchall()}
    if is_set:
        moved |= {row.variant.sku for page in plan_aces.absent(plan=plan) for row, _ in page}
    done = 0
    for page in pages(plan.pk) if not moved else ():
        say(f"writes fitments {done}")
        going = [row for row in page if row.outcome == Outcome.DROPPED]
        coming = [row for row in page if row.outcome != Outcome.DROPPED]
        dropped = fitments.drop_many(fitments=[fits_of(row) for row in going], source=source, actor=actor).dropped
        if dropped != len(going):
            moved |= {row.sku for row in going}
        # What a number means may have been said since, and who wrote the same fitment after our look is seen here.
        ended = fitments.put_many(fitments=[fits_of(row) for row in coming], actor=actor, source=source).of_each
        expected = ["created" if row.outcome == Outcome.NEW else "changed" for row in coming]
        moved |= {row.sku for row, how, wish in zip(coming, ended, expected, strict=True) if how != wish}
        done += len(page)
    return sorted(moved)


def take_back(*, plan_id: int, source: str, is_forced: bool) -> None:
    """New fitments go, others get their pieces and note back, what was taken away returns.

    Raises ImportMovedOn (data: productIds, movedCount).
    """
    actor = Actor(kind="job", label="job:undo")
    moved: list[CatalogImportRow] = []
    for page in pages(plan_id):
        wanted = [fits_of(row) for row in page]
        there = {place: values for place, _, values in standing(said=dict(enumerate(wanted)), source=source)}
        for place, row in enumerate(page):
            is_gone = row.outcome == Outcome.DROPPED
            stands = there.get(place) == (None if is_gone else (wanted[place].quantity, wanted[place].note))
            row.undoing = "kept" if not stands else "deleted" if row.outcome == Outcome.NEW else "restored"
        moved += [row for row in page if row.undoing == "kept"]
        if moved and not is_forced:
            skus = sorted({row.sku for row in moved})[:NAMED_MAX]
            raise ImportMovedOn(
                f"Fitments of {', '.join(skus)} changed since the import; nothing was taken back.",
                productIds=skus, movedCount=len(moved),
            )  # fmt: skip
        pairs = list(zip(page, wanted, strict=True))
        fitments.drop_many(fitments=[one for row, one in pairs if row.undoing == "deleted"], source=source, actor=actor)
        back = [
            replace(one, quantity=row.before["quantity"], note=row.before["note"])
            for row, one in pairs
            if row.undoing == "restored"
        ]
        fitments.put_many(fitments=back, actor=actor, source=source)
        CatalogImportRow.objects.bulk_update(page, ["undoing"], batch_size=1_000)
