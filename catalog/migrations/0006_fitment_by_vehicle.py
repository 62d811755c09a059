"""Fitments by vehicle, the vehicles there are, what is equal to what, and no part that succeeds itself."""

import catalog.models.fitment
import catalog.models.keys
import django.db.models.deletion
from django.db import migrations, models

from partners.together import together

KEYS = r"""
-- Compatibility forms and accents (NFKD), case, spaces and punctuation do not count. At most 100 characters, so
-- that an index can hold any.
CREATE FUNCTION catalog_plain_key(words text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN left(lower(regexp_replace(
    normalize(words, NFKD), '[\s!-/:-@\[-`{-~\u00a0\u0300-\u036f\u2010-\u2027]+', '', 'g')), 100);

CREATE FUNCTION catalog_fitment_identity(submodel text, engine text, place text, base_vehicle_id text,
    part_type_id text, brand_aaia_id text, source text, aces_ids jsonb, qualifiers jsonb)
RETURNS uuid LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN md5(catalog_plain_key(submodel) || '|' || catalog_plain_key(engine) || '|' || catalog_plain_key(place) || '|'
    || base_vehicle_id || '|' || part_type_id || '|' || brand_aaia_id || '|' || source || '|' || aces_ids::text
    || qualifiers::text)::uuid;
"""
UNDO_KEYS = """
DROP FUNCTION catalog_fitment_identity(text, text, text, text, text, text, text, jsonb, jsonb);
DROP FUNCTION catalog_plain_key(text);
"""

# Two spellings of one vehicle are one fitment now; the one said first stays.
SAID_TWICE = """
DELETE FROM catalog_fitment later USING catalog_fitment first
 WHERE first.variant_id = later.variant_id AND first.make_key = later.make_key AND first.model_key = later.model_key
   AND first.year_from = later.year_from AND first.year_to = later.year_to AND first.identity = later.identity
   AND first.id < later.id
"""
# What the table could not tell apart before, or could not hold.
UNSAID = """
DELETE FROM catalog_fitment WHERE make = '';
DELETE FROM catalog_fitment later USING catalog_fitment first
 WHERE first.variant_id = later.variant_id AND first.make = later.make AND first.model = later.model
   AND first.year_from = later.year_from AND first.year_to = later.year_to AND first.engine = later.engine
   AND first."position" = later."position" AND first.id < later.id;
"""

LISTED = """
ALTER TABLE catalog_fitment ADD CONSTRAINT fitment_qualifiers_are_listed CHECK (
    jsonb_typeof(qualifiers) = 'array' AND jsonb_typeof(aces_ids) = 'object'
    AND NOT jsonb_path_exists(qualifiers, 'strict $[*] ? (@.type() <> "object")', '{}', true));
"""
UNDO_LISTED = "ALTER TABLE catalog_fitment DROP CONSTRAINT fitment_qualifiers_are_listed;"

