"""Files of ACES and PIES are planned: which format it is, what a FULL file stands for, and what it takes away."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('catalog', '0009_found_by_every_number'),
    ]

    operations = [
        # Read slice by slice, which packed content cannot be.
        migrations.RunSQL(
            "ALTER TABLE catalog_catalogimport ALTER COLUMN file_content SET STORAGE EXTERNAL",
            "ALTER TABLE catalog_catalogimport ALTER COLUMN file_content SET STORAGE EXTENDED",
        ),
        migrations.RemoveConstraint(
            model_name='catalogimportrow',
            name='catalog_import_row_outcome_known',
        ),
        migrations.AddField(
            model_name='catalogimport',
            name='brands',
            field=models.JSONField(db_default=[], default=list, help_text='The brands (AAIA ids) of which the file says all there is.'),
        ),
        migrations.AddField(
            model_name='catalogimport',
            name='dropped_count',
            field=models.PositiveIntegerField(db_default=0, default=0, verbose_name='taken away'),
        ),
        migrations.AddField(
            model_name='catalogimport',
            name='format',
            field=models.CharField(choices=[('table', 'Table'), ('aces', 'ACES'), ('pies', 'PIES')], db_default='table', default='table', max_length=5),
        ),
        migrations.AddField(
            model_name='catalogimportrow',
            name='key',
            field=models.UUIDField(help_text='A digest of what tells two fitments apart.', null=True),
        ),
        migrations.AlterField(
            model_name='catalogimportrow',
            name='number',
            field=models.PositiveIntegerField(help_text='As people count; the header of a table is row 1. 0: what a FULL file does not name.'),
        ),
        migrations.AlterField(
            model_name='catalogimportrow',
            name='outcome',
            field=models.CharField(choices=[('new', 'New'), ('changed', 'Changed'), ('unchanged', 'Unchanged'), ('refused', 'Refused'), ('dropped', 'Taken away')], max_length=9),
        ),
        migrations.AddConstraint(
            model_name='catalogimport',
            constraint=models.CheckConstraint(condition=models.Q(('format__in', ['table', 'aces', 'pies'])), name='catalog_import_format_known'),
        ),
        migrations.AddConstraint(
            model_name='catalogimportrow',
            constraint=models.CheckConstraint(condition=models.Q(('outcome__in', ['new', 'changed', 'unchanged', 'refused', 'dropped'])), name='catalog_import_row_outcome_known'),
        ),
    ]
