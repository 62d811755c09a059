"""Whether what a plan was made from has moved, and how that is said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg.errors as pg
from django.db import IntegrityError, connection

from catalog import queries
from catalog.models import CatalogImport, ProductType
from catalog.operations import plan_reading
from catalog.operations.identifiers import understood
from partners.problems import Conflict

NAMED_MAX = 20
OVERTAKING = (pg.UniqueViolation, pg.ForeignKeyViolation, pg.CheckViolation)


class PlanOutdated(Conflict):
    """What the plan was made from has moved; nothing was changed. Plan it again.

    Data: productIds, some of those that moved, and movedCount.
    """

    code = "plan_outdated"
    title = "The plan is outdated"
    remedy = "Send the import again; it is planned from what is there now."


LOCK = """
    SELECT count(*) FROM (
        SELECT id FROM catalog_variant
         WHERE id IN (SELECT variant_id FROM catalog_catalogimportrow WHERE plan_id = %(plan)s AND outcome = 'changed')
            OR sku IN (SELECT after->>'parent_sku' FROM catalog_catalogimportrow
                        WHERE plan_id = %(plan)s AND outcome IN ('new', 'changed') AND after->>'parent_sku' <> '')
         ORDER BY id FOR NO KEY UPDATE) locked
"""
MOVED = """
    SELECT row.sku FROM catalog_catalogimportrow row
      LEFT JOIN catalog_variant variant ON variant.sku = row.sku
     WHERE row.plan_id = %(plan)s AND row.outcome IN ('new', 'changed', 'unchanged')
       AND (variant.version IS DISTINCT FROM row.base_version AND NOT (row.outcome = 'unchanged' AND row.base_version IS NULL))
    UNION
    SELECT parent.sku FROM catalog_catalogimportrow row
      JOIN catalog_variant parent ON parent.sku = row.after->>'parent_sku'
     WHERE row.plan_id = %(plan)s AND row.outcome IN ('new', 'changed') AND row.after->>'parent_sku' <> ''
       AND parent.version IS DISTINCT FROM row.parent_version
"""


def look_again(*, plan: CatalogImport) -> None:
    """Lock the products it changes and their parents in id order, and compare all it was made from.

    Raises PlanOutdated.
    """
    with connection.cursor() as cursor:
        cursor.execute(LOCK, {"plan": plan.pk})
        cursor.execute(MOVED, {"plan": plan.pk})
        moved = sorted(sku for (sku,) in cursor.fetchall())
    if moved:
        raise outdated(skus=moved)
    _look_at_rules(plan.ground["types"])
    if plan.supplier is not None:
        ids = [pk for pk in plan.rows.filter(outcome="changed").values_list("variant_id", flat=True) if pk is not None]
        shared = plan_reading.not_its_own(variant_ids=ids, supplier=plan.supplier)
        rows = plan.rows.filter(outcome="changed", variant_id__in=shared)
        if others := [row.sku for row in rows.iterator() if row.after.keys() - {"sources"}]:
            raise outdated(skus=others)


def _look_at_rules(planned: dict[str, Any]) -> None:
    """A type nobody has registered has no schema and demands nothing. Raises PlanOutdated."""
    schemas = queries.newest_schemas(planned)
    by_batch = dict(ProductType.objects.filter(code__in=planned).values_list("code", "requires_batch"))
    changed = [
        code for code, rule in planned.items() if [schemas.version_of(code), by_batch.get(code, False)] != list(rule)
    ]
    if changed:
        raise outdated(count=0, why=f"The rules of {', '.join(changed[:NAMED_MAX])} changed since. Plan it again.")


def outdated(*, skus: Sequence[str] = (), count: int | None = None, why: str = "") -> PlanOutdated:
    """Some of these products, or why."""
    named = list(skus[:NAMED_MAX])
    told = (
        why
        or f"{', '.join(named)}{' …' if len(skus) > len(named) else ''} changed since; nothing was done. Plan it again."
    )
    return PlanOutdated(
        told, productIds=[sku for sku in named if sku], movedCount=len(skus) if count is None else count
    )


def overtaken(*, error: IntegrityError) -> PlanOutdated:
    """Another product has taken a number or a place since; raises what cannot come of that."""
    if not isinstance(error.__cause__, OVERTAKING):
        raise error
    name = getattr(getattr(error.__cause__, "diag", None), "constraint_name", None) or ""
    if name == "catalog_variant_sku_key":
        return outdated(count=1, why="One of the new products is there by now. Plan it again.")
    try:
        why = understood(error, field="").detail
    except IntegrityError:
        why = f"A rule of the database stands against it: {name.replace('_', ' ')}."
    return outdated(count=1, why=f"{why} Plan it again.")
