"""What each row of fitments would do, the rows written, and taken back: by the thousand, as `fitments` does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from django.db import connection

from catalog.models import CatalogImportRow, Variant
from catalog.operations import fitments, products
from catalog.operations.fitment_files import FitmentFile
from catalog.operations.fitments import Fits
from catalog.operations.plan_reading import Planned, findable, not_its_own
from catalog.operations.plan_undoing import NAMED_MAX, ImportMovedOn
from partners import files, loading
from partners.actors import Actor
from partners.models import Partner
from partners.problems import InvalidInput, Problem

Outcome = CatalogImportRow.Outcome
SILENT = asdict(Fits(variant_id=0))
PLACE = re.compile(r"fitments\[(\d+)\]\.(.*)")
PAGE_ROWS = 5_000
Standing = tuple[int, str, tuple[int, str] | None]
"""Place, the key that tells two fitments apart, and the pieces and note of the one there is."""


class Fitments:
    """Plans rows of fitments; remembers which were said before."""

    def __init__(self, *, actor: Actor, supplier: Partner | None, source: str) -> None:
        self.supplier, self.source = supplier, source
        self.file = FitmentFile(actor=actor)
        self.seen: dict[str, tuple[int, int, str]] = {}
        self.contradicted: set[str] = set()

    @property
    def report(self) -> loading.Report:
        return self.file.report

    @property
    def ground(self) -> dict[str, Any]:
        return {}

    def take(self, rows: Sequence[files.Row]) -> list[Planned]:
        """Plan a chunk. Some five statements."""
        named = [(row, self.file.named(row.values)) for row in rows]
        skus = {findable(str(values.get("productId") or "").strip()[:64]) for _, values in named}
        known = dict(Variant.objects.stocked().filter(sku__in=skus).values_list("sku", "pk"))
        others = not_its_own(variant_ids=list(known.values()), supplier=self.supplier) if self.supplier else set()
        planned = [Planned(number=row.number, said=row.values) for row, _ in named]
        said: dict[int, Fits] = {}
        for place, (row, values) in enumerate(named):
            try:
                if row.fault:
                    raise InvalidInput.at("row", row.fault)
                planned[place].sku = loading.text(values, "productId", 64)
                fits = self.file.fits(values, known)
                if fits.variant_id in others:
                    raise products.KeptByTheHouse(
                        f"{planned[place].sku} is not yours alone.", productId=planned[place].sku
                    )
                said[place] = fits
            except Problem as problem:
                planned[place].refuse(problem)
        self._compare(planned, said)
        return planned

    def _compare(self, planned: Sequence[Planned], said: dict[int, Fits]) -> None:
        try:
            found = standing(said=said, source=self.source)
        except InvalidInput as problem:
            wrong = {int(match[1]) for one in problem.data["errors"] if (match := PLACE.fullmatch(one["field"]))}
            places = list(said)
            for one in problem.data["errors"]:
                if match := PLACE.fullmatch(one["field"]):
                    planned[places[int(match[1])]].refuse(InvalidInput.at(match[2], one["detail"]))
            return self._compare(planned, {place: said[place] for at, place in enumerate(places) if at not in wrong})
        for place, key, there in found:
            row, fits = planned[place], said[place]
            row.variant_id = fits.variant_id
            number, quantity, note = self.seen.setdefault(key, (row.number, fits.quantity, fits.note))
            if number != row.number and (quantity, note) != (fits.quantity, fits.note):
                row.refuse(InvalidInput.at("quantity", f"row {number} says something else of the same vehicle"))
            elif number != row.number:
                row.reasons = [("productId", f"row {number} says the same")]
            elif there != (fits.quantity, fits.note):
                row.outcome = Outcome.CHANGED if there else Outcome.NEW
                row.before = {} if there is None else {"quantity": there[0], "note": there[1]}
                row.after = document(fits) if there is None else {"quantity": fits.quantity, "note": fits.note}
                row.after |= {} if there is None else {"fitment": document(fits)}
        return None


def document(fits: Fits) -> dict[str, Any]:
    """What a fitment says, without what it does not."""
    return {name: value for name, value in asdict(fits).items() if name == "variant_id" or value != SILENT[name]}


def fits_of(after: dict[str, Any]) -> Fits:
    return Fits(**after.get("fitment", after))


STANDING = f"""
    SELECT staged.id, concat_ws('|', staged.variant_id, staged.make_key, staged.model_key, staged.year_from,
                                staged.year_to, staged.identity), f.quantity, f.note
      FROM catalog_fitment_staged staged LEFT JOIN catalog_fitment f ON {fitments.SAME.format(one="staged", other="f")}
     ORDER BY staged.id
"""


def standing(*, said: dict[int, Fits], source: str) -> list[Standing]:
    """What there is of each of these fitments. Raises InvalidInput at `fitments[place in order].field`."""
    places = list(said)
    fitments.stage(fitments=list(said.values()), source=source)
    with connection.cursor() as cursor:
        cursor.execute(STANDING)
        return [
            (places[place], key, None if quantity is None else (quantity, note))
            for place, key, quantity, note in cursor.fetchall()
        ]


def pages(plan_id: int) -> Iterator[list[CatalogImportRow]]:
    last = 0
    rows = CatalogImportRow.objects.filter(plan=plan_id, outcome__in=["new", "changed"]).order_by("pk").defer("said")
    while page := list(rows.filter(pk__gt=last)[:PAGE_ROWS]):
        yield page
        last = page[-1].pk


def write(*, plan_id: int, actor: Actor, source: str, say: Callable[[str], None]) -> list[str]:
    """Write the rows; the SKUs of those that are not as they were planned any more, for the caller to refuse it all."""
    moved: list[str] = []
    done = 0
    for page in pages(plan_id):
        say(f"writes fitments {done}")
        expected = ["created" if row.outcome == Outcome.NEW else "changed" for row in page]
        wanted = [fits_of(row.after) for row in page]
        there = {place: values for place, _, values in standing(said=dict(enumerate(wanted)), source=source)}
        before = [(row.before["quantity"], row.before["note"]) if row.before else None for row in page]
        moved += [row.sku for place, row in enumerate(page) if there.get(place) != before[place]]
        if not moved:
            # Who wrote the same fitment between our look and our word is seen by how ours ended.
            ended = fitments.put_many(fitments=wanted, actor=actor, source=source).of_each
            moved += [row.sku for row, how, wish in zip(page, ended, expected, strict=True) if how != wish]
        done += len(page)
    return sorted(set(moved))


def take_back(*, plan_id: int, source: str, is_forced: bool) -> None:
    """New fitments go, others get their pieces and note back. Raises ImportMovedOn (data: productIds, movedCount)."""
    actor = Actor(kind="job", label="job:undo")
    moved: list[CatalogImportRow] = []
    for page in pages(plan_id):
        wanted = [fits_of(row.after) for row in page]
        there = {place: values for place, _, values in standing(said=dict(enumerate(wanted)), source=source)}
        for place, row in enumerate(page):
            stands = there.get(place) == (wanted[place].quantity, wanted[place].note)
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
        back = [replace(one, **row.before) for row, one in pairs if row.undoing == "restored"]
        fitments.put_many(fitments=back, actor=actor, source=source)
        CatalogImportRow.objects.bulk_update(page, ["undoing"], batch_size=1_000)
