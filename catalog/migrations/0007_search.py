"""Products are found by their words and codes: the document, its indexes, and the words there are."""

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
from django.contrib.postgres.operations import CreateExtension, UnaccentExtension
from django.db import migrations, models

# Bodies by RETURN are read once, when made: they mean the same whatever the search path, also while a dump is
# restored. unaccent() is called stable because its rules are a file; the file changes with PostgreSQL's major
# version, after which `manage.py rebuild_search` mends what differs.
FUNCTIONS = """
CREATE TEXT SEARCH CONFIGURATION catalog_words (COPY = pg_catalog.simple);
ALTER TEXT SEARCH CONFIGURATION catalog_words
    ALTER MAPPING FOR word, numword, hword, numhword, hword_part, hword_numpart WITH unaccent, simple;

CREATE FUNCTION catalog_fold(said text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN lower(unaccent('unaccent'::regdictionary, said));
COMMENT ON FUNCTION catalog_fold IS 'Without accents and capitals.';

CREATE FUNCTION catalog_code(said text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN translate(upper(said), $$ -./_+:,;()#*'$$, '');
COMMENT ON FUNCTION catalog_code IS 'A number as people type it: without the dashes, dots and blanks between.';

CREATE FUNCTION catalog_split(said text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN array_remove(regexp_split_to_array(catalog_fold(said), '[^[:alnum:]]+'), '');

CREATE FUNCTION catalog_words(said text) RETURNS tsvector LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN to_tsvector('catalog_words'::regconfig, translate(said, E'/.-_@&<>:+\\\\', '           '));
COMMENT ON FUNCTION catalog_words IS 'Its words; what the parser would take for a path, host, tag or sign parts them.';

CREATE FUNCTION catalog_values(attributes jsonb) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN (SELECT "left"(string_agg(value #>> '{}', ' '), 4000)
              FROM jsonb_path_query(attributes, '$.*[*]') value WHERE jsonb_typeof(value) IN ('string', 'number'));

CREATE FUNCTION catalog_document(sku text, name text, brand text, attributes jsonb) RETURNS tsvector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN setweight(catalog_words(name), 'A')
        || setweight(catalog_words(brand || ' ' || translate(brand, $$ .-'’&/$$, '')), 'B')
        || setweight(coalesce(catalog_words(catalog_values(attributes)), ''::tsvector), 'C')
        || setweight(catalog_words(sku), 'D');
CREATE FUNCTION catalog_by_index(document tsvector) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL RESTRICTED COST 1000
    AS 'BEGIN RETURN true; END';
COMMENT ON FUNCTION catalog_by_index IS 'Always true and dear: beside @@ it has the planner take the index, without workers.';
COMMENT ON FUNCTION catalog_document IS 'What a product is found by, its name before brand, attributes and SKU.';
"""
UNDO_FUNCTIONS = """
DROP FUNCTION catalog_by_index(tsvector);
DROP FUNCTION catalog_document(text, text, text, jsonb);
DROP FUNCTION catalog_values(jsonb);
DROP FUNCTION catalog_words(text);
DROP FUNCTION catalog_split(text);
DROP FUNCTION catalog_code(text);
DROP FUNCTION catalog_fold(text);
DROP TEXT SEARCH CONFIGURATION catalog_words;
"""

# The column is the database's alone: no query of Django's carries it. It cannot be stale. Altering the type of a
# column it is made of means dropping it first and adding it again.
DOCUMENT = """
ALTER TABLE catalog_variant ADD COLUMN search tsvector
    GENERATED ALWAYS AS (catalog_document(sku, name, brand, attributes)) STORED;
CREATE INDEX variant_search ON catalog_variant USING gin (search) WITH (fastupdate = off);
CREATE INDEX variant_name_start ON catalog_variant (catalog_fold(name) text_pattern_ops);
CREATE INDEX variant_code ON catalog_variant (catalog_code(sku) text_pattern_ops);
CREATE INDEX variant_barcode ON catalog_variant (ltrim(gtin14, '0') text_pattern_ops) WHERE gtin14 <> '';
CREATE INDEX pack_barcode ON catalog_pack (ltrim(gtin14, '0') text_pattern_ops) WHERE gtin14 <> '';
CREATE INDEX supplier_item_code ON catalog_supplieritem (catalog_code(supplier_code) text_pattern_ops)
    WHERE supplier_code <> '';
"""
UNDO_DOCUMENT = """
DROP INDEX supplier_item_code;
DROP INDEX pack_barcode;
DROP INDEX variant_barcode;
DROP INDEX variant_code;
DROP INDEX variant_name_start;
ALTER TABLE catalog_variant DROP COLUMN search;
"""

