"""An ACES file becomes the fitments of its brand: all of them, or what came and went."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import batched
from pathlib import Path
from typing import Any

from catalog import aces, parts
from catalog.models import Variant
from catalog.operations import fitments
from catalog.operations.fitment_files import FitmentFile
from catalog.operations.fitments import Fits
from catalog.records import Book, Record
from partners import files
from partners.problems import InvalidInput, Problem

LOOKED_UP = 1_000
"""So many Apps have their parts looked up in one query."""
SOURCE_MAX = 80
TO_FITS = {
    "make": "make", "model": "model", "yearFrom": "year_from", "yearTo": "year_to", "submodel": "submodel",
    "engine": "engine", "position": "position", "quantity": "quantity", "note": "note", "qualifiers": "qualifiers",
    "baseVehicleId": "base_vehicle_id", "partTypeId": "part_type_id", "brandAaiaId": "brand_aaia_id",
    "acesIds": "aces_ids",
}  # fmt: skip


@dataclass(frozen=True)
class AppRow(files.Row):
    """An App as a row of fitments; `key` is all by which two Apps differ."""

    key: tuple[str, ...] = ()
    is_drop: bool = False


class AcesFile(FitmentFile):
    """Each App says that a part of a brand fits a vehicle; loading a file twice changes nothing.

    What one sender (the Header's Company) says of a brand is a set. A FULL file replaces it, unless one of its Apps
    is refused: then the others are added and nothing goes. An UPDATE adds (A) and takes away (D); of what it says
    twice the last word counts. The part must be a product already, by its brand's number: load its PIES first.
    """

    place = "line"
    record = "App"
    book: Book

    def rows(self, path: Path, *, encoding: str = "utf-8-sig") -> Iterator[files.Row]:
        """The Apps with the columns of FitmentFile, and baseVehicleId, partTypeId, brandAaiaId, acesIds.

        Proves the file whole before it gives the first. Raises files.Unreadable.
        """
        self.book = aces.read(path)
        return self._rows(self.book.records)

    def take_all(self, rows: Iterator[files.Row], progress: Callable[[], object]) -> None:
        if self.book.replaces is None:
            super().take_all(rows, progress)
            return
        brands = set(self.book.replaces.brands)
        try:
            outcome = fitments.replace_sets(
                fitments=self._all(rows, brands, progress), source=self.source, brands=brands, actor=self.actor,
                is_whole=lambda: not self.report.refusals,
            )  # fmt: skip
        except Problem as problem:
            # What no single App is to blame for; the transaction is undone.
            raise files.Unreadable(f"Nothing was changed: {problem.detail}") from problem
        told = {"created": outcome.created, "changed": outcome.changed, "unchanged": outcome.unchanged}
        self.report.outcomes.update({name: count for name, count in told.items() if count})
        self._tell_dropped(outcome.dropped)
        if self.report.refusals:
            self.report.notes.append("Apps were refused, so the set may not be whole: no fitment was taken away")

    def take(self, rows: Iterable[files.Row], progress: Callable[[], object]) -> None:
        """An UPDATE's Apps in two statements: what goes, then what comes."""
        last: dict[Any, tuple[files.Row, Fits]] = {}
        for row, fits in self._good(rows, None, progress):
            last[getattr(row, "key", row.number)] = row, fits
        going = [fits for row, fits in last.values() if getattr(row, "is_drop", False)]
        coming = [fits for row, fits in last.values() if not getattr(row, "is_drop", False)]
        dropped = fitments.drop_many(fitments=going, source=self.source, actor=self.actor).dropped
        self._tell_dropped(dropped)
        self.report.outcomes["unchanged"] += len(going) - dropped
        put = fitments.put_many(fitments=coming, source=self.source, actor=self.actor)
        self.report.outcomes.update(put.of_each)
        self.report.outcomes += type(self.report.outcomes)()  # leaves out what is nought

    @property
    def source(self) -> str:
        return source_of(self.book)

    def _tell_dropped(self, count: int) -> None:
        if count:
            self.report.outcomes["dropped"] += count

    def _rows(self, records: Iterator[Record]) -> Iterator[files.Row]:
        for batch in batched(records, LOOKED_UP):
            known = parts_of(batch)
            for record in batch:
                self.report.notes += [f"line {record.line}: {note}" for note in record.notes]
                yield row_of(record=record, known=known)

    def _all(self, rows: Iterator[files.Row], brands: set[str], progress: Callable[[], object]) -> Iterator[Fits]:
        for batch in batched(rows, LOOKED_UP):
            yield from (fits for row, fits in self._good(batch, brands, progress) if not getattr(row, "is_drop", False))

    def _good(
        self, rows: Iterable[files.Row], brands: set[str] | None, progress: Callable[[], object]
    ) -> list[tuple[files.Row, Fits]]:
        """The rows that can be taken; the others are refused each with its reason."""
        rows = list(rows)
        skus = {row.values.get("productId", "") for row in rows}
        known = dict(Variant.objects.stocked().filter(sku__in=skus).values_list("sku", "pk"))
        good = []
        for row in rows:
            progress()
            try:
                if row.fault:
                    raise InvalidInput.at(self.record, row.fault)
                fits = self.fits(row.values, known)
                if wrong := list(fitments.faults(row=fits, brands=brands)):
                    raise InvalidInput.of(wrong)
                good.append((row, fits))
            except Problem as problem:
                self.refuse(row.number, problem)
        return good

    def fits(self, values: dict[str, Any], known: dict[str, int]) -> Fits:
        sku = values["productId"]
        if sku not in known:
            raise InvalidInput.at("productId", f"{sku} only gathers its variants; name the one that fits")
        for name in ("make", "model"):
            if name in values:
                self.name(values, name)
        said = {field: values[name] for name, field in TO_FITS.items() if name in values}
        return Fits(variant_id=known[sku], **said)


def source_of(book: Book) -> str:
    """Whose set a file is of."""
    return f"ACES {book.about.get('company', '')}".strip()[:SOURCE_MAX]


def parts_of(records: Iterable[Record]) -> parts.Parts:
    """The products some Apps name. One query."""
    return parts.find(
        parts.key(record.values["brandAaiaId"], record.values["partNumber"])
        for record in records
        if not record.fault and "brandAaiaId" in record.values
    )


def row_of(*, record: Record, known: parts.Parts) -> AppRow:
    """An App by the columns of fitments; what only has a name narrows the vehicle by that name."""
    told = record.values
    if record.fault:
        return AppRow(record.line, {}, record.fault)
    brand, number = told.get("brandAaiaId", ""), told["partNumber"]
    products = known.found(parts.key(brand, number)) if brand else []
    if len(products) != 1:
        which = ", ".join(product.sku for product in products)
        fault = f"{number} of the brand {brand or '(none is named)'} " + (
            f"is several products: {which}" if products else "is no product yet; load its PIES file first"
        )
        return AppRow(record.line, {}, fault)
    values = {name: told[name] for name in TO_FITS if name in told} | {"productId": products[0].sku}
    ids, names = dict(told.get("acesIds", {})), told.get("acesNames", {})
    kept = set(aces.NAMED) | set(aces.BY_ITSELF)
    if ("make" in values) != ("model" in values):
        # Half a name is none: the numbers count.
        kept -= {"Make", "Model"}
        values = {name: value for name, value in values.items() if name not in ("make", "model")}
    if "subBrandAaiaId" in told:
        ids["SubBrandAAIAID"] = told["subBrandAaiaId"]
    if ids:
        values["acesIds"] = ids
    only_named = [{"text": f"{tag}: {name}"} for tag, name in names.items() if tag not in ids and tag not in kept]
    if only_named:
        values["qualifiers"] = [*only_named, *told.get("qualifiers", [])]
    if "mfrLabel" in told:
        values["note"] = told["mfrLabel"]
    return AppRow(record.line, values, key=record.key, is_drop=record.is_drop)
