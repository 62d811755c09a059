"""Types say what their products are like: versioned schemas, axes of variants, and what the law asks of them."""

import json
from pathlib import Path

import django.db.models.deletion
import django.db.models.functions.comparison
import django.db.models.functions.text
import partners.actors
import simple_history.models
from django.conf import settings
from django.db import migrations, models

from partners.together import together

# What the usual types' attributes are like; from here on staff changes them, version by version.
SCHEMAS = Path(__file__).with_suffix(".json")
GUARDS = """
CREATE TRIGGER product_type_schema_is_never_changed BEFORE UPDATE OR DELETE ON catalog_producttypeschema
    FOR EACH ROW EXECUTE FUNCTION backstock_refuse('products were found right by it; make a new version');
CREATE TRIGGER product_type_schema_is_never_truncated BEFORE TRUNCATE ON catalog_producttypeschema
    FOR EACH STATEMENT EXECUTE FUNCTION backstock_refuse('products were found right by it; make a new version');
"""
NO_GUARDS = """
DROP TRIGGER product_type_schema_is_never_truncated ON catalog_producttypeschema;
DROP TRIGGER product_type_schema_is_never_changed ON catalog_producttypeschema;
"""


def add_schemas(apps, schema_editor):
    product_type = apps.get_model("catalog", "ProductType")
    schema = apps.get_model("catalog", "ProductTypeSchema")
    for code, rules in json.loads(SCHEMAS.read_text(encoding="utf-8")).items():
        kind, _ = product_type.objects.get_or_create(code=code, defaults={"name": code.capitalize()})
        schema.objects.create(product_type=kind, version=1, schema=rules, note="As delivered", actor="job:migrate")


