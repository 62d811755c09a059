"""Products are found by every identifier there is, and by vehicles through their keys, aliases and near spellings."""

import catalog.models.keys
import django.db.models.functions.text
from django.db import migrations, models

# One place for all numbers, so two indexes for three: what is typed as a number, and what is scanned.
NUMBERS = """
CREATE INDEX identifier_code ON catalog_identifier (catalog_code(value) text_pattern_ops)
    WHERE scheme NOT IN ('gtin', 'upc', 'ean');
CREATE INDEX identifier_barcode ON catalog_identifier (ltrim(plain, '0') text_pattern_ops)
    WHERE scheme IN ('gtin', 'upc', 'ean');
DROP INDEX supplier_item_code;
DROP INDEX pack_barcode;
DROP INDEX variant_barcode;
"""
UNDO_NUMBERS = """
CREATE INDEX variant_barcode ON catalog_variant (ltrim(gtin14, '0') text_pattern_ops) WHERE gtin14 <> '';
CREATE INDEX pack_barcode ON catalog_pack (ltrim(gtin14, '0') text_pattern_ops) WHERE gtin14 <> '';
CREATE INDEX supplier_item_code ON catalog_supplieritem (catalog_code(supplier_code) text_pattern_ops)
    WHERE supplier_code <> '';
DROP INDEX identifier_barcode;
DROP INDEX identifier_code;
"""

VEHICLES = """
CREATE INDEX vehicle_alias_words ON catalog_vehiclealias USING gin (catalog_vehicle_words(make, model))
    WHERE status = 'confirmed';

CREATE FUNCTION catalog_vehicle_terms(words text[]) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN ARRAY(SELECT DISTINCT word FROM unnest(words) word WHERE length(word) BETWEEN 3 AND 40 AND word !~ '^[0-9]+$');
COMMENT ON FUNCTION catalog_vehicle_terms IS 'The words of a vehicle that may be typed wrong.';

CREATE OR REPLACE FUNCTION catalog_fitments_came() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    learnt text[];
BEGIN
    WITH new_vehicles AS (
        INSERT INTO catalog_searchvehicle (make, model, words)
        SELECT make, model, catalog_vehicle_words(make, model)
          FROM (SELECT DISTINCT make, model FROM new_rows WHERE make <> '') used
         WHERE NOT EXISTS (SELECT FROM catalog_searchvehicle known
                            WHERE known.make = used.make AND known.model = used.model)
        RETURNING words)
    SELECT array_agg(DISTINCT word) INTO learnt FROM new_vehicles, unnest(catalog_vehicle_terms(words)) word;
    IF learnt IS NOT NULL THEN
        PERFORM catalog_learn(learnt);
    END IF;
    RETURN NULL;
END $$;

DELETE FROM catalog_searchvehicle WHERE make = '';
SELECT catalog_learn(ARRAY(SELECT DISTINCT word FROM catalog_searchvehicle, unnest(catalog_vehicle_terms(words)) word));
"""
UNDO_VEHICLES = """
CREATE OR REPLACE FUNCTION catalog_fitments_came() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO catalog_searchvehicle (make, model, words)
    SELECT make, model, catalog_vehicle_words(make, model)
      FROM (SELECT DISTINCT make, model FROM new_rows) used
     WHERE NOT EXISTS (SELECT FROM catalog_searchvehicle known
                        WHERE known.make = used.make AND known.model = used.model);
    RETURN NULL;
END $$;
DROP FUNCTION catalog_vehicle_terms(text[]);
DROP INDEX vehicle_alias_words;
"""


class Migration(migrations.Migration):
    dependencies = [("catalog", "0008_imports_are_planned")]
    operations = [
        migrations.RunSQL(NUMBERS, UNDO_NUMBERS),
        migrations.AddField(
            model_name="searchvehicle",
            name="make_key",
            field=models.GeneratedField(
                db_persist=True, expression=catalog.models.keys.PlainKey("make"), output_field=models.TextField()
            ),
        ),
        migrations.AddField(
            model_name="searchvehicle",
            name="model_key",
            field=models.GeneratedField(
                db_persist=True, expression=catalog.models.keys.PlainKey("model"), output_field=models.TextField()
            ),
        ),
        migrations.RunSQL(VEHICLES, UNDO_VEHICLES),
        migrations.RemoveIndex(model_name="variant", name="variant_brand"),
        migrations.AddIndex(
            model_name="variant",
            index=models.Index(django.db.models.functions.text.Upper("brand"), models.F("sku"), name="variant_brand"),
        ),
    ]
