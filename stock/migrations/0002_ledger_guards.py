"""The ledger is append-only, levels are never deleted, parents are never stocked; and the virtual places."""

from django.db import migrations

GUARDS = """
CREATE TRIGGER movement_is_never_changed BEFORE UPDATE OR DELETE ON stock_movement
    FOR EACH ROW EXECUTE FUNCTION backstock_refuse('the ledger is append-only, book a correction');
CREATE TRIGGER movement_is_never_truncated BEFORE TRUNCATE ON stock_movement
    FOR EACH STATEMENT EXECUTE FUNCTION backstock_refuse('the ledger is append-only, book a correction');
CREATE TRIGGER level_is_never_deleted BEFORE DELETE ON stock_level
    FOR EACH ROW EXECUTE FUNCTION backstock_refuse('movements and allocations refer to it');
CREATE TRIGGER level_is_never_truncated BEFORE TRUNCATE ON stock_level
    FOR EACH STATEMENT EXECUTE FUNCTION backstock_refuse('movements and allocations refer to it');

CREATE FUNCTION stock_level_place_is_real() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE TRIGGER level_place_is_real BEFORE INSERT ON stock_level
    FOR EACH ROW EXECUTE FUNCTION stock_level_place_is_real();
"""
UNDO = """
DROP TRIGGER level_place_is_real ON stock_level;
DROP FUNCTION stock_level_place_is_real();
DROP TRIGGER level_is_never_truncated ON stock_level;
DROP TRIGGER level_is_never_deleted ON stock_level;
DROP TRIGGER movement_is_never_truncated ON stock_movement;
DROP TRIGGER movement_is_never_changed ON stock_movement;
"""


def add_virtual_locations(apps, schema_editor):
    location = apps.get_model("stock", "Location")
    kinds = ["supplier", "customer", "found", "lost", "scrap", "in_transit"]
    location.objects.bulk_create(location(id=-place, code=kind, kind=kind) for place, kind in enumerate(kinds, 1))


class Migration(migrations.Migration):
    dependencies = [("stock", "0001_initial"), ("partners", "0002_guards_and_cache")]
    operations = [
        migrations.RunSQL(GUARDS, UNDO),
        migrations.RunPython(add_virtual_locations, migrations.RunPython.noop),
    ]
