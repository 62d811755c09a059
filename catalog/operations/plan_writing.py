"""Planned rows become products, set by set, in the transaction of whoever applies or takes back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.db import connection

from catalog.models import CatalogImportRow, ProductType, Variant
from catalog.operations import offers, plan_lists
from partners import actors
from partners.actors import Actor
from partners.problems import Problem

# How a column is read from a row's document.
TEXTS = (
    "name", "brand", "product_type_id", "gtin", "gtin14", "tracking", "warranty_per", "warranty_terms", "unit", "status",
)  # fmt: skip
READ = {
    **{name: "{doc}->>'" + name + "'" for name in TEXTS},
    **{name: "{doc}->'" + name + "'" for name in ("attributes", "axes", "axis_values")},
    **{
        name: "({doc}->>'" + name + "')::integer"
        for name in ("shelf_life_days", "warranty_months", "schema_version")
    },
    "unit_cost": "({doc}->>'unit_cost')::numeric",
}  # fmt: skip
PARENT = "(SELECT parent.id FROM catalog_variant parent WHERE parent.sku = nullif({doc}->>'parent_sku', ''))"

NEW = f"""
    INSERT INTO catalog_variant ({", ".join(READ)}, sku, parent_id, is_parent, version, updated_at)
    SELECT {", ".join(text.format(doc="row.after") for text in READ.values())}, row.sku,
           {PARENT.format(doc="row.after")},
           row.after->>'parent_sku' = '' AND (coalesce(jsonb_array_length(row.after->'axes'), 0) > 0 OR row.sku IN (
               SELECT child.after->>'parent_sku' FROM catalog_catalogimportrow child
                WHERE child.plan_id = %(plan)s AND child.outcome IN ('new', 'changed')
                  AND child.after->>'parent_sku' <> '')),
           1, now()
      FROM catalog_catalogimportrow row
     WHERE row.plan_id = %(plan)s AND row.outcome = 'new' AND (row.after->>'parent_sku' = '') = %(is_top)s
     ORDER BY row.id
"""
# What is given axes, or a variant, is a parent before anything of it is written.
FLAG_PARENTS = """
    UPDATE catalog_variant parent SET is_parent = true, updated_at = now(),
           version = version + (NOT EXISTS (
               SELECT FROM catalog_catalogimportrow own WHERE own.plan_id = %(plan)s AND own.outcome = 'changed'
                                                          AND own.variant_id = parent.id))::int
     WHERE NOT is_parent AND (sku IN (
               SELECT child.after->>'parent_sku' FROM catalog_catalogimportrow child
                WHERE child.plan_id = %(plan)s AND child.outcome IN ('new', 'changed') AND child.after->>'parent_sku' <> '')
           OR id IN (
               SELECT own.variant_id FROM catalog_catalogimportrow own
                WHERE own.plan_id = %(plan)s AND own.outcome = 'changed' AND own.after ? 'axes'
                  AND jsonb_array_length(own.after->'axes') > 0))
    RETURNING id
"""
# A number that goes from one product to another in the same breath, or to a pack, is let go of first.
FREE_NUMBERS = """
    UPDATE catalog_variant variant SET gtin = '', gtin14 = ''
      FROM catalog_catalogimportrow row
     WHERE row.plan_id = %(plan)s AND row.outcome = 'changed' AND row.undoing = ANY(%(undoing)s)
       AND row.variant_id = variant.id AND row.after ? 'gtin14' AND variant.gtin14 <> ''
       AND (NOT row.is_plain OR EXISTS (
            SELECT FROM catalog_catalogimportrow other
             WHERE other.plan_id = row.plan_id AND other.outcome IN ('new', 'changed') AND other.id <> row.id
               AND variant.gtin14 IN (other.after->>'gtin14', other.before->>'gtin14')))
"""
SOURCES = f"""
    INSERT INTO catalog_supplieritem (variant_id, supplier_id, supplier_code, pack_id,
                                      {", ".join(name for name in offers.TERMS if name != "pack")})
    SELECT variant.id, (offer->>'supplier')::bigint, offer->>'supplier_code', pack.id,
           (offer->>'minimum_quantity')::integer, (offer->>'order_multiple')::integer,
           (offer->>'lead_time_days')::numeric, (offer->>'lead_time_deviation_days')::numeric, (offer->>'cost')::numeric,
           coalesce(offer->>'currency', ''), (offer->>'last_confirmed_on')::date
      FROM catalog_catalogimportrow row
      JOIN catalog_variant variant ON variant.sku = row.sku
     CROSS JOIN jsonb_array_elements(row.{{doc}}->'sources') AS told (offer)
      LEFT JOIN catalog_pack pack ON pack.variant_id = row.variant_id AND pack.name = offer->>'pack'
     WHERE row.plan_id = %(plan)s AND row.outcome IN ('new', 'changed') AND row.is_plain AND row.undoing = ANY(%(undoing)s)
       AND row.{{doc}} ? 'sources'
    ON CONFLICT (supplier_id, variant_id) DO UPDATE
       SET {", ".join(f"{name} = excluded.{name}" for name in ("supplier_code", "pack_id", *(name for name in offers.TERMS if name != "pack")))}
"""
HISTORY_COLUMNS = [str(field.column) for field in Variant._meta.concrete_fields]
HISTORY = f"""
    INSERT INTO catalog_historicalvariant ({", ".join(HISTORY_COLUMNS)}, actor, request_id, history_date,
                                           history_change_reason, history_type, history_user_id)
    SELECT {", ".join(f"variant.{column}" for column in HISTORY_COLUMNS)}, %(actor)s, %(request)s, clock_timestamp(), %(why)s,
           %(type)s, %(user)s
      FROM catalog_variant variant WHERE variant.id = ANY(%(ids)s)
