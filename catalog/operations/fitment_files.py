"""A file of fitments becomes what fits which vehicle, by the thousand."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from catalog.models import Variant
from catalog.operations import fitments
from catalog.operations.fitments import Fits
from partners import files, loading
from partners.actors import Actor
from partners.problems import InvalidInput, Problem


class FitmentFile(loading.Loader):
    """Each row says that a part fits a vehicle; said twice, it is there once."""

    columns: ClassVar = {
        "productid": "productId",
        "sku": "productId",
        "make": "make",
        "model": "model",
        "submodel": "submodel",
        "yearfrom": "yearFrom",
        "yearto": "yearTo",
        "engine": "engine",
        "position": "position",
        "quantity": "quantity",
        "note": "note",
        "qualifiers": "qualifiers",
    }
    chunk_rows: ClassVar = 10_000

    def __init__(self, *, actor: Actor) -> None:
        super().__init__()
        self.actor = actor

    def take(self, rows: Iterable[files.Row], progress: Callable[[], object]) -> None:
        """The good rows in one statement; those that are refused each with their reason."""
        named = [(row, self.named(row.values)) for row in rows]
        skus = {str(values.get("productId", "")).strip() for _, values in named}
        known = dict(Variant.objects.stocked().filter(sku__in=skus).values_list("sku", "pk"))
        good: list[tuple[files.Row, Fits]] = []
        for row, values in named:
            try:
                if row.fault:
                    raise InvalidInput.at(self.record, row.fault)
                good.append((row, self.fits(values, known)))
            except Problem as problem:
                self.refuse(row.number, problem)
                progress()
        outcome = fitments.put_many(fitments=[fits for _, fits in good], actor=self.actor)
        self.report.outcomes.update(outcome.of_each)
        for _ in good:
            progress()

    def apply(self, values: dict[str, Any], row_number: int) -> str:
        raise NotImplementedError("rows are taken by the thousand")

    def fits(self, values: dict[str, Any], known: dict[str, int]) -> Fits:
        """What a row says. Raises InvalidInput naming the column."""
        sku = loading.text(values, "productId", 64)
        if sku not in known:
            raise InvalidInput.at("productId", f"there is no product {sku}")
        first, last = self.year(values, "yearFrom"), self.year(values, "yearTo")
        if first > last:
            raise InvalidInput.at("yearTo", f"{last} is before {first}")
        quantity = loading.number(values, "quantity", fitments.QUANTITY_MAX)
        if quantity == 0:
            raise InvalidInput.at("quantity", "a vehicle that takes the part takes one or more")
        return Fits(
            variant_id=known[sku],
            make=self.name(values, "make"),
            model=self.name(values, "model"),
            year_from=first,
            year_to=last,
            submodel=loading.text(values, "submodel", 60, is_required=False),
            engine=loading.text(values, "engine", 60, is_required=False),
            position=loading.text(values, "position", 60, is_required=False),
            quantity=quantity or 1,
            note=loading.text(values, "note", 250, is_required=False),
            qualifiers=self.qualifiers(values),
        )

    def name(self, values: dict[str, Any], name: str) -> str:
        text = loading.text(values, name, fitments.LENGTHS[name])
        if not any(sign.isalnum() for sign in text):
            raise InvalidInput.at(name, f"{text!r} holds no letter and no digit")
        return text

    def qualifiers(self, values: dict[str, Any]) -> list[dict[str, str]]:
        """Texts with semicolons between, or a list of them."""
        given = values.get("qualifiers")
        found = (
            given
            if isinstance(given, list)
            else loading.text(values, "qualifiers", 2_000, is_required=False).split(";")
        )
        if not all(isinstance(text, str) for text in found) or len(found) > fitments.QUALIFIERS_MAX:
            raise InvalidInput.at("qualifiers", f"is no list of up to {fitments.QUALIFIERS_MAX} texts")
        return [{"text": loading.text({"qualifiers": text}, "qualifiers", 250)} for text in found if text.strip()]

    def year(self, values: dict[str, Any], name: str) -> int:
        year = loading.number(values, name, fitments.YEAR_MAX)
        if year is None or year < fitments.YEAR_MIN:
            raise InvalidInput.at(name, f"is no model year from {fitments.YEAR_MIN} to {fitments.YEAR_MAX}")
        return year
