"""An applied import of products is taken back: each product as it was, new ones gone where nothing hangs on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.db import IntegrityError, connection, transaction

from catalog.models import CatalogImport, Identifier, Pack, RegulatoryNote, SupplierItem, Variant
from catalog.operations import plan_prices, plan_terms
from catalog.operations.plan_writing import Writer
from partners.actors import Actor
from partners.problems import Conflict, Problem

NAMED_MAX = 20
# They come and go with the product itself.
ITS_OWN = (Identifier, Pack, SupplierItem, RegulatoryNote)


class ImportMovedOn(Conflict):
    """What the import wrote has been changed since. Data: productIds, some of them, and movedCount."""

    code = "import_moved_on"
    title = "Something has changed since the import"
    remedy = "Look at the products named and change back by hand what should go back."


# So that nobody can begin to use a new product meanwhile: whoever puts it on a shelf waits.
LOCK = """
    SELECT count(*) FROM (
        SELECT id FROM catalog_variant
         WHERE id IN (SELECT variant_id FROM catalog_catalogimportrow
                       WHERE plan_id = %(plan)s AND outcome IN ('new', 'changed'))
         ORDER BY id FOR UPDATE) locked
"""
MOVED = """
    SELECT row.id, row.sku FROM catalog_catalogimportrow row
      LEFT JOIN catalog_variant variant ON variant.id = row.variant_id
     WHERE row.plan_id = %(plan)s AND row.outcome IN ('new', 'changed')
       AND variant.version IS DISTINCT FROM row.applied_version
     ORDER BY row.id
"""
MARK = """
    UPDATE catalog_catalogimportrow row SET undoing = %(how)s
     WHERE row.plan_id = %(plan)s AND row.outcome = %(outcome)s AND row.undoing = ''
"""
KEEP_REFERRED = MARK + " AND row.variant_id IN (SELECT {column} FROM {table})"
# A parent stays where a variant stays under it.
KEEP_PARENTS = (
    MARK
    + """
       AND EXISTS (
           SELECT FROM catalog_variant child
             LEFT JOIN catalog_catalogimportrow own ON own.plan_id = row.plan_id AND own.variant_id = child.id
                                                   AND own.outcome IN ('new', 'changed')
            WHERE child.parent_id = row.variant_id
              AND NOT (coalesce(own.outcome = 'new' AND own.undoing = '', false)
                       OR coalesce(own.undoing = 'restored' AND own.before ? 'parent_sku', false)))
"""
)
DISCONTINUE = """
    UPDATE catalog_variant variant SET status = 'discontinued', version = variant.version + 1, updated_at = now()
      FROM catalog_catalogimportrow row
     WHERE row.plan_id = %(plan)s AND row.undoing = 'discontinued' AND variant.id = row.variant_id
"""
DELETE = """
    DELETE FROM {table} gone USING catalog_catalogimportrow row
     WHERE row.plan_id = %(plan)s AND row.undoing = 'deleted' AND gone.{column} = row.variant_id
"""
DROP_OFFERS = """
    DELETE FROM catalog_supplieritem item USING catalog_catalogimportrow row
     WHERE row.plan_id = %(plan)s AND row.undoing = 'restored' AND row.is_plain AND row.before ? 'sources'
       AND item.variant_id = row.variant_id
       AND item.supplier_id NOT IN (SELECT (offer->>'supplier')::bigint
                                      FROM jsonb_array_elements(row.before->'sources') AS told (offer))
"""
UNFLAG = """
    UPDATE catalog_variant parent SET is_parent = false, version = version + 1, updated_at = now()
     WHERE id = ANY(%(ids)s) AND is_parent AND axes = '[]'
       AND NOT EXISTS (SELECT FROM catalog_variant child WHERE child.parent_id = parent.id)
    RETURNING id
"""


def take_back(*, plan: CatalogImport, writer: Writer, actor: Actor, is_forced: bool) -> None:
    """Write every row's `before` again; the caller holds the import's lock and the transaction.

    Raises ImportMovedOn (data: productIds, movedCount).
    """
    plan_terms.lock(plan=plan)
    writer.run(LOCK)
    _keep_moved(writer, plan, is_forced=is_forced)
    try:
        with transaction.atomic():
            # New products are referred to by them no longer.
            plan_terms.write(plan=plan, doc="before", writer=writer, actor=actor)
            plan_prices.close_lists(codes=plan.ground.get("opened", []))
    except (Problem, IntegrityError) as error:
        raise ImportMovedOn(f"Prices and links cannot be taken back: {error}", productIds=[], movedCount=1) from error
    writer.run(MARK, how="restored", outcome="changed")
    for table, column in _referring():
        writer.run(KEEP_REFERRED.format(table=table, column=column), how="discontinued", outcome="new")
    writer.run(KEEP_PARENTS, how="discontinued", outcome="new")
    writer.run(MARK, how="deleted", outcome="new")
    try:
        with transaction.atomic():
            _write(writer, plan.ground.get("parents", []))
            writer.run("SET CONSTRAINTS ALL IMMEDIATE")
            writer.run("SET CONSTRAINTS ALL DEFERRED")
    except IntegrityError as error:
        name = getattr(getattr(error.__cause__, "diag", None), "constraint_name", None) or ""
        raise ImportMovedOn(
            f"What was there before fits no more: {name.replace('_', ' ')}.", productIds=[], movedCount=1
        ) from error


def _keep_moved(writer: Writer, plan: CatalogImport, *, is_forced: bool) -> None:
    with connection.cursor() as cursor:
        cursor.execute(MOVED, {"plan": plan.pk})
        moved = cursor.fetchall()
    moved = sorted({*moved, *plan_terms.moved(plan=plan, doc="after")})
    if moved and not is_forced:
        skus = [sku for _, sku in moved[:NAMED_MAX]]
        more = " …" if len(moved) > NAMED_MAX else ""
        raise ImportMovedOn(
            f"{', '.join(skus)}{more} changed since the import; nothing was taken back.",
            productIds=skus, movedCount=len(moved),
        )  # fmt: skip
    writer.run(
        "UPDATE catalog_catalogimportrow SET undoing = 'kept' WHERE id = ANY(%(ids)s)", ids=[pk for pk, _ in moved]
    )


def _referring() -> Iterator[tuple[str, str]]:
    """Every table of the house that may hold something of a product, whatever floor it is on."""
    relation: Any
    for relation in Variant._meta.get_fields(include_hidden=True):
        model: Any = relation.related_model
        if not relation.auto_created or relation.concrete or model in (*ITS_OWN, Variant):
            continue
        if str(model._meta.model_name).startswith("historical"):
            continue
        yield model._meta.db_table, relation.field.column
    # A pack that is kept under the SKU is another product's.
    yield "catalog_pack", "stocked_as_id"


def _write(writer: Writer, flagged: Sequence[int]) -> None:
    writer.remember(outcome="new", type_="-", undoing=["deleted"])
    for model in ITS_OWN[::-1]:
        writer.run(DELETE.format(table=model._meta.db_table, column="variant_id"))
    writer.run(DELETE.format(table="catalog_variant", column="id"))
    writer.run(DISCONTINUE)
    writer.remember(outcome="new", type_="~", undoing=["discontinued"])
    writer.free_numbers()
    writer.change()
    writer.run(DROP_OFFERS)
    writer.offers()
    writer.lists()
    writer.remember(outcome="changed", type_="~")
    with connection.cursor() as cursor:
        cursor.execute(UNFLAG, {"ids": list(flagged)})
        unflagged = [pk for (pk,) in cursor.fetchall()]
    writer.remember_ids(ids=unflagged, type_="~")