"""
HISTORY_OF_ROWS = HISTORY.replace(
    "WHERE variant.id = ANY(%(ids)s)",
    "JOIN catalog_catalogimportrow row ON row.sku = variant.sku"
    " WHERE row.plan_id = %(plan)s AND row.outcome = %(outcome)s AND row.undoing = ANY(%(undoing)s)",
)
APPLIED = """
    UPDATE catalog_catalogimportrow row SET variant_id = variant.id, applied_version = variant.version
      FROM catalog_variant variant
     WHERE row.plan_id = %(plan)s AND row.outcome IN ('new', 'changed') AND variant.sku = row.sku
"""


class Writer:
    """Writes the rows of one plan; `doc` is `after` to apply them and `before` to take them back."""

    def __init__(self, *, plan_id: int, number: str, doc: str, actor: Actor) -> None:
        self.doc, self.actor = doc, actor
        self.values: dict[str, Any] = {"plan": plan_id, "undoing": ["" if doc == "after" else "restored"]}
        self.why = f"import {number}" if doc == "after" else f"import {number} taken back"
        self.plan_id, self.number = plan_id, number

    def run(self, statement: str, **values: Any) -> int:
        with connection.cursor() as cursor:
            cursor.execute(statement, self.values | values)
            return int(cursor.rowcount)

    def say(self, stage: str) -> None:
        """Seen from outside while the transaction runs, in pg_stat_activity (`progress`)."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('application_name', %s, true)", [f"{self.number} {stage}"[:63]])

    def register_types(self, codes: Sequence[str]) -> None:
        for code in codes:
            ProductType.objects.get_or_create(code=code, defaults={"name": code.replace("-", " ").capitalize()})

    def flag_parents(self) -> list[int]:
        with connection.cursor() as cursor:
            cursor.execute(FLAG_PARENTS, self.values)
            return [pk for (pk,) in cursor.fetchall()]

    def free_numbers(self) -> None:
        """Before anybody else may take them."""
        self.run(FREE_NUMBERS)

    def add(self) -> None:
        """New products: those that may be parents first."""
        self.run(NEW, is_top=True)
        self.run(NEW, is_top=False)

    def change(self) -> None:
        """Products that are there: another version each, also where only their lists change."""
        doc = f"row.{self.doc}"
        columns = [
            f"{name} = CASE WHEN {doc} ? '{name}' THEN {text.format(doc=doc)} ELSE variant.{name} END"
            for name, text in READ.items()
        ]
        common = f"""
            UPDATE catalog_variant variant
               SET {", ".join(columns)}, version = variant.version + 1, updated_at = now() {{parent}}
              FROM catalog_catalogimportrow row
             WHERE row.plan_id = %(plan)s AND row.outcome = 'changed' AND row.undoing = ANY(%(undoing)s)
               AND variant.id = row.variant_id AND {doc} ? 'parent_sku' = %(is_moved)s
        """
        self.run(common.format(parent=""), is_moved=False)
        self.run(common.format(parent=f", parent_id = {PARENT.format(doc=doc)}"), is_moved=True)

    def offers(self) -> None:
        self.run(SOURCES.format(doc=self.doc))

    def lists(self, progress: int = 100) -> None:
        """Packs and numbers, one product after the other. Raises the Problem with the product's SKU."""
        rows = CatalogImportRow.objects.filter(
            plan=self.plan_id, is_plain=False, outcome__in=["new", "changed"], undoing__in=self.values["undoing"]
        ).order_by("id")
        total = rows.count()
        for place, row in enumerate(rows.values_list("sku", self.doc).iterator(chunk_size=1_000)):
            sku, wanted = row
            if place % progress == 0:
                self.say(f"packs and numbers {place}/{total}")
            try:
                plan_lists.write(variant=Variant.objects.get(sku=sku), wanted=wanted)
            except Problem as problem:
                problem.data.setdefault("productId", sku)
                raise

    def remember(self, *, outcome: str, type_: str, **values: Any) -> None:
        """History of all rows at once, as saving each would have written it."""
        self.run(HISTORY_OF_ROWS, outcome=outcome, type=type_, **self._who() | values)

    def remember_ids(self, *, ids: Sequence[int], type_: str) -> None:
        if ids:
            self.run(HISTORY, ids=list(ids), type=type_, **self._who())

    def _who(self) -> dict[str, Any]:
        return {
            "actor": self.actor.label, "request": actors.current_request_id(), "why": self.why,
            "user": self.actor.user_id,
        }  # fmt: skip

    def note_versions(self) -> None:
        self.run(APPLIED)


def progress(*, numbers: Sequence[str]) -> dict[str, str]:
    """What the transactions at work on these imports say of themselves, by number. One query."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT application_name FROM pg_stat_activity WHERE datname = current_database()"
            " AND split_part(application_name, ' ', 1) = ANY(%s)",
            [list(numbers)],
        )
        said = [name.partition(" ") for (name,) in cursor.fetchall()]
    return {number: stage for number, _, stage in said}


def shown(document: Any) -> str:
    """A value of a row as people read it."""
    if isinstance(document, list | dict):
        return json.dumps(document, ensure_ascii=False)
    return "" if document is None else str(document)