LEARNING = """
CREATE FUNCTION catalog_terms(document tsvector) RETURNS SETOF text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT word FROM unnest(tsvector_to_array(ts_filter(document, '{a,b,c}'))) word
     WHERE length(word) BETWEEN 3 AND 40 AND word !~ '^[0-9]+$'
$$;
COMMENT ON FUNCTION catalog_terms IS 'The words of a document that may be typed wrong: no numbers, nothing of the SKU.';

CREATE FUNCTION catalog_learn(words text[]) RETURNS void LANGUAGE sql AS $$
    INSERT INTO catalog_searchword (word)
    SELECT word FROM unnest(words) AS learnt (word)
     WHERE NOT EXISTS (SELECT FROM catalog_searchword known WHERE known.word = learnt.word)
$$;
CREATE FUNCTION catalog_variants_came() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM catalog_learn(ARRAY(SELECT DISTINCT catalog_terms(search) FROM new_rows));
    RETURN NULL;
END $$;
CREATE FUNCTION catalog_variants_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM catalog_learn(ARRAY(SELECT DISTINCT catalog_terms(search)
                                  FROM (SELECT search FROM new_rows EXCEPT SELECT search FROM old_rows) changed));
    RETURN NULL;
END $$;
CREATE TRIGGER variants_came AFTER INSERT ON catalog_variant
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION catalog_variants_came();
CREATE TRIGGER variants_changed AFTER UPDATE ON catalog_variant
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_variants_changed();

CREATE FUNCTION catalog_vehicle_words(make text, model text) RETURNS text[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN catalog_split(make || ' ' || model) || lower(catalog_code(catalog_fold(model)));
COMMENT ON FUNCTION catalog_vehicle_words IS 'What people call it: "ford", "f", "150" and "f150".';

CREATE FUNCTION catalog_fitments_came() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO catalog_searchvehicle (make, model, words)
    SELECT make, model, catalog_vehicle_words(make, model)
      FROM (SELECT DISTINCT make, model FROM new_rows) used
     WHERE NOT EXISTS (SELECT FROM catalog_searchvehicle known
                        WHERE known.make = used.make AND known.model = used.model);
    RETURN NULL;
END $$;
CREATE TRIGGER fitments_came AFTER INSERT ON catalog_fitment
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION catalog_fitments_came();
CREATE TRIGGER fitments_changed AFTER UPDATE ON catalog_fitment
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION catalog_fitments_came();

SELECT catalog_learn(ARRAY(SELECT DISTINCT catalog_terms(search) FROM catalog_variant));
INSERT INTO catalog_searchvehicle (make, model, words)
SELECT make, model, catalog_vehicle_words(make, model)
  FROM (SELECT DISTINCT make, model FROM catalog_fitment) used;
"""
UNDO_LEARNING = """
DROP TRIGGER fitments_changed ON catalog_fitment;
DROP TRIGGER fitments_came ON catalog_fitment;
DROP FUNCTION catalog_fitments_came();
DROP FUNCTION catalog_vehicle_words(text, text);
DROP TRIGGER variants_changed ON catalog_variant;
DROP TRIGGER variants_came ON catalog_variant;
DROP FUNCTION catalog_variants_changed();
DROP FUNCTION catalog_variants_came();
DROP FUNCTION catalog_learn(text[]);
DROP FUNCTION catalog_terms(tsvector);
"""


class Migration(migrations.Migration):
    dependencies = [("catalog", "0006_fitment_by_vehicle")]
    operations = [
        UnaccentExtension(),
        CreateExtension("fuzzystrmatch"),
        migrations.CreateModel(
            name="SearchWord",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("word", models.CharField(max_length=40)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["word"], name="search_word", opclasses=["text_pattern_ops"]),
                    django.contrib.postgres.indexes.GinIndex(
                        fields=["word"], name="search_word_trigrams", opclasses=["gin_trgm_ops"]
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SearchVehicle",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("make", models.CharField(max_length=60)),
                ("model", models.CharField(max_length=100)),
                (
                    "words",
                    django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["make", "model"], name="search_vehicle"),
                    django.contrib.postgres.indexes.GinIndex(fields=["words"], name="search_vehicle_words"),
                ],
            },
        ),
        migrations.RunSQL(FUNCTIONS, UNDO_FUNCTIONS),
        migrations.RunSQL(DOCUMENT, UNDO_DOCUMENT),
        migrations.RunSQL(LEARNING, UNDO_LEARNING),
        migrations.RemoveIndex(model_name="variant", name="variant_name_trigrams"),
    ]
