"""Saving a product as a whole no longer locks its key against everybody who refers to it."""

from django.db import migrations

# Before a row-level BEFORE UPDATE trigger PostgreSQL locks the row by the columns the statement names, not by those
# that differ: an UPDATE that names the SKU then locks as if it changed it, and every foreign key to the product waits.
AFTER = """
DROP TRIGGER variant_moved_under_no_stock ON catalog_variant;
CREATE TRIGGER variant_moved_under_no_stock AFTER UPDATE OF is_parent, parent_id ON catalog_variant FOR EACH ROW
    WHEN ((NEW.is_parent AND NOT OLD.is_parent) OR NEW.parent_id IS DISTINCT FROM OLD.parent_id)
    EXECUTE FUNCTION stock_parent_is_never_stocked();
"""
BEFORE = AFTER.replace("AFTER UPDATE", "BEFORE UPDATE")


class Migration(migrations.Migration):
    dependencies = [("stock", "0006_keep_in_fewer_steps"), ("catalog", "0009_found_by_every_number")]
    operations = [migrations.RunSQL(AFTER, BEFORE)]
