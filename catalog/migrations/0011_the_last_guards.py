"""What operations keep to is kept by the database, too: one type a code, only parents gather, no unknown word.

And a product is found by the numbers of other brands it is equal to, and an import knows that its rows are gone.
"""

import django.db.models.functions.text
from django.db import migrations, models

# "Auto" and "auto" are one type. The one with a schema stays, then the one in small letters; where both have a schema
# somebody has to say which is right, and the unique index names the two.
TWINS = """
DO $$
DECLARE
    twin record;
    link record;
BEGIN
    FOR twin IN
        SELECT code, kept FROM (
            SELECT code, has_schema, first_value(code) OVER (PARTITION BY lower(code)
                                                             ORDER BY has_schema DESC, code COLLATE "C" DESC) AS kept
              FROM catalog_producttype kind,
                   LATERAL (SELECT EXISTS (SELECT FROM catalog_producttypeschema WHERE product_type_id = code)) own (has_schema)
        ) counted WHERE code <> kept AND NOT has_schema
    LOOP
        FOR link IN
            SELECT conrelid::regclass AS name, attname FROM pg_constraint
              JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
             WHERE contype = 'f' AND confrelid = 'catalog_producttype'::regclass
        LOOP
            EXECUTE format('UPDATE %s SET %I = $1 WHERE %I = $2', link.name, link.attname, link.attname)
              USING twin.kept, twin.code;
        END LOOP;
        DELETE FROM catalog_producttype WHERE code = twin.code;
    END LOOP;
END $$;
"""

# Who gathers variants, or names axes, is a parent.
PARENTS = """
UPDATE catalog_variant SET is_parent = true
 WHERE NOT is_parent AND (axes <> '[]' OR id IN (SELECT parent_id FROM catalog_variant WHERE parent_id IS NOT NULL));
-- The tables are altered next, which waits for no trigger.
SET CONSTRAINTS ALL IMMEDIATE;
"""

# Whoever hangs a variant under a parent and whoever takes the mark off it meet at the parent's row, and the second
# sees what the first has done. After the write: a row-level trigger before an update of a product would lock its key.
GATHERS = """
CREATE FUNCTION catalog_hangs_under_a_parent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM catalog_variant WHERE id = NEW.parent_id AND is_parent FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'a variant hangs under a parent' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'variant_under_a_parent';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER variant_under_a_parent AFTER INSERT ON catalog_variant FOR EACH ROW
    WHEN (NEW.parent_id IS NOT NULL) EXECUTE FUNCTION catalog_hangs_under_a_parent();
CREATE TRIGGER variant_under_another_parent AFTER UPDATE OF parent_id ON catalog_variant FOR EACH ROW
    WHEN (NEW.parent_id IS NOT NULL AND NEW.parent_id IS DISTINCT FROM OLD.parent_id)
    EXECUTE FUNCTION catalog_hangs_under_a_parent();

CREATE FUNCTION catalog_parent_gathers_nothing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM catalog_variant WHERE parent_id = NEW.id) THEN
        RAISE EXCEPTION 'what has variants stays a parent' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'variant_with_variants_is_a_parent';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER variant_stays_a_parent AFTER UPDATE OF is_parent ON catalog_variant FOR EACH ROW
    WHEN (OLD.is_parent AND NOT NEW.is_parent) EXECUTE FUNCTION catalog_parent_gathers_nothing();
"""
UNDO_GATHERS = """
DROP TRIGGER variant_stays_a_parent ON catalog_variant;
DROP TRIGGER variant_under_another_parent ON catalog_variant;
DROP TRIGGER variant_under_a_parent ON catalog_variant;
DROP FUNCTION catalog_parent_gathers_nothing();
DROP FUNCTION catalog_hangs_under_a_parent();
"""

NUMBERS = """
CREATE INDEX interchange_number_code ON catalog_interchangemember (catalog_code(part_number) text_pattern_ops)
    WHERE variant_id IS NULL;
"""
UNDO_NUMBERS = "DROP INDEX interchange_number_code;"


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0010_aces_and_pies_are_planned"),
    ]

    operations = [
        migrations.RunSQL(TWINS, migrations.RunSQL.noop),
        migrations.RunSQL(PARENTS, migrations.RunSQL.noop),
        migrations.RunSQL(GATHERS, UNDO_GATHERS),
        migrations.RunSQL(NUMBERS, UNDO_NUMBERS),
        migrations.AddField(
            model_name="catalogimport",
            name="forgotten_at",
            field=models.DateTimeField(
                help_text="When its rows were given up; it is neither planned again nor undone any more.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="historicalpricelist",
            name="priority",
            field=models.PositiveSmallIntegerField(
                default=0,
                help_text="Among lists of the same kind the higher wins; of the same priority the first by its code.",
            ),
        ),
        migrations.AlterField(
            model_name="pricelist",
            name="priority",
            field=models.PositiveSmallIntegerField(
                default=0,
                help_text="Among lists of the same kind the higher wins; of the same priority the first by its code.",
            ),
        ),
        migrations.AddConstraint(
            model_name="producttype",
            constraint=models.UniqueConstraint(
                django.db.models.functions.text.Lower("code"),
                name="product_type_code_once",
                violation_error_message="There is a type of this code, in other capitals perhaps.",
            ),
        ),
        migrations.AddConstraint(
            model_name="producttype",
            constraint=models.CheckConstraint(
                condition=models.Q(("warranty_per__in", ["", "unit", "orderLine"])),
                name="product_type_warranty_per_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="variant",
            constraint=models.CheckConstraint(
                condition=models.Q(("axes", []), ("is_parent", True), _connector="OR"),
                name="variant_with_axes_is_a_parent",
            ),
        ),
        migrations.AddConstraint(
            model_name="variant",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["active", "discontinued"])), name="variant_status_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="variant",
            constraint=models.CheckConstraint(
                condition=models.Q(("tracking__in", ["none", "batch", "serial"])), name="variant_tracking_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="variant",
            constraint=models.CheckConstraint(
                condition=models.Q(("warranty_per__in", ["", "unit", "orderLine"])), name="variant_warranty_per_known"
            ),
        ),
    ]