NO_CYCLE = """
-- Who says that a part is superseded waits for whoever else does: only then has each seen the other's links.
CREATE FUNCTION catalog_supersession_has_no_cycle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('catalog.equivalents'));
    IF EXISTS (
        WITH RECURSIVE successor (id) AS (
            SELECT NEW.other_id
            UNION
            SELECT link.other_id FROM successor JOIN catalog_equivalent link
                ON link.variant_id = successor.id AND link.relation = 'superseded'
        )
        SELECT FROM successor WHERE id = NEW.variant_id
    ) THEN
        RAISE EXCEPTION 'a part never succeeds itself' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'supersession_has_no_cycle';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER equivalent_in_no_cycle AFTER INSERT OR UPDATE ON catalog_equivalent FOR EACH ROW
    WHEN (NEW.relation = 'superseded') EXECUTE FUNCTION catalog_supersession_has_no_cycle();
"""
UNDO_NO_CYCLE = """
DROP TRIGGER equivalent_in_no_cycle ON catalog_equivalent;
DROP FUNCTION catalog_supersession_has_no_cycle();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('catalog', '0005_identifiers_offers_and_prices'),
    ]

    operations = together([
        migrations.RunSQL(KEYS, UNDO_KEYS),
        migrations.CreateModel(
            name='InterchangeGroup',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(blank=True, max_length=120)),
            ],
            options={
                'ordering': ['id'],
            },
        ),
        migrations.CreateModel(
            name='InterchangeMember',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('brand', models.CharField(blank=True, max_length=120)),
                ('part_number', models.CharField(blank=True, max_length=64)),
                ('brand_key', models.GeneratedField(db_persist=True, expression=catalog.models.keys.PlainKey('brand'), output_field=models.TextField())),
                ('number_key', models.GeneratedField(db_persist=True, expression=catalog.models.keys.PlainKey('part_number'), output_field=models.TextField())),
            ],
            options={
                'ordering': ['group_id', 'id'],
            },
        ),
        migrations.CreateModel(
            name='Vehicle',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('source', models.CharField(help_text='Who says so, e.g. EPA.', max_length=40)),
                ('make', models.CharField(max_length=60)),
                ('model', models.CharField(max_length=100)),
                ('year', models.PositiveSmallIntegerField()),
                ('engine', models.CharField(blank=True, max_length=60)),
                ('body', models.CharField(blank=True, max_length=120)),
                ('base_vehicle_id', models.CharField(blank=True, max_length=20, verbose_name='ACES base vehicle')),
                ('make_key', models.GeneratedField(db_persist=True, expression=catalog.models.keys.PlainKey('make'), output_field=models.TextField())),
                ('model_key', models.GeneratedField(db_persist=True, expression=catalog.models.keys.PlainKey('model'), output_field=models.TextField())),
                ('engine_key', models.GeneratedField(db_persist=True, expression=catalog.models.keys.PlainKey('engine'), output_field=models.TextField())),
            ],
            options={
                'ordering': ['make_key', 'model_key', 'year', 'id'],
            },
        ),
        migrations.CreateModel(
            name='VehicleAlias',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('make', models.CharField(max_length=60)),
                ('model', models.CharField(max_length=100, verbose_name='name')),
                ('means', models.CharField(max_length=100, verbose_name='means the model')),
                ('status', models.CharField(choices=[('suggested', 'Suggested'), ('confirmed', 'Confirmed'), ('refused', 'Refused')], default='suggested', max_length=9)),
                ('make_key', models.GeneratedField(db_persist=True, expression=catalog.models.keys.PlainKey('make'), output_field=models.TextField())),
                ('model_key', models.GeneratedField(db_persist=True, expression=catalog.models.keys.PlainKey('model'), output_field=models.TextField())),
                ('means_key', models.GeneratedField(db_persist=True, expression=catalog.models.keys.PlainKey('means'), output_field=models.TextField())),
            ],
            options={
                'verbose_name_plural': 'vehicle aliases',
                'ordering': ['make_key', 'means_key', 'model_key'],
            },
        ),
        migrations.RemoveConstraint(
            model_name='fitment',
            name='fitment_once',
        ),
        migrations.RemoveIndex(
            model_name='fitment',
            name='fitment_by_vehicle',
        ),
        migrations.AddField(
            model_name='fitment',
            name='aces_ids',
            field=models.JSONField(blank=True, db_default={}, default=dict, help_text='Numbers of licensed tables, as they came: {"EngineBase": "143"}.', verbose_name='ACES attributes'),
        ),
        migrations.AddField(
            model_name='fitment',
            name='base_vehicle_id',
            field=models.CharField(blank=True, db_default='', default='', max_length=20, verbose_name='ACES base vehicle'),
        ),
        migrations.AddField(
            model_name='fitment',
            name='brand_aaia_id',
            field=models.CharField(blank=True, db_default='', default='', max_length=10, verbose_name='ACES brand'),
        ),
        migrations.AddField(
            model_name='fitment',
            name='engine_key',
            field=models.GeneratedField(db_persist=True, expression=catalog.models.keys.PlainKey('engine'), output_field=models.TextField()),
        ),
        migrations.AddField(
            model_name='fitment',
            name='part_type_id',
            field=models.CharField(blank=True, db_default='', default='', max_length=20, verbose_name='ACES part type'),
        ),
        migrations.AddField(
            model_name='fitment',
            name='qualifiers',
            field=models.JSONField(blank=True, db_default=[], default=list, help_text='What narrows it further: [{"text": "with 288 mm rotor"}, {"id": "12073", "text": "…"}].', validators=[catalog.models.fitment.check_qualifiers]),
        ),
        migrations.AddField(
            model_name='fitment',
            name='source',
            field=models.CharField(blank=True, db_default='', default='', help_text='Who says it; blank: we.', max_length=80),
        ),
        migrations.AddField(
            model_name='fitment',
            name='submodel',
            field=models.CharField(blank=True, db_default='', default='', max_length=60),
        ),
        migrations.AddField(
            model_name='fitment',
            name='make_key',
            field=models.GeneratedField(db_persist=True, expression=catalog.models.keys.PlainKey('make'), output_field=models.TextField()),
        ),
        migrations.AddField(
            model_name='fitment',
            name='model_key',
            field=models.GeneratedField(db_persist=True, expression=catalog.models.keys.PlainKey('model'), output_field=models.TextField()),
        ),
        migrations.AddField(
            model_name='fitment',
            name='identity',
            field=models.GeneratedField(db_persist=True, expression=models.Func('submodel', 'engine', 'position', 'base_vehicle_id', 'part_type_id', 'brand_aaia_id', 'source', 'aces_ids', 'qualifiers', function='catalog_fitment_identity', output_field=models.UUIDField()), output_field=models.UUIDField()),
        ),
        migrations.AlterField(
            model_name='fitment',
            name='make',
            field=models.CharField(blank=True, max_length=60),
        ),
        migrations.AlterField(
            model_name='fitment',
            name='model',
            field=models.CharField(blank=True, max_length=100),
        ),
        migrations.AlterField(
            model_name='fitment',
            name='note',
            field=models.CharField(blank=True, help_text='For people; it narrows nothing.', max_length=250),
        ),
        migrations.AlterField(
            model_name='fitment',
            name='variant',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='fitments', to='catalog.variant'),
        ),
        migrations.AlterField(
            model_name='fitment',
            name='year_from',
            field=models.PositiveSmallIntegerField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name='fitment',
            name='year_to',
            field=models.PositiveSmallIntegerField(blank=True, null=True),
        ),
        migrations.AddIndex(
            model_name='fitment',
            index=models.Index(fields=['make_key', 'model_key', 'year_to', 'id', 'year_from', 'engine_key'], name='fitment_by_vehicle'),
        ),
        migrations.AddIndex(
            model_name='fitment',
            index=models.Index(fields=['year_to', 'year_from'], name='fitment_by_years'),
        ),
        migrations.AddIndex(
            model_name='fitment',
            index=models.Index(condition=models.Q(('source', ''), _negated=True), fields=['source', 'brand_aaia_id'], name='fitment_by_set'),
        ),
        migrations.AddIndex(
            model_name='fitment',
            index=models.Index(condition=models.Q(('base_vehicle_id', ''), _negated=True), fields=['base_vehicle_id'], name='fitment_by_base_vehicle'),
        ),
        migrations.AddConstraint(
            model_name='fitment',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('make', ''), ('model', ''), models.Q(models.Q(('base_vehicle_id', ''), _negated=True), models.Q(('aces_ids', {}), _negated=True), _connector='OR')), models.Q(models.Q(('make_key', ''), _negated=True), models.Q(('model_key', ''), _negated=True), ('year_from__isnull', False), ('year_to__isnull', False)), _connector='OR'), name='fitment_names_a_vehicle'),
        ),
        migrations.RunSQL(SAID_TWICE, UNSAID),
        migrations.AddConstraint(
            model_name='fitment',
            constraint=models.UniqueConstraint(fields=('variant', 'make_key', 'model_key', 'year_from', 'year_to', 'identity'), name='fitment_once', nulls_distinct=False, violation_error_message='The part is said to fit this vehicle already.'),
        ),
        migrations.AddField(
            model_name='interchangemember',
            name='group',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='members', to='catalog.interchangegroup'),
        ),
        migrations.AddField(
            model_name='interchangemember',
            name='variant',
            field=models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='interchange', to='catalog.variant'),
        ),
        migrations.AddIndex(
            model_name='vehicle',
            index=models.Index(condition=models.Q(('base_vehicle_id', ''), _negated=True), fields=['base_vehicle_id'], name='vehicle_by_base_vehicle'),
        ),
        migrations.AddConstraint(
            model_name='vehicle',
            constraint=models.UniqueConstraint(fields=('make_key', 'model_key', 'year', 'engine_key', 'source'), name='vehicle_once_per_source'),
        ),
        migrations.AddConstraint(
            model_name='vehicle',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('make_key', ''), _negated=True), models.Q(('model_key', ''), _negated=True)), name='vehicle_has_a_name'),
        ),
        migrations.AddIndex(
            model_name='vehiclealias',
            index=models.Index(condition=models.Q(('status', 'confirmed')), fields=['make_key', 'means_key'], name='vehicle_alias_by_meaning'),
        ),
        migrations.AddConstraint(
            model_name='vehiclealias',
            constraint=models.UniqueConstraint(fields=('make_key', 'model_key'), name='vehicle_alias_means_one_model'),
        ),
        migrations.AddConstraint(
            model_name='vehiclealias',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('model_key', models.F('means_key')), _negated=True), models.Q(('means_key', ''), _negated=True), models.Q(('model_key', ''), _negated=True), models.Q(('make_key', ''), _negated=True)), name='vehicle_alias_is_another_name'),
        ),
        migrations.AddConstraint(
            model_name='interchangemember',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('brand', ''), ('part_number', ''), ('variant__isnull', False)), models.Q(('variant__isnull', True), models.Q(('number_key', ''), _negated=True)), _connector='OR'), name='interchange_is_ours_or_a_number', violation_error_message='Name a product of ours, or the number of another brand; not both.'),
        ),
        migrations.AddConstraint(
            model_name='interchangemember',
            constraint=models.UniqueConstraint(condition=models.Q(('variant__isnull', True)), fields=('number_key', 'brand_key'), name='interchange_number_once', violation_error_message='This number is in a group already.'),
        ),
        migrations.RunSQL(LISTED, UNDO_LISTED),
        migrations.RunSQL(NO_CYCLE, UNDO_NO_CYCLE),
    ])
