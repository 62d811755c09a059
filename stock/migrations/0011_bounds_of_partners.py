"""Who looked up what is kept, and the quick ways of reserving leave to Python whoever comes near a bound."""

from importlib import import_module

import django.db.models.deletion
from django.db import migrations, models

quick = import_module("stock.migrations.0006_keep_in_fewer_steps")

# Whether operations/bounds.py has to look: sizes of a product were refused within the hour, or the partner holds
# nearly as much as it may. What is asked at the same moment by others does not show yet, so "nearly" leaves room for
# fifty of them: in number, and in units, of which the quick way takes none but small ones.
LOOK = """
CREATE FUNCTION stock_needs_a_look(p_partner bigint, p_variants bigint[], p_units bigint, p_seconds integer)
RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_bounds record;
    v_held record;
BEGIN
    IF p_partner IS NULL THEN
        RETURN false;
    END IF;
    IF EXISTS (SELECT FROM stock_refusedsize refused
                WHERE refused.partner_id = p_partner AND refused.variant_id = ANY(p_variants)
                  AND refused.at > clock_timestamp() - interval '1 hour') THEN
        RETURN true;
    END IF;
    IF p_seconds IS NULL THEN
        RETURN false;
    END IF;
    SELECT kind, holds_max, held_units_max INTO v_bounds FROM partners_partner WHERE id = p_partner;
    IF v_bounds.kind = 'channel' AND v_bounds.holds_max IS NULL AND v_bounds.held_units_max IS NULL THEN
        RETURN false;
    END IF;
    SELECT count(*) AS holds, coalesce(sum(units), 0) AS units INTO v_held FROM stock_reservation
     WHERE partner_id = p_partner AND state = 'open' AND expires_at IS NOT NULL;
    RETURN v_held.holds + 50 >= coalesce(v_bounds.holds_max, 1000)
        OR (v_held.units + p_units) * 2 > coalesce(v_bounds.held_units_max, 1000000)
        OR p_units * 200 > coalesce(v_bounds.held_units_max, 1000000);
END $$;
"""


def looking(statement: str, variants: str, units: str) -> str:
    """A quick way that asks first, and writes down how many units it keeps."""
    return (
        statement.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
        .replace(
            "BEGIN\n    IF EXISTS",
            f"BEGIN\n    IF stock_needs_a_look(p_partner, {variants}, {units}, p_seconds) THEN\n"
            "        RETURN;\n    END IF;\n    IF EXISTS",
        )
        .replace("created_at)\n", "created_at, units)\n")
        .replace("1, p_at)\n    ON CONFLICT", f"1, p_at, {units})\n    ON CONFLICT")
    )


RESERVE = looking(quick.RESERVE, "p_variants", "(SELECT sum(quantity)::bigint FROM unnest(p_quantities) AS quantity)")
RESERVE_ONE = looking(quick.RESERVE_ONE, "ARRAY[p_variant]", "p_quantity")
BEFORE = [quick.RESERVE, quick.RESERVE_ONE.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")]


class Migration(migrations.Migration):

    dependencies = [
        ('catalog', '0012_what_a_product_may_say'),
        ('partners', '0005_disclosure_and_bounds'),
        ('stock', '0010_warranty_pool'),
    ]

    operations = [
        migrations.CreateModel(
            name='LookUp',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField()),
                ('looks', models.BigIntegerField(help_text='How often it was told something of the product.')),
                ('refusals', models.BigIntegerField(default=0, help_text='How often it asked for more than there was.')),
                ('grants', models.BigIntegerField(default=0, help_text='How often units were promised to it.')),
                ('lower', models.BigIntegerField(default=0)),
                ('upper', models.BigIntegerField(help_text='Empty: it could not tell.', null=True)),
            ],
            options={
                'ordering': ['-day', 'partner_id', 'variant_id'],
            },
        ),
        migrations.CreateModel(
            name='RefusedSize',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('quantity', models.BigIntegerField()),
                ('at', models.DateTimeField()),
            ],
            options={
                'ordering': ['id'],
            },
        ),
        migrations.AddField(
            model_name='reservation',
            name='units',
            field=models.BigIntegerField(db_default=0, default=0, help_text='All that was asked for, added up.'),
        ),
        migrations.AddIndex(
            model_name='reservation',
            index=models.Index(condition=models.Q(('expires_at__isnull', False), ('state', 'open')), fields=['partner'], include=('units',), name='reservation_held_by_partner'),
        ),
        migrations.AddField(
            model_name='lookup',
            name='partner',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='partners.partner'),
        ),
        migrations.AddField(
            model_name='lookup',
            name='variant',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='catalog.variant', verbose_name='product'),
        ),
        migrations.AddField(
            model_name='refusedsize',
            name='partner',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='partners.partner'),
        ),
        migrations.AddField(
            model_name='refusedsize',
            name='variant',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='catalog.variant'),
        ),
        migrations.AddIndex(
            model_name='lookup',
            index=models.Index(fields=['day'], name='lookup_by_day'),
        ),
        migrations.AddConstraint(
            model_name='lookup',
            constraint=models.UniqueConstraint(fields=('partner', 'variant', 'day'), name='lookup_once_a_day'),
        ),
        migrations.AddConstraint(
            model_name='lookup',
            constraint=models.CheckConstraint(condition=models.Q(('grants__gte', 0), ('looks__gte', 0), ('lower__gte', 0), ('refusals__gte', 0)), name='lookup_counts'),
        ),
        migrations.AddIndex(
            model_name='refusedsize',
            index=models.Index(fields=['partner', 'variant', 'at'], name='refused_size_by_product'),
        ),
        migrations.RunSQL([LOOK, RESERVE, RESERVE_ONE], [*BEFORE, "DROP FUNCTION stock_needs_a_look"]),
    ]
