"""What a planned file says gives way to what and equals what: tried out with the products it adds, and kept."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date
from itertools import batched
from typing import Any

from django.db import transaction

from catalog.models import Variant
from catalog.operations import equivalents
from catalog.operations.equivalents import Equal, Successor
from catalog.operations.interchange_files import Links
from catalog.operations.plan_writing import Writer
from catalog.records import Record
from partners import loading
from partners.actors import Actor
from partners.problems import InvalidInput, Problem

Document = dict[str, Any]
CHUNK = 500
NOTHING: Document = {"supersededBy": [], "interchangeableWith": []}
# By which the parts of a file find one another; the rest of their numbers comes when the plan is applied.
NUMBERS = """
    INSERT INTO catalog_identifier (variant_id, scheme, value, plain, is_main)
    SELECT variant.id, 'brandPart', told->>'value', catalog_plain_code(told->>'value'), false
      FROM catalog_catalogimportrow row
      JOIN catalog_variant variant ON variant.sku = row.sku
     CROSS JOIN jsonb_array_elements(row.after->'identifiers') AS said (told)
     WHERE row.plan_id = %(plan)s AND row.outcome IN ('new', 'changed') AND told->>'scheme' = 'brandPart'
    ON CONFLICT DO NOTHING
"""


class _Undo(Exception):
    """Takes what was tried back."""


class Tried:
    """The links of a file made in earnest beside all the products it adds, and taken back: of each product whose links
    change, before, after and the line that says so; and which lines are refused."""

    def __init__(self, *, writer: Writer, actor: Actor) -> None:
        self.writer, self.actor = writer, actor
        self.refused: list[tuple[int, Problem]] = []
        self.before: dict[str, Document] = {}
        self.after: dict[str, Document] = {}
        self.lines: dict[str, int] = {}

    def try_out(self, records: Iterable[Record], *, new_types: Collection[str]) -> None:
        """Holds the lock of linking, and the products it adds, for as long as it takes."""
        try:
            with transaction.atomic():
                equivalents.lock()
                self.writer.register_types(list(new_types))
                self.writer.flag_parents()
                self.writer.free_numbers()
                self.writer.add()
                self.writer.change()
                self.writer.run(NUMBERS)
                links = Links(actor=self.actor, report=loading.Report(), refuse=self._refuse)
                for chunk in batched(records, CHUNK):
                    links.take(chunk)
                skus = dict(Variant.objects.filter(pk__in=links.changed).values_list("pk", "sku"))
                self.lines = {skus[pk]: line for pk, line in links.changed.items()}
                self.after = documents(skus=self.lines)
                raise _Undo
        except _Undo:
            self.before = documents(skus=self.lines)

    def _refuse(self, line: int, problem: Problem) -> None:
        self.refused.append((line, problem))


def documents(*, skus: Collection[str]) -> dict[str, Document]:
    """What is said of products, as rows keep it. Three queries each."""
    return {variant.sku: document(variant) for variant in Variant.objects.filter(sku__in=skus)}


def document(variant: Variant) -> Document:
    said = equivalents.said_of(variant=variant)
    equals = [
        {"productId": row.variant.sku} if row.variant else {"brand": row.brand, "partNumber": row.part_number}
        for row in said.members
    ]
    equals += [{"productId": pair.sku} for pair in said.pairs]
    return {
        "supersededBy": [
            {"productId": row.other.sku, "validFrom": row.valid_from and row.valid_from.isoformat()}
            for row in said.successors
        ],
        "interchangeableWith": sorted(equals, key=lambda one: sorted(one.items())),
    }


def write(*, wanted: Mapping[str, Document], actor: Actor, say: Callable[[str], None]) -> None:
    """Say again what rows keep, of products that are there. The caller holds the lock of linking.

    By SKU. Raises the Problem of `equivalents.say`, with the product's SKU.
    """
    for place, (sku, told) in enumerate(wanted.items()):
        if place % 100 == 0:
            say(f"links parts {place}/{len(wanted)}")
        named = [row["productId"] for rows in told.values() for row in rows if "productId" in row]
        known = Variant.objects.in_bulk([sku, *named], field_name="sku")
        if missing := sorted({sku, *named} - known.keys()):
            raise InvalidInput.at("productId", f"{', '.join(missing)} is gone")
        try:
            equivalents.say(
                variant=known[sku], actor=actor,
                successors=[
                    Successor(variant=known[row["productId"]], valid_from=row["validFrom"] and date.fromisoformat(row["validFrom"]))
                    for row in told["supersededBy"]
                ],
                equals=[
                    Equal(variant=known[row["productId"]]) if "productId" in row
                    else Equal(brand=row["brand"], part_number=row["partNumber"])
                    for row in told["interchangeableWith"]
                ],
            )  # fmt: skip
        except Problem as problem:
            problem.data.setdefault("productId", sku)
            raise
