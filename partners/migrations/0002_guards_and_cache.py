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
    # The library's own come before our many models: each of its operations has Django work out anew all that is
    # related to a partner's application, and behind us that would be everything.
    dependencies = [("partners", "0001_initial"), ("oauth2_provider", "0022_refreshtoken_token_family_index")]
    operations = [
        migrations.RunSQL(
            GUARD, "DROP TRIGGER partner_is_never_deleted ON partners_partner; DROP FUNCTION backstock_refuse();"
        ),
        migrations.RunSQL(CACHE, "DROP TABLE cache"),
    ]
