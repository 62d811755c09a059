"""What is wrong with planned rows among themselves, and beside products no row names: found set by set."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connection

# Rows that would be written, with the state their product would have.
WANTED = """
    SELECT row.id, row.sku, row.variant_id, row.outcome, row.after,
           CASE WHEN row.after ? 'gtin14' THEN row.after->>'gtin14' ELSE was.gtin14 END AS gtin14,
           CASE WHEN row.after ? 'parent_sku' THEN nullif(row.after->>'parent_sku', '') ELSE parent.sku END AS parent_sku,
           CASE WHEN row.after ? 'axis_values' THEN row.after->'axis_values' ELSE was.axis_values END AS axis_values,
           CASE WHEN row.after ? 'status' THEN row.after->>'status' ELSE was.status END AS status
      FROM catalog_catalogimportrow row
      LEFT JOIN catalog_variant was ON was.id = row.variant_id
      LEFT JOIN catalog_variant parent ON parent.id = was.parent_id
     WHERE row.plan_id = %(plan)s AND row.outcome IN ('new', 'changed')
"""
REFUSE = """
    UPDATE catalog_catalogimportrow row
       SET outcome = 'refused', before = '{{}}', after = '{{}}', effects = '{{}}',
           reasons = jsonb_build_array(jsonb_build_array('{field}', found.why))
      FROM ({found}) found
     WHERE row.id = found.id
"""
CONTRADICTED = """
    SELECT id, 'another row says something else of the same product' AS why FROM catalog_catalogimportrow
     WHERE plan_id = %(plan)s AND sku = ANY(%(skus)s) AND outcome <> 'refused'
"""
GTIN_TWICE = """
    SELECT id, 'row ' || first || ' gives ' || gtin || ' to another product' AS why
      FROM (SELECT id, number, after->>'gtin14' AS gtin,
                   first_value(number) OVER (PARTITION BY after->>'gtin14' ORDER BY id) AS first,
                   row_number() OVER (PARTITION BY after->>'gtin14' ORDER BY id) AS turn
              FROM catalog_catalogimportrow
             WHERE plan_id = %(plan)s AND outcome IN ('new', 'changed') AND after->>'gtin14' <> '') said
     WHERE turn > 1
"""
# A number that its product gives up in the same plan is free.
GTIN_TAKEN = """
    SELECT DISTINCT ON (row.id) row.id, 'The GTIN ' || known.plain || ' belongs to another product or pack.' AS why
      FROM catalog_catalogimportrow row
      JOIN catalog_identifier known ON known.plain = row.after->>'gtin14' AND known.scheme IN ('gtin', 'upc', 'ean')
                                   AND known.partner_id IS NULL
     WHERE row.plan_id = %(plan)s AND row.outcome IN ('new', 'changed') AND row.after->>'gtin14' <> ''
       AND (known.variant_id IS DISTINCT FROM row.variant_id OR known.pack_id IS NOT NULL AND row.is_plain)
       AND NOT EXISTS (SELECT FROM catalog_catalogimportrow other
                        WHERE other.plan_id = row.plan_id AND other.variant_id = known.variant_id AND known.is_main
                          AND known.pack_id IS NULL AND other.outcome = 'changed' AND other.after ? 'gtin14')
"""
CODE_SAID = """
    SELECT row.id, row.number, row.variant_id, (offer->>'supplier')::bigint AS supplier, offer->>'supplier_code' AS code
      FROM catalog_catalogimportrow row, jsonb_array_elements(row.after->'sources') AS told (offer)
     WHERE row.plan_id = %(plan)s AND row.outcome IN ('new', 'changed') AND row.after ? 'sources'
       AND offer->>'supplier_code' <> ''
"""
CODE_TWICE = f"""
    SELECT DISTINCT ON (id) id, 'row ' || first || ' gives the number ' || code || ' to another product' AS why
      FROM (SELECT id, code, first_value(number) OVER (PARTITION BY supplier, code ORDER BY id) AS first,
                   row_number() OVER (PARTITION BY supplier, code ORDER BY id) AS turn
              FROM ({CODE_SAID}) said) counted
     WHERE turn > 1
"""
CODE_TAKEN = f"""
    SELECT DISTINCT ON (said.id) said.id,
           'The supplier''s number ' || said.code || ' stands for another product.' AS why
      FROM ({CODE_SAID}) said
      JOIN catalog_identifier known ON known.partner_id = said.supplier AND known.value = said.code
                                   AND known.scheme IN ('supplier', 'partner')
     WHERE known.variant_id IS DISTINCT FROM said.variant_id
"""
PARENT_GONE = f"""
    WITH wanted AS MATERIALIZED ({WANTED})
    SELECT child.id, CASE WHEN coalesce(planned.parent_sku, planned.gtin14, '') <> ''
                          THEN child.parent_sku || ' is sold itself; a parent only gathers its variants.'
                          ELSE 'The row of ' || child.parent_sku || ' is refused.' END AS why
      FROM wanted child
      LEFT JOIN wanted planned ON planned.sku = child.parent_sku
      LEFT JOIN catalog_variant there ON there.sku = child.parent_sku
     WHERE child.parent_sku IS NOT NULL
       AND (there.id IS NULL AND planned.id IS NULL OR coalesce(planned.parent_sku, planned.gtin14, '') <> '')
"""
# Only of rows that say something of their place: the others have theirs already, and families may be large.
AXIS_VALUES = f"""
    WITH wanted AS MATERIALIZED (
        SELECT id, variant_id, sku, parent_sku, lower(axis_values::text) AS place, axis_values FROM ({WANTED}) said
         WHERE parent_sku IS NOT NULL AND axis_values <> '{{}}' AND status = 'active'
           AND after ?| ARRAY['axis_values', 'parent_sku', 'status']
    ), taken AS (
        SELECT id, other FROM (SELECT id, turn, first_value(sku) OVER (PARTITION BY parent_sku, place ORDER BY id) AS other
                                 FROM (SELECT *, row_number() OVER (PARTITION BY parent_sku, place ORDER BY id) AS turn
                                         FROM wanted) counted) among
         WHERE turn > 1
        UNION ALL
        SELECT wanted.id, there.sku FROM wanted
          JOIN catalog_variant parent ON parent.sku = wanted.parent_sku
          JOIN catalog_variant there ON there.parent_id = parent.id AND lower(there.axis_values::text) = wanted.place
         WHERE there.status = 'active' AND there.id IS DISTINCT FROM wanted.variant_id
           AND NOT EXISTS (SELECT FROM catalog_catalogimportrow other
                            WHERE other.plan_id = %(plan)s AND other.variant_id = there.id AND other.outcome = 'changed'
                              AND other.after ?| ARRAY['axis_values', 'parent_sku', 'status'])
    )
    SELECT DISTINCT ON (id) id, other || ' has these axis values already.' AS why FROM taken
"""
# Parents last but one: a row may be refused for what came before. Each is asked of the rows that are left.
STEPS = [
    ("productId", CONTRADICTED), ("gtin", GTIN_TWICE), ("gtin", GTIN_TAKEN), ("supplierCode", CODE_TWICE),
    ("supplierCode", CODE_TAKEN), ("parentId", PARENT_GONE), ("axisValues", AXIS_VALUES),
]  # fmt: skip


def refuse_what_clashes(*, plan_id: int, contradicted: Iterable[str]) -> None:
    """Refuse rows of products that clash with one another or with the catalog. Seven statements."""
    with connection.cursor() as cursor:
        for field, found in STEPS:
            cursor.execute(REFUSE.format(field=field, found=found), {"plan": plan_id, "skus": list(contradicted)})
