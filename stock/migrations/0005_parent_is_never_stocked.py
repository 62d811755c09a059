"""A product with stock never becomes a parent, and a product with variants is never stocked."""

from django.db import migrations

GUARDS = """
-- Whoever puts the first stock of a product on a shelf and whoever makes it a parent wait for one another
-- at the product's row, and the second of them sees what the first has done.
CREATE OR REPLACE FUNCTION stock_level_place_is_real() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM catalog_variant WHERE id = NEW.variant_id FOR SHARE;
    IF EXISTS (SELECT FROM catalog_variant WHERE id = NEW.variant_id AND is_parent)
        OR EXISTS (SELECT FROM catalog_variant WHERE parent_id = NEW.variant_id)
    THEN
        RAISE EXCEPTION 'a parent is never stocked' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'level_of_a_sku_not_a_parent';
    END IF;
    IF EXISTS (SELECT FROM stock_location WHERE id = NEW.location_id AND kind <> 'bin') THEN
        RAISE EXCEPTION 'a virtual location holds no level' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'level_in_a_bin';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION stock_parent_is_never_stocked() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.is_parent AND EXISTS (SELECT FROM stock_level WHERE variant_id = NEW.id) THEN
        RAISE EXCEPTION 'a product that has stock cannot be a parent' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'parent_is_never_stocked';
    END IF;
    IF NEW.parent_id IS NOT NULL THEN
        PERFORM FROM catalog_variant WHERE id = NEW.parent_id FOR NO KEY UPDATE;
        IF EXISTS (SELECT FROM stock_level WHERE variant_id = NEW.parent_id) THEN
            RAISE EXCEPTION 'a product that has stock cannot be a parent' USING ERRCODE = 'check_violation',
                CONSTRAINT = 'parent_is_never_stocked';
        END IF;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER variant_under_no_stock BEFORE INSERT ON catalog_variant FOR EACH ROW
    WHEN (NEW.is_parent OR NEW.parent_id IS NOT NULL) EXECUTE FUNCTION stock_parent_is_never_stocked();
CREATE TRIGGER variant_moved_under_no_stock BEFORE UPDATE OF is_parent, parent_id ON catalog_variant FOR EACH ROW
    WHEN ((NEW.is_parent AND NOT OLD.is_parent) OR NEW.parent_id IS DISTINCT FROM OLD.parent_id)
    EXECUTE FUNCTION stock_parent_is_never_stocked();
"""
UNDO = """
DROP TRIGGER variant_moved_under_no_stock ON catalog_variant;
DROP TRIGGER variant_under_no_stock ON catalog_variant;
DROP FUNCTION stock_parent_is_never_stocked();
CREATE OR REPLACE FUNCTION stock_level_place_is_real() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM catalog_variant WHERE id = NEW.variant_id AND is_parent) THEN
        RAISE EXCEPTION 'a parent is never stocked' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'level_of_a_sku_not_a_parent';
    END IF;
    IF EXISTS (SELECT FROM stock_location WHERE id = NEW.location_id AND kind <> 'bin') THEN
        RAISE EXCEPTION 'a virtual location holds no level' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'level_in_a_bin';
    END IF;
    RETURN NEW;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("stock", "0004_promises_in_sql")]
    operations = [migrations.RunSQL(GUARDS, UNDO)]
