"""Partners are never deleted, only suspended; and the cache for sites without Redis."""

from django.db import migrations

GUARD = """
CREATE FUNCTION backstock_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: %', TG_OP, TG_TABLE_NAME, TG_ARGV[0]
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER partner_is_never_deleted BEFORE DELETE ON partners_partner
    FOR EACH ROW EXECUTE FUNCTION backstock_refuse('a partner is suspended, never deleted');
"""
CACHE = """
CREATE TABLE IF NOT EXISTS cache (
    cache_key varchar(255) NOT NULL PRIMARY KEY, value text NOT NULL, expires timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS cache_expires ON cache (expires);
"""


class Migration(migrations.Migration):
    dependencies = [("partners", "0001_initial")]
    operations = [
        migrations.RunSQL(
            GUARD, "DROP TRIGGER partner_is_never_deleted ON partners_partner; DROP FUNCTION backstock_refuse();"
        ),
        migrations.RunSQL(CACHE, "DROP TABLE cache"),
    ]
