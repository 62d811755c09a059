"""What each row of fitments would do, found out without doing it: by the thousand, as `fitments` does."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from django.db import connection

from catalog.models import CatalogImport, CatalogImportRow, Variant
from catalog.operations import fitments, products
from catalog.operations.fitment_files import FitmentFile
from catalog.operations.fitments import Fits
from catalog.operations.plan_reading import Planned, findable, not_its_own
from partners import files, loading
from partners.actors import Actor
from partners.models import Partner
from partners.problems import InvalidInput, Problem

Outcome = CatalogImportRow.Outcome
SILENT = asdict(Fits(variant_id=0))
PLACE = re.compile(r"fitments\[(\d+)\]\.(.*)")
Standing = tuple[int, str, tuple[int, str] | None]
"""Place, the key that tells two fitments apart, and the pieces and note of the one there is."""


class Fitments:
    """Plans rows of fitments. It remembers none of them: which say the same is found among all rows at the end."""

    def __init__(self, *, actor: Actor, supplier: Partner | None, source: str) -> None:
        self.supplier, self.source = supplier, source
        self.file = FitmentFile(actor=actor)

    @property
    def report(self) -> loading.Report:
        return self.file.report

    @property
    def ground(self) -> dict[str, Any]:
        return {}

    def finish(self, plan: CatalogImport) -> None:
        """Of a fitment said twice the same the first row counts; one that says something else is refused."""
        with connection.cursor() as cursor:
            cursor.execute(SAID_AGAIN, {"plan": plan.pk})

    def take(self, rows: Sequence[files.Row]) -> list[Planned]:
        """Plan a chunk. Some five statements."""
        named = self.named(rows)
        skus = {findable(str(row.values.get("productId") or "").strip()[:64]) for row in named}
        known = dict(Variant.objects.stocked().filter(sku__in=skus).values_list("sku", "pk"))
        others = not_its_own(variant_ids=list(known.values()), supplier=self.supplier) if self.supplier else set()
        planned = [Planned(number=row.number, said=row.values) for row in rows]
        said: dict[int, Fits] = {}
        for place, row in enumerate(named):
            try:
                if row.fault:
                    raise InvalidInput.at(self.file.record, row.fault)
                planned[place].sku = loading.text(row.values, "productId", 64)
                fits = self.file.fits(row.values, known)
                if fits.variant_id in others:
                    raise products.KeptByTheHouse(
                        f"{planned[place].sku} is not yours alone.", productId=planned[place].sku
                    )
                said[place] = fits
            except Problem as problem:
                planned[place].refuse(problem)
        self._compare(planned, said)
        return planned

    def named(self, rows: Sequence[files.Row]) -> Sequence[files.Row]:
        """The rows with our names for their columns."""
        return [files.Row(row.number, self.file.named(row.values), row.fault) for row in rows]

    def settle(self, row: Planned, fits: Fits, there: tuple[int, str] | None) -> None:
        """What becomes of a row, beside the fitment there is."""
        row.before = {} if there is None else {"quantity": there[0], "note": there[1]}
        if there is None:
            row.outcome, row.after = Outcome.NEW, document(fits)
        elif there != (fits.quantity, fits.note):
            row.outcome = Outcome.CHANGED
            row.after = {"quantity": fits.quantity, "note": fits.note, "fitment": document(fits)}

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
            planned[place].variant_id, planned[place].key = said[place].variant_id, key
            self.settle(planned[place], said[place], there)
        return None


def document(fits: Fits) -> dict[str, Any]:
    """What a fitment says, without what it does not."""
    return {name: value for name, value in asdict(fits).items() if name == "variant_id" or value != SILENT[name]}


def fits_of(row: CatalogImportRow) -> Fits:
    """The fitment a row is of: that which comes, or goes."""
    told = row.before if row.outcome == Outcome.DROPPED else row.after
    return Fits(**told.get("fitment", told))


def going(fits: Fits, *, there: tuple[int, str]) -> dict[str, Any]:
    """What is taken away, as it stands, to be put back."""
    return {"quantity": there[0], "note": there[1]} | document(replace(fits, quantity=there[0], note=there[1]))


KEY = """md5(concat_ws('|', {one}.variant_id, {one}.make_key, {one}.model_key, {one}.year_from, {one}.year_to,
                           {one}.identity))::uuid"""
STANDING = f"""
    SELECT staged.id, {KEY.format(one="staged")}, f.quantity, f.note
      FROM catalog_fitment_staged staged LEFT JOIN catalog_fitment f ON {fitments.SAME.format(one="staged", other="f")}
     ORDER BY staged.id
"""
# A row that has lost its key speaks for nothing any more.
SAID_AGAIN = """
    UPDATE catalog_catalogimportrow row
       SET outcome = CASE WHEN found.is_same THEN 'unchanged' ELSE 'refused' END, before = '{}', after = '{}', key = NULL,
           reasons = CASE WHEN found.is_same THEN jsonb_build_array(jsonb_build_array('productId', 'row ' || first || ' says the same'))
                     ELSE jsonb_build_array(jsonb_build_array('quantity', 'row ' || first || ' says something else of the same vehicle')) END
      FROM (SELECT id, first_value(number) OVER said AS first, row_number() OVER said AS turn,
                   (quantity, note) = (first_value(quantity) OVER said, first_value(note) OVER said) AS is_same
              FROM (SELECT id, number, key, coalesce((told->>'quantity')::integer, 1) AS quantity,
                           coalesce(told->>'note', '') AS note
                      FROM (SELECT id, number, key, CASE WHEN outcome = 'unchanged' THEN before ELSE after END AS told
                              FROM catalog_catalogimportrow
                             WHERE plan_id = %(plan)s AND outcome <> 'refused' AND key IS NOT NULL) taken) spoken
            WINDOW said AS (PARTITION BY key ORDER BY id)) found
     WHERE row.id = found.id AND found.turn > 1
"""


def standing(*, said: dict[int, Fits], source: str) -> list[Standing]:
    """What there is of each of these fitments. Raises InvalidInput at `fitments[place in order].field`."""
    places = list(said)
    fitments.stage(fitments=list(said.values()), source=source)
    with connection.cursor() as cursor:
        cursor.execute(STANDING)
        return [
            (places[place], str(key), None if quantity is None else (quantity, note))
            for place, key, quantity, note in cursor.fetchall()
        ]