class Migration(migrations.Migration):

    dependencies = [
        ('catalog', '0003_equivalents'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = together([
        migrations.CreateModel(
            name='HistoricalProductType',
            fields=[
                ('actor', models.CharField(default=partners.actors.current_label, editable=False, max_length=160)),
                ('request_id', models.CharField(blank=True, default=partners.actors.current_request_id, editable=False, max_length=64)),
                ('code', models.CharField(db_index=True, max_length=40)),
                ('name', models.CharField(max_length=100)),
                ('requires_batch', models.BooleanField(db_default=False, default=False, help_text='Its products are tracked by batch; another tracking is refused.')),
                ('requires_expiry', models.BooleanField(db_default=False, default=False, help_text='A batch is received with its expiry date, or not at all.')),
                ('shelf_life_days', models.PositiveIntegerField(blank=True, help_text='Of products that say none of their own.', null=True)),
                ('warranty_months', models.PositiveIntegerField(blank=True, help_text='Of products that say none of their own.', null=True)),
                ('warranty_per', models.CharField(blank=True, choices=[('unit', 'Unit'), ('orderLine', 'Order line')], db_default='', default='', max_length=10)),
                ('warranty_terms', models.TextField(blank=True, db_default='', default='', max_length=2000)),
                ('history_id', models.AutoField(primary_key=True, serialize=False)),
                ('history_date', models.DateTimeField(db_index=True)),
                ('history_change_reason', models.TextField(null=True)),
                ('history_type', models.CharField(choices=[('+', 'Created'), ('~', 'Changed'), ('-', 'Deleted')], max_length=1)),
            ],
            options={
                'verbose_name': 'historical product type',
                'verbose_name_plural': 'historical product types',
                'ordering': ('-history_date', '-history_id'),
                'get_latest_by': ('history_date', 'history_id'),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name='HistoricalRegulatoryNote',
            fields=[
                ('id', models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name='ID')),
                ('actor', models.CharField(default=partners.actors.current_label, editable=False, max_length=160)),
                ('request_id', models.CharField(blank=True, default=partners.actors.current_request_id, editable=False, max_length=64)),
                ('jurisdiction', models.CharField(blank=True, help_text='EU, a country or a part of one (ISO 3166: US, US-CA); empty: everywhere.', max_length=6)),
                ('text', models.TextField(max_length=2000)),
                ('document', models.CharField(blank=True, help_text='Where it is written: a law, a file, an address.', max_length=250)),
                ('valid_from', models.DateField(blank=True, null=True)),
                ('valid_to', models.DateField(blank=True, help_text='The last day.', null=True)),
                ('history_id', models.AutoField(primary_key=True, serialize=False)),
                ('history_date', models.DateTimeField(db_index=True)),
                ('history_change_reason', models.TextField(null=True)),
                ('history_type', models.CharField(choices=[('+', 'Created'), ('~', 'Changed'), ('-', 'Deleted')], max_length=1)),
            ],
            options={
                'verbose_name': 'historical regulatory note',
                'verbose_name_plural': 'historical regulatory notes',
                'ordering': ('-history_date', '-history_id'),
                'get_latest_by': ('history_date', 'history_id'),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name='ProductTypeSchema',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('version', models.PositiveIntegerField()),
                ('schema', models.JSONField()),
                ('note', models.CharField(blank=True, help_text='What changed, and why.', max_length=250)),
                ('actor', models.CharField(default=partners.actors.current_label, editable=False, max_length=160)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'ordering': ['product_type_id', '-version'],
            },
        ),
        migrations.CreateModel(
            name='RegulatoryNote',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('jurisdiction', models.CharField(blank=True, help_text='EU, a country or a part of one (ISO 3166: US, US-CA); empty: everywhere.', max_length=6)),
                ('text', models.TextField(max_length=2000)),
                ('document', models.CharField(blank=True, help_text='Where it is written: a law, a file, an address.', max_length=250)),
                ('valid_from', models.DateField(blank=True, null=True)),
                ('valid_to', models.DateField(blank=True, help_text='The last day.', null=True)),
            ],
            options={
                'ordering': ['jurisdiction', 'id'],
            },
        ),
        migrations.AddField(
            model_name='historicalvariant',
            name='axes',
            field=models.JSONField(blank=True, db_default=models.Value([], models.JSONField()), default=list, help_text='Of a parent: the names by which its variants differ, in the order they are chosen.'),
        ),
        migrations.AddField(
            model_name='historicalvariant',
            name='axis_values',
            field=models.JSONField(blank=True, db_default=models.Value({}, models.JSONField()), default=dict, help_text='Of a variant: its text for each axis of its parent.'),
        ),
        migrations.AddField(
            model_name='historicalvariant',
            name='schema_version',
            field=models.PositiveIntegerField(blank=True, editable=False, help_text="The version of its type's schema the attributes were found right by; none where there was none.", null=True),
        ),
        migrations.AddField(
            model_name='historicalvariant',
            name='warranty_per',
            field=models.CharField(blank=True, choices=[('unit', 'Unit'), ('orderLine', 'Order line')], db_default='', default='', max_length=10),
        ),
        migrations.AddField(
            model_name='historicalvariant',
            name='warranty_terms',
            field=models.TextField(blank=True, db_default='', default='', max_length=2000),
        ),
        migrations.AddField(
            model_name='producttype',
            name='requires_batch',
            field=models.BooleanField(db_default=False, default=False, help_text='Its products are tracked by batch; another tracking is refused.'),
        ),
        migrations.AddField(
            model_name='producttype',
            name='requires_expiry',
            field=models.BooleanField(db_default=False, default=False, help_text='A batch is received with its expiry date, or not at all.'),
        ),
        migrations.AddField(
            model_name='producttype',
            name='shelf_life_days',
            field=models.PositiveIntegerField(blank=True, help_text='Of products that say none of their own.', null=True),
        ),
        migrations.AddField(
            model_name='producttype',
            name='warranty_months',
            field=models.PositiveIntegerField(blank=True, help_text='Of products that say none of their own.', null=True),
        ),
        migrations.AddField(
            model_name='producttype',
            name='warranty_per',
            field=models.CharField(blank=True, choices=[('unit', 'Unit'), ('orderLine', 'Order line')], db_default='', default='', max_length=10),
        ),
        migrations.AddField(
            model_name='producttype',
            name='warranty_terms',
            field=models.TextField(blank=True, db_default='', default='', max_length=2000),
        ),
        migrations.AddField(
            model_name='variant',
            name='axes',
            field=models.JSONField(blank=True, db_default=models.Value([], models.JSONField()), default=list, help_text='Of a parent: the names by which its variants differ, in the order they are chosen.'),
        ),
        migrations.AddField(
            model_name='variant',
            name='axis_values',
            field=models.JSONField(blank=True, db_default=models.Value({}, models.JSONField()), default=dict, help_text='Of a variant: its text for each axis of its parent.'),
        ),
        migrations.AddField(
            model_name='variant',
            name='schema_version',
            field=models.PositiveIntegerField(blank=True, editable=False, help_text="The version of its type's schema the attributes were found right by; none where there was none.", null=True),
        ),
        migrations.AddField(
            model_name='variant',
            name='warranty_per',
            field=models.CharField(blank=True, choices=[('unit', 'Unit'), ('orderLine', 'Order line')], db_default='', default='', max_length=10),
        ),
        migrations.AddField(
            model_name='variant',
            name='warranty_terms',
            field=models.TextField(blank=True, db_default='', default='', max_length=2000),
        ),
        migrations.AddConstraint(
            model_name='variant',
            constraint=models.CheckConstraint(condition=models.Q(('axes', []), ('parent__isnull', True), _connector='OR'), name='variant_axes_are_a_parents'),
        ),
        migrations.AddConstraint(
            model_name='variant',
            constraint=models.CheckConstraint(condition=models.Q(('axis_values', {}), ('parent__isnull', False), _connector='OR'), name='variant_axis_values_under_a_parent'),
        ),
        migrations.AddConstraint(
            model_name='variant',
            constraint=models.UniqueConstraint(models.F('parent'), django.db.models.functions.text.Lower(django.db.models.functions.comparison.Cast('axis_values', models.TextField())), condition=models.Q(('status', 'active'), models.Q(('axis_values', {}), _negated=True)), name='variant_axis_values_once'),
        ),
        migrations.AddField(
            model_name='historicalproducttype',
            name='history_user',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='historicalregulatorynote',
            name='history_user',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='historicalregulatorynote',
            name='product_type',
            field=models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='catalog.producttype'),
        ),
        migrations.AddField(
            model_name='historicalregulatorynote',
            name='variant',
            field=models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='catalog.variant'),
        ),
        migrations.AddField(
            model_name='producttypeschema',
            name='product_type',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='schemas', to='catalog.producttype'),
        ),
        migrations.AddField(
            model_name='regulatorynote',
            name='product_type',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='regulatory_notes', to='catalog.producttype'),
        ),
        migrations.AddField(
            model_name='regulatorynote',
            name='variant',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='regulatory_notes', to='catalog.variant'),
        ),
        migrations.AddConstraint(
            model_name='producttypeschema',
            constraint=models.UniqueConstraint(fields=('product_type', 'version'), name='product_type_schema_version_once'),
        ),
        migrations.AddConstraint(
            model_name='producttypeschema',
            constraint=models.CheckConstraint(condition=models.Q(('version__gte', 1)), name='product_type_schema_version_positive'),
        ),
        migrations.AddConstraint(
            model_name='regulatorynote',
            constraint=models.CheckConstraint(condition=models.Q(('product_type__isnull', True), ('variant__isnull', True), _connector='XOR'), name='regulatory_note_of_one'),
        ),
        migrations.AddConstraint(
            model_name='regulatorynote',
            constraint=models.CheckConstraint(condition=models.Q(('valid_from__isnull', True), ('valid_to__isnull', True), ('valid_to__gte', models.F('valid_from')), _connector='OR'), name='regulatory_note_days_in_order'),
        ),
        migrations.AddConstraint(
            model_name='regulatorynote',
            constraint=models.CheckConstraint(condition=models.Q(('jurisdiction__regex', '^([A-Z]{2}(-[A-Z0-9]{1,3})?)?$')), name='regulatory_note_jurisdiction'),
        ),
        migrations.RunPython(add_schemas, migrations.RunPython.noop),
        migrations.RunSQL(GUARDS, NO_GUARDS),
    ])
