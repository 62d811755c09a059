"""Every number a product is known by in one table, packs that nest, what a supplier's offer says, and prices."""

import django.contrib.postgres.constraints
import django.contrib.postgres.fields.ranges
import django.db.models.constraints
import django.db.models.deletion
import django.db.models.expressions
import partners.actors
import simple_history.models
from django.conf import settings
from django.db import migrations, models

from partners.together import together


# GS1 General Specifications 7.9: weights 3 and 1, the sum a multiple of ten.
SUM = " + ".join(f"{3 if place % 2 else 1} * substr(plain, {place}, 1)::int" for place in range(1, 15))

GUARDS = f"""
UPDATE catalog_pack SET level = 'inner' WHERE name ILIKE '%inner%';
UPDATE catalog_pack SET level = 'pallet' WHERE name ILIKE '%pallet%';

ALTER TABLE catalog_pack
    ADD CONSTRAINT pack_of_its_variant UNIQUE (id, variant_id),
    ADD CONSTRAINT pack_of_its_variant_and_size UNIQUE (id, variant_id, quantity);
-- What a pack is filled with is of the same product, and of the size the pack was reckoned with.
ALTER TABLE catalog_pack ADD CONSTRAINT pack_filled_with_its_own_product
    FOREIGN KEY (filled_with_id, variant_id, filled_quantity) REFERENCES catalog_pack (id, variant_id, quantity)
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE catalog_identifier
    ADD CONSTRAINT identifier_on_a_pack_of_its_product
        FOREIGN KEY (pack_id, variant_id) REFERENCES catalog_pack (id, variant_id)
        ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    ADD CONSTRAINT identifier_gtin_is_sound CHECK (
        scheme NOT IN ('gtin', 'upc', 'ean')
        OR CASE WHEN plain ~ '^[0-9]{{14}}$' AND plain <> repeat('0', 14) THEN ({SUM}) % 10 = 0 ELSE false END
    );
ALTER TABLE catalog_supplieritem ADD CONSTRAINT supplier_item_comes_in_a_pack_of_its_product
    FOREIGN KEY (pack_id, variant_id) REFERENCES catalog_pack (id, variant_id)
    ON DELETE SET NULL (pack_id) DEFERRABLE INITIALLY DEFERRED;

-- The same as catalog.models.identifier.plain_code.
CREATE FUNCTION catalog_plain_code(code text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT translate(coalesce(nullif(regexp_replace(code, '[ \\t._/-]+', '', 'g'), ''), code),
                     'abcdefghijklmnopqrstuvwxyz', 'ABCDEFGHIJKLMNOPQRSTUVWXYZ')
$$;

-- A product's and a pack's GTIN and a supplier's number are typed into columns of their own; whoever writes those,
-- finds them here. Each statement costs one more, however many rows it wrote.
CREATE FUNCTION catalog_variant_identified() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO catalog_identifier (variant_id, scheme, value, plain, is_main)
        SELECT id, 'gtin', coalesce(nullif(gtin, ''), gtin14), gtin14, true FROM now_there WHERE gtin14 <> '';
        RETURN NULL;
    END IF;
    -- EXCEPT, for a join of the two would be planned for one row and run for a hundred thousand.
    DELETE FROM catalog_identifier AS kept
     USING (SELECT id, gtin, gtin14 FROM now_there EXCEPT SELECT id, gtin, gtin14 FROM was_there) changed
     WHERE kept.variant_id = changed.id AND kept.pack_id IS NULL AND kept.scheme IN ('gtin', 'upc', 'ean')
       AND (kept.is_main OR (kept.plain = changed.gtin14 AND kept.partner_id IS NULL));
    INSERT INTO catalog_identifier (variant_id, scheme, value, plain, is_main)
    SELECT id, 'gtin', coalesce(nullif(gtin, ''), gtin14), gtin14, true
      FROM (SELECT id, gtin, gtin14 FROM now_there EXCEPT SELECT id, gtin, gtin14 FROM was_there) changed
     WHERE gtin14 <> '';
    RETURN NULL;
END $$;
CREATE TRIGGER variant_identified AFTER INSERT ON catalog_variant REFERENCING NEW TABLE AS now_there
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_variant_identified();
CREATE TRIGGER variant_identified_anew AFTER UPDATE ON catalog_variant
    REFERENCING OLD TABLE AS was_there NEW TABLE AS now_there
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_variant_identified();

CREATE FUNCTION catalog_pack_identified() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO catalog_identifier (variant_id, pack_id, scheme, value, plain, is_main)
        SELECT variant_id, id, 'gtin', gtin14, gtin14, true FROM now_there WHERE gtin14 <> '';
        RETURN NULL;
    END IF;
    DELETE FROM catalog_identifier AS kept
     USING (SELECT id, variant_id, gtin14 FROM now_there EXCEPT SELECT id, variant_id, gtin14 FROM was_there) changed
     WHERE kept.variant_id = changed.variant_id AND kept.pack_id = changed.id
       AND kept.scheme IN ('gtin', 'upc', 'ean')
       AND (kept.is_main OR (kept.plain = changed.gtin14 AND kept.partner_id IS NULL));
    INSERT INTO catalog_identifier (variant_id, pack_id, scheme, value, plain, is_main)
    SELECT variant_id, id, 'gtin', gtin14, gtin14, true
      FROM (SELECT id, variant_id, gtin14 FROM now_there EXCEPT SELECT id, variant_id, gtin14 FROM was_there) changed
     WHERE gtin14 <> '';
    RETURN NULL;
END $$;
CREATE TRIGGER pack_identified AFTER INSERT ON catalog_pack REFERENCING NEW TABLE AS now_there
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_pack_identified();
CREATE TRIGGER pack_identified_anew AFTER UPDATE ON catalog_pack
    REFERENCING OLD TABLE AS was_there NEW TABLE AS now_there
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_pack_identified();

CREATE FUNCTION catalog_supplier_item_identified() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM catalog_identifier AS kept USING was_there
         WHERE kept.variant_id = was_there.variant_id AND kept.partner_id = was_there.supplier_id
           AND kept.scheme = 'supplier' AND kept.is_main;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        DELETE FROM catalog_identifier AS kept USING now_there
         WHERE kept.variant_id = now_there.variant_id AND kept.partner_id = now_there.supplier_id
           AND kept.scheme = 'supplier' AND kept.value = now_there.supplier_code;
        INSERT INTO catalog_identifier (variant_id, partner_id, pack_id, scheme, value, plain, is_main)
        SELECT variant_id, supplier_id, pack_id, 'supplier', supplier_code, catalog_plain_code(supplier_code), true
          FROM now_there WHERE supplier_code <> '';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER supplier_item_identified AFTER INSERT ON catalog_supplieritem REFERENCING NEW TABLE AS now_there
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_supplier_item_identified();
CREATE TRIGGER supplier_item_identified_anew AFTER UPDATE ON catalog_supplieritem
    REFERENCING OLD TABLE AS was_there NEW TABLE AS now_there
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_supplier_item_identified();
CREATE TRIGGER supplier_item_forgotten AFTER DELETE ON catalog_supplieritem REFERENCING OLD TABLE AS was_there
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_supplier_item_identified();

INSERT INTO catalog_identifier (variant_id, scheme, value, plain, is_main)
SELECT id, 'gtin', coalesce(nullif(gtin, ''), gtin14), gtin14, true FROM catalog_variant WHERE gtin14 <> '';
INSERT INTO catalog_identifier (variant_id, pack_id, scheme, value, plain, is_main)
SELECT variant_id, id, 'gtin', gtin14, gtin14, true FROM catalog_pack WHERE gtin14 <> '';
INSERT INTO catalog_identifier (variant_id, partner_id, scheme, value, plain, is_main)
SELECT variant_id, supplier_id, 'supplier', supplier_code, catalog_plain_code(supplier_code), true
  FROM catalog_supplieritem WHERE supplier_code <> '';
-- Looked at now: Django makes the table's indexes at the end, and none is made while a check is pending.
SET CONSTRAINTS ALL IMMEDIATE;
"""
NO_GUARDS = """
DROP TRIGGER supplier_item_forgotten ON catalog_supplieritem;
DROP TRIGGER supplier_item_identified_anew ON catalog_supplieritem;
DROP TRIGGER supplier_item_identified ON catalog_supplieritem;
DROP TRIGGER pack_identified_anew ON catalog_pack;
DROP TRIGGER pack_identified ON catalog_pack;
DROP TRIGGER variant_identified_anew ON catalog_variant;
DROP TRIGGER variant_identified ON catalog_variant;
DROP FUNCTION catalog_supplier_item_identified();
DROP FUNCTION catalog_pack_identified();
DROP FUNCTION catalog_variant_identified();
DROP FUNCTION catalog_plain_code(text);
ALTER TABLE catalog_supplieritem DROP CONSTRAINT supplier_item_comes_in_a_pack_of_its_product;
ALTER TABLE catalog_identifier DROP CONSTRAINT identifier_gtin_is_sound,
    DROP CONSTRAINT identifier_on_a_pack_of_its_product;
ALTER TABLE catalog_pack DROP CONSTRAINT pack_filled_with_its_own_product;
ALTER TABLE catalog_pack DROP CONSTRAINT pack_of_its_variant_and_size, DROP CONSTRAINT pack_of_its_variant;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('catalog', '0004_product_type_schemas'),
        ('partners', '0003_outbox_indexed_for_readers'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = together([
        migrations.CreateModel(
            name='HistoricalPrice',
            fields=[
                ('id', models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name='ID')),
                ('actor', models.CharField(default=partners.actors.current_label, editable=False, max_length=160)),
                ('request_id', models.CharField(blank=True, default=partners.actors.current_request_id, editable=False, max_length=64)),
                ('from_quantity', models.PositiveBigIntegerField(default=1, help_text='The least quantity it is for, in stock units.')),
                ('amount', models.DecimalField(decimal_places=4, help_text='For one stock unit.', max_digits=14)),
                ('valid', django.contrib.postgres.fields.ranges.DateTimeRangeField(help_text='From, and until (not included) or without end.')),
                ('history_id', models.AutoField(primary_key=True, serialize=False)),
                ('history_date', models.DateTimeField(db_index=True)),
                ('history_change_reason', models.TextField(null=True)),
                ('history_type', models.CharField(choices=[('+', 'Created'), ('~', 'Changed'), ('-', 'Deleted')], max_length=1)),
            ],
            options={
                'verbose_name': 'historical price',
                'verbose_name_plural': 'historical prices',
                'ordering': ('-history_date', '-history_id'),
                'get_latest_by': ('history_date', 'history_id'),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name='HistoricalPriceList',
            fields=[
                ('id', models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name='ID')),
                ('actor', models.CharField(default=partners.actors.current_label, editable=False, max_length=160)),
                ('request_id', models.CharField(blank=True, default=partners.actors.current_request_id, editable=False, max_length=64)),
                ('code', models.CharField(db_index=True, help_text='How it is called everywhere; never changes.', max_length=40)),
                ('name', models.CharField(blank=True, max_length=200)),
                ('currency', models.CharField(help_text='ISO 4217: EUR, USD …', max_length=3)),
                ('channel', models.CharField(blank=True, help_text='For this sales channel alone; it beats those for everybody.', max_length=40)),
                ('priority', models.PositiveSmallIntegerField(default=0, help_text='Among lists of the same kind the higher wins.')),
                ('is_active', models.BooleanField(default=True, verbose_name='active')),
                ('history_id', models.AutoField(primary_key=True, serialize=False)),
                ('history_date', models.DateTimeField(db_index=True)),
                ('history_change_reason', models.TextField(null=True)),
                ('history_type', models.CharField(choices=[('+', 'Created'), ('~', 'Changed'), ('-', 'Deleted')], max_length=1)),
            ],
            options={
                'verbose_name': 'historical price list',
                'verbose_name_plural': 'historical price lists',
                'ordering': ('-history_date', '-history_id'),
                'get_latest_by': ('history_date', 'history_id'),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name='Identifier',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('scheme', models.CharField(choices=[('gtin', 'GTIN'), ('upc', 'UPC'), ('ean', 'EAN'), ('asin', 'ASIN'), ('supplier', "Supplier's number"), ('partner', "Partner's number"), ('brandPart', "Brand's part number"), ('oe', "Vehicle maker's number")], max_length=9)),
                ('value', models.CharField(help_text='As received.', max_length=80)),
                ('plain', models.CharField(editable=False, help_text='For look-up: 14 digits, or without separators.', max_length=80)),
                ('is_main', models.BooleanField(default=False, editable=False)),
            ],
            options={
                'ordering': ['variant_id', 'id'],
            },
        ),
        migrations.CreateModel(
            name='Price',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('from_quantity', models.PositiveBigIntegerField(default=1, help_text='The least quantity it is for, in stock units.')),
                ('amount', models.DecimalField(decimal_places=4, help_text='For one stock unit.', max_digits=14)),
                ('valid', django.contrib.postgres.fields.ranges.DateTimeRangeField(help_text='From, and until (not included) or without end.')),
            ],
            options={
                'ordering': ['variant_id', 'price_list_id', 'from_quantity', 'id'],
            },
        ),
        migrations.CreateModel(
            name='PriceList',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('code', models.CharField(help_text='How it is called everywhere; never changes.', max_length=40, unique=True)),
                ('name', models.CharField(blank=True, max_length=200)),
                ('currency', models.CharField(help_text='ISO 4217: EUR, USD …', max_length=3)),
                ('channel', models.CharField(blank=True, help_text='For this sales channel alone; it beats those for everybody.', max_length=40)),
                ('priority', models.PositiveSmallIntegerField(default=0, help_text='Among lists of the same kind the higher wins.')),
                ('is_active', models.BooleanField(default=True, verbose_name='active')),
            ],
            options={
                'ordering': ['code'],
            },
        ),
        migrations.AddField(
            model_name='pack',
            name='filled_quantity',
            field=models.PositiveIntegerField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='pack',
            name='filled_with',
            field=models.ForeignKey(blank=True, db_constraint=False, help_text='The smaller pack it holds a whole number of.', null=True, on_delete=django.db.models.deletion.RESTRICT, related_name='fills', to='catalog.pack'),
        ),
        migrations.AddField(
            model_name='pack',
            name='level',
            field=models.CharField(choices=[('inner', 'Inner pack'), ('case', 'Case'), ('pallet', 'Pallet')], db_default='case', default='case', max_length=6),
        ),
        migrations.AddField(
            model_name='supplieritem',
            name='cost',
            field=models.DecimalField(blank=True, decimal_places=4, help_text='What one stock unit costs us.', max_digits=14, null=True),
        ),
        migrations.AddField(
            model_name='supplieritem',
            name='currency',
            field=models.CharField(blank=True, db_default='', default='', help_text='ISO 4217, of the cost.', max_length=3),
        ),
        migrations.AddField(
            model_name='supplieritem',
            name='last_confirmed_on',
            field=models.DateField(blank=True, help_text='When the supplier last said so.', null=True),
        ),
        migrations.AddField(
            model_name='supplieritem',
            name='lead_time_deviation_days',
            field=models.DecimalField(blank=True, decimal_places=2, help_text='Standard deviation of the lead time.', max_digits=7, null=True),
        ),
        migrations.AddField(
            model_name='supplieritem',
            name='minimum_quantity',
            field=models.PositiveIntegerField(blank=True, help_text='The least one can order, in stock units.', null=True),
        ),
        migrations.AddField(
            model_name='supplieritem',
            name='order_multiple',
            field=models.PositiveIntegerField(blank=True, help_text='Orders are a multiple of so many stock units.', null=True),
        ),
        migrations.AddField(
            model_name='supplieritem',
            name='pack',
            field=models.ForeignKey(blank=True, db_constraint=False, help_text='The pack it comes in; none: single units.', null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='supplier_items', to='catalog.pack'),
        ),
        migrations.AlterField(
            model_name='supplieritem',
            name='lead_time_days',
            field=models.DecimalField(blank=True, decimal_places=2, help_text='From order to receipt, on average.', max_digits=7, null=True),
        ),
        migrations.AddConstraint(
            model_name='pack',
            constraint=models.CheckConstraint(condition=models.Q(('level__in', ['inner', 'case', 'pallet'])), name='pack_level_known'),
        ),
        migrations.AddConstraint(
            model_name='pack',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('filled_quantity', None), ('filled_with', None)), models.Q(('filled_quantity__gte', 2), ('filled_quantity__isnull', False), ('filled_with__isnull', False), ('quantity__gt', models.F('filled_quantity')), ('quantity', django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(models.F('quantity'), '/', models.F('filled_quantity')), '*', models.F('filled_quantity')))), _connector='OR'), name='pack_is_filled_evenly'),
        ),
        migrations.AddConstraint(
            model_name='supplieritem',
            constraint=models.CheckConstraint(condition=models.Q(('minimum_quantity__isnull', True), ('minimum_quantity__gte', 1), _connector='OR'), name='supplier_item_minimum_positive'),
        ),
        migrations.AddConstraint(
            model_name='supplieritem',
            constraint=models.CheckConstraint(condition=models.Q(('order_multiple__isnull', True), ('order_multiple__gte', 1), _connector='OR'), name='supplier_item_multiple_positive'),
        ),
        migrations.AddConstraint(
            model_name='supplieritem',
            constraint=models.CheckConstraint(condition=models.Q(('lead_time_deviation_days__isnull', True), models.Q(('lead_time_days__isnull', False), ('lead_time_deviation_days__gte', 0)), _connector='OR'), name='supplier_item_deviation_of_a_lead_time'),
        ),
        migrations.AddConstraint(
            model_name='supplieritem',
            constraint=models.CheckConstraint(condition=models.Q(('lead_time_days__isnull', True), ('lead_time_days__gte', 0), _connector='OR'), name='supplier_item_lead_time_not_negative'),
        ),
        migrations.AddConstraint(
            model_name='supplieritem',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('cost__isnull', True), ('currency', '')), models.Q(('cost__gte', 0), ('cost__isnull', False), ('currency__regex', '^[A-Z]{3}$')), _connector='OR'), name='supplier_item_cost_has_a_currency'),
        ),
        migrations.AddField(
            model_name='historicalprice',
            name='history_user',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='historicalprice',
            name='variant',
            field=models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='catalog.variant'),
        ),
        migrations.AddField(
            model_name='historicalpricelist',
            name='history_user',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='historicalpricelist',
            name='partner',
            field=models.ForeignKey(blank=True, db_constraint=False, help_text='For this partner alone; it beats those of a channel and those for everybody.', null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='partners.partner'),
        ),
        migrations.AddField(
            model_name='identifier',
            name='pack',
            field=models.ForeignKey(blank=True, db_constraint=False, help_text='The pack it stands on; none: the single unit.', null=True, on_delete=django.db.models.deletion.CASCADE, related_name='identifiers', to='catalog.pack'),
        ),
        migrations.AddField(
            model_name='identifier',
            name='partner',
            field=models.ForeignKey(blank=True, help_text='Whose own number it is.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='identifiers', to='partners.partner'),
        ),
        migrations.AddField(
            model_name='identifier',
            name='variant',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='identifiers', to='catalog.variant'),
        ),
        migrations.AddField(
            model_name='price',
            name='variant',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='prices', to='catalog.variant'),
        ),
        migrations.AddField(
            model_name='pricelist',
            name='partner',
            field=models.ForeignKey(blank=True, help_text='For this partner alone; it beats those of a channel and those for everybody.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='price_lists', to='partners.partner'),
        ),
        migrations.AddField(
            model_name='price',
            name='price_list',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='prices', to='catalog.pricelist'),
        ),
        migrations.AddField(
            model_name='historicalprice',
            name='price_list',
            field=models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='catalog.pricelist'),
        ),
        migrations.AddIndex(
            model_name='identifier',
            index=models.Index(fields=['plain'], name='identifier_by_plain'),
        ),
        migrations.AddConstraint(
            model_name='identifier',
            constraint=models.UniqueConstraint(fields=('variant', 'scheme', 'plain', 'partner', 'pack'), name='identifier_said_once', nulls_distinct=False),
        ),
        migrations.AddConstraint(
            model_name='identifier',
            constraint=models.UniqueConstraint(condition=models.Q(('scheme__in', ('gtin', 'upc', 'ean')), models.Q(('plain__regex', '^(.(02|04|2)|000000[02])'), _negated=True)), fields=('plain',), name='identifier_gtin_unique'),
        ),
        migrations.AddConstraint(
            model_name='identifier',
            constraint=models.UniqueConstraint(condition=models.Q(('plain__regex', '^(.(02|04|2)|000000[02])'), ('scheme__in', ('gtin', 'upc', 'ean'))), fields=('plain', 'partner'), name='identifier_restricted_gtin_unique', nulls_distinct=False),
        ),
        migrations.AddConstraint(
            model_name='identifier',
            constraint=models.UniqueConstraint(condition=models.Q(('scheme__in', ('supplier', 'partner'))), fields=('partner', 'value'), name='identifier_partners_code_unique'),
        ),
        migrations.AddConstraint(
            model_name='identifier',
            constraint=models.UniqueConstraint(condition=models.Q(('scheme', 'asin')), fields=('plain',), name='identifier_asin_unique'),
        ),
        migrations.AddConstraint(
            model_name='identifier',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('partner__isnull', False), ('scheme__in', ('supplier', 'partner'))), models.Q(('plain__regex', '^(.(02|04|2)|000000[02])'), ('scheme__in', ('gtin', 'upc', 'ean'))), models.Q(models.Q(('scheme__in', ('supplier', 'partner')), _negated=True), ('partner__isnull', True)), _connector='OR'), name='identifier_is_somebodys_or_everybodys'),
        ),
        migrations.AddConstraint(
            model_name='identifier',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('value', ''), _negated=True), models.Q(('plain', ''), _negated=True)), name='identifier_is_not_empty'),
        ),
        migrations.AddConstraint(
            model_name='identifier',
            constraint=models.CheckConstraint(condition=models.Q(('scheme__in', ['gtin', 'upc', 'ean', 'asin', 'supplier', 'partner', 'brandPart', 'oe'])), name='identifier_scheme_known'),
        ),
        migrations.AddConstraint(
            model_name='pricelist',
            constraint=models.CheckConstraint(condition=models.Q(('code__regex', '^[A-Za-z0-9][A-Za-z0-9._-]*$')), name='price_list_code_readable'),
        ),
        migrations.AddConstraint(
            model_name='pricelist',
            constraint=models.CheckConstraint(condition=models.Q(('currency__regex', '^[A-Z]{3}$')), name='price_list_currency_is_three_letters'),
        ),
        migrations.AddConstraint(
            model_name='pricelist',
            constraint=models.CheckConstraint(condition=models.Q(('partner__isnull', True), ('channel', ''), _connector='OR'), name='price_list_for_a_partner_or_a_channel'),
        ),
        migrations.AddIndex(
            model_name='price',
            index=models.Index(fields=['variant', 'price_list'], name='price_by_variant'),
        ),
        migrations.AddConstraint(
            model_name='price',
            constraint=models.CheckConstraint(condition=models.Q(('from_quantity__gte', 1)), name='price_from_one_unit_on'),
        ),
        migrations.AddConstraint(
            model_name='price',
            constraint=models.CheckConstraint(condition=models.Q(('amount__gte', 0)), name='price_not_negative'),
        ),
        migrations.AddConstraint(
            model_name='price',
            constraint=models.CheckConstraint(condition=models.Q(('valid__isempty', False), ('valid__lower_inc', True), ('valid__lower_inf', False), ('valid__upper_inc', False)), name='price_valid_for_some_time'),
        ),
        migrations.AddConstraint(
            model_name='price',
            constraint=django.contrib.postgres.constraints.ExclusionConstraint(deferrable=django.db.models.constraints.Deferrable['IMMEDIATE'], expressions=[('price_list', '='), ('variant', '='), ('from_quantity', '='), ('valid', '&&')], name='price_never_two_at_once'),
        ),
        migrations.RunSQL(GUARDS, NO_GUARDS),
    ])
