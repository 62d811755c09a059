"""Imports are planned, looked at, applied whole and undone whole; each row keeps what was and what would be."""

import django.db.models.deletion
import functools
import partners.numbers
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('catalog', '0007_search'),
        ('partners', '0003_outbox_indexed_for_readers'),
    ]

    operations = [
        migrations.CreateModel(
            name='CatalogImport',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.CharField(default=functools.partial(partners.numbers.new_number, 'IM'), editable=False, max_length=20, unique=True)),
                ('title', models.CharField(max_length=200)),
                ('kind', models.CharField(choices=[('products', 'Products'), ('fitments', 'Fitments')], max_length=8)),
                ('origin', models.CharField(choices=[('file', 'File'), ('api', 'API'), ('bulkEdit', 'Bulk edit')], default='file', max_length=8)),
                ('state', models.CharField(choices=[('planning', 'Planning'), ('planned', 'Planned'), ('refused', 'Refused'), ('applying', 'Applying'), ('applied', 'Applied'), ('outdated', 'Outdated'), ('undone', 'Undone'), ('failed', 'Failed')], default='planning', max_length=8)),
                ('fitment_source', models.CharField(blank=True, help_text='Who says the fitments; blank: we.', max_length=80)),
                ('actor', models.CharField(help_text='Who had it planned.', max_length=160)),
                ('applied_by', models.CharField(blank=True, max_length=160)),
                ('undone_by', models.CharField(blank=True, max_length=160)),
                ('row_count', models.PositiveIntegerField(default=0, verbose_name='rows')),
                ('new_count', models.PositiveIntegerField(default=0, verbose_name='new')),
                ('changed_count', models.PositiveIntegerField(default=0, verbose_name='changed')),
                ('unchanged_count', models.PositiveIntegerField(default=0, verbose_name='unchanged')),
                ('refused_count', models.PositiveIntegerField(default=0, verbose_name='refused')),
                ('effects', models.JSONField(default=dict, help_text='What it does to stock and open orders, summed.')),
                ('notes', models.JSONField(default=list, help_text='What was assumed or mended while reading, the first of it.')),
                ('ground', models.JSONField(default=dict, help_text="The rules it was planned by: each type's schema and demands.")),
                ('plan_hash', models.CharField(blank=True, help_text='SHA-256 over what would become of each row.', max_length=64)),
                ('reason', models.TextField(blank=True, help_text='Why it is refused, outdated or failed.')),
                ('file_name', models.CharField(blank=True, max_length=200)),
                ('file_content', models.BinaryField(help_text='What was sent, until it is planned.', null=True)),
                ('version', models.PositiveIntegerField(default=1)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('touched_at', models.DateTimeField(help_text='When somebody last worked on it.', null=True)),
                ('planned_at', models.DateTimeField(null=True)),
                ('applied_at', models.DateTimeField(null=True)),
                ('undone_at', models.DateTimeField(null=True)),
                ('partner', models.ForeignKey(blank=True, help_text='Who sent it; empty: we.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='partners.partner')),
                ('planned_from', models.ForeignKey(blank=True, help_text='The outdated plan whose rows these are.', null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='catalog.catalogimport')),
            ],
            options={
                'verbose_name': 'import',
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='CatalogImportRow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField(help_text='As people count; the header of a table is row 1.')),
                ('sku', models.CharField(blank=True, max_length=64, verbose_name='SKU')),
                ('variant_id', models.BigIntegerField(null=True)),
                ('outcome', models.CharField(choices=[('new', 'New'), ('changed', 'Changed'), ('unchanged', 'Unchanged'), ('refused', 'Refused')], max_length=9)),
                ('said', models.JSONField(default=dict, help_text='The row as it came, to plan it again.')),
                ('before', models.JSONField(default=dict)),
                ('after', models.JSONField(default=dict)),
                ('reasons', models.JSONField(default=list, help_text='Why it is refused, or what is to be known: [[field, sentence]].')),
                ('effects', models.JSONField(default=dict, help_text='What is on hand, reserved and ordered of what changes so.')),
                ('is_plain', models.BooleanField(default=True, help_text='Applied with all others in one statement.')),
                ('base_version', models.PositiveIntegerField(help_text="The product's version when it was planned.", null=True)),
                ('parent_version', models.PositiveIntegerField(help_text='That of the parent it goes under.', null=True)),
                ('applied_version', models.PositiveIntegerField(help_text="The product's version when it was applied.", null=True)),
                ('undoing', models.CharField(blank=True, help_text='How it was taken back.', max_length=12)),
                ('plan', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='rows', to='catalog.catalogimport')),
            ],
            options={
                'verbose_name': 'row of an import',
                'verbose_name_plural': 'rows of imports',
                'ordering': ['id'],
            },
        ),
        migrations.AddIndex(
            model_name='catalogimport',
            index=models.Index(fields=['partner', '-id'], name='catalog_import_by_partner'),
        ),
        migrations.AddIndex(
            model_name='catalogimport',
            index=models.Index(condition=models.Q(('state__in', ['planning', 'applying'])), fields=['touched_at'], name='catalog_import_at_work'),
        ),
        migrations.AddConstraint(
            model_name='catalogimport',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['products', 'fitments'])), name='catalog_import_kind_known'),
        ),
        migrations.AddConstraint(
            model_name='catalogimport',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['planning', 'planned', 'refused', 'applying', 'applied', 'outdated', 'undone', 'failed'])), name='catalog_import_state_known'),
        ),
        migrations.AddConstraint(
            model_name='catalogimport',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state__in', ['applied', 'undone']), _negated=True), ('applied_at__isnull', False), _connector='OR'), name='catalog_import_applied_at_a_time'),
        ),
        migrations.AddIndex(
            model_name='catalogimportrow',
            index=models.Index(fields=['plan', 'outcome', 'id'], name='catalog_import_row_by_outcome'),
        ),
        migrations.AddIndex(
            model_name='catalogimportrow',
            index=models.Index(fields=['plan', 'sku'], name='catalog_import_row_by_sku'),
        ),
        migrations.AddConstraint(
            model_name='catalogimportrow',
            constraint=models.CheckConstraint(condition=models.Q(('outcome__in', ['new', 'changed', 'unchanged', 'refused'])), name='catalog_import_row_outcome_known'),
        ),
    ]
