"""Keeping a promise takes the lock with the change itself, and whatever no longer stands undoes all of it."""

from importlib import import_module

from django.db import migrations

before = import_module("stock.migrations.0004_promises_in_sql")

# Changes the levels first, in the order given (the caller's: by id), which takes their locks; then looks with a
# fresh snapshot whether what they hang on still sells, since whoever changed a batch's hold or a warehouse holds
# or held these locks too. A pick that no longer stands raises BS001, and nothing was written. Loops over rows
# found by their key: for the one or five lines of most reservations that costs a fraction of what joins of
# unnested arrays do, or data-modifying WITH.
KEEP = f"""
CREATE OR REPLACE FUNCTION stock_keep(
    p_reservations bigint[], p_variants bigint[], p_warehouses text[], p_quantities bigint[], p_kit_lines integer[],
    p_pick_lines integer[], p_pick_levels bigint[], p_pick_quantities bigint[],
    p_levels bigint[], p_level_quantities bigint[],
    p_actor text, p_request_id text, p_at timestamptz
) RETURNS bigint[] LANGUAGE plpgsql {before.BY_KEY} AS $$
DECLARE
    v_lines bigint[] := '{{}}';
    v_line bigint;
    v_level record;
    v_stands boolean;
BEGIN
    FOR place IN 1..cardinality(p_levels) LOOP
        UPDATE stock_level
           SET reserved = reserved + p_level_quantities[place], version = version + 1, updated_at = clock_timestamp()
         WHERE id = p_levels[place] AND on_hand - reserved >= p_level_quantities[place]
        RETURNING location_id, batch_id, condition INTO v_level;
        IF FOUND THEN
            SELECT stock_is_sellable(v_level.condition, warehouse.is_active, batch.hold_state, batch.expires_on,
                                     warehouse.time_zone, p_at, 0)
              INTO v_stands
              FROM stock_location location
              JOIN stock_warehouse warehouse ON warehouse.id = location.warehouse_id
              LEFT JOIN stock_batch batch ON batch.id = v_level.batch_id
             WHERE location.id = v_level.location_id;
        END IF;
        IF NOT FOUND OR v_stands IS NOT TRUE THEN
            RAISE EXCEPTION 'level % no longer has % units to promise', p_levels[place], p_level_quantities[place]
                USING ERRCODE = 'BS001';
        END IF;
    END LOOP;
    FOR place IN 1..cardinality(p_variants) LOOP
        INSERT INTO stock_reservationline (reservation_id, variant_id, warehouse_code, quantity, kit_line_id)
        VALUES (p_reservations[place], p_variants[place], p_warehouses[place], p_quantities[place],
                v_lines[p_kit_lines[place]])
        RETURNING id INTO v_line;
        v_lines := v_lines || v_line;
    END LOOP;
    FOR place IN 1..cardinality(p_pick_lines) LOOP
        INSERT INTO stock_allocation (line_id, level_id, quantity, consumed, freed)
        VALUES (v_lines[p_pick_lines[place]], p_pick_levels[place], p_pick_quantities[place], 0, 0);
    END LOOP;
    PERFORM stock_tell(p_levels, p_actor, p_request_id, p_at);
    RETURN v_lines;
END $$;
"""

# The level that expires first of all that one may have of a product, its warehouse tried first: just what
# stock/allocation.py would pick, where it has enough.
FIRST = """
        SELECT level.id, level.on_hand - level.reserved INTO v_level, v_free
          FROM stock_level level
          JOIN stock_location location ON location.id = level.location_id
          JOIN stock_warehouse warehouse ON warehouse.id = location.warehouse_id
          LEFT JOIN stock_batch batch ON batch.id = level.batch_id
         WHERE level.variant_id = {variant} AND level.on_hand > level.reserved
           AND {warehouse} IN ('', warehouse.code)
           AND (p_granted IS NULL OR warehouse.code = ANY(p_granted))
           AND stock_is_sellable(level.condition, warehouse.is_active, batch.hold_state, batch.expires_on,
                                 warehouse.time_zone, p_at, 0)
           AND (level.owner_id IS NULL OR level.owner_id = p_partner OR EXISTS (
               SELECT FROM stock_ownergrant g
                WHERE g.owner_id = level.owner_id AND (g.partner_id IS NULL OR g.partner_id = p_partner)))
         ORDER BY batch.expires_on NULLS LAST, warehouse.code COLLATE "C", level.id LIMIT 1;
"""
CLAIM = """
    INSERT INTO stock_reservation
        (public_id, partner_id, reference, channel, fingerprint, state, expires_at, extensions, actor, version,
         created_at)
    VALUES (p_public_id, p_partner, p_reference, p_channel, p_fingerprint, 'open',
            clock_timestamp() + p_seconds * interval '1 second', 0, p_actor, 1, p_at)
    ON CONFLICT DO NOTHING RETURNING id, expires_at INTO made_id, made_until;
    IF made_id IS NULL THEN
        RETURN;
    END IF;
"""
# The common case in one call: every line can be filled from the level that is tried first. Whatever is not that
# plain answers without an id and is left to Python, under locks; nothing was written then.
RESERVE = f"""
CREATE OR REPLACE FUNCTION stock_reserve(
    p_public_id uuid, p_partner bigint, p_reference text, p_channel text, p_fingerprint text, p_seconds integer,
    p_variants bigint[], p_warehouses text[], p_quantities bigint[], p_granted text[],
    p_actor text, p_request_id text, p_at timestamptz, OUT made_id bigint, OUT made_until timestamptz
) LANGUAGE plpgsql {before.BY_KEY} AS $$
DECLARE
    v_level bigint;
    v_free bigint;
    v_levels bigint[] := '{{}}';
    v_places integer[] := '{{}}';
    v_none integer[] := '{{}}';
    v_sorted record;
BEGIN
    IF EXISTS (SELECT FROM stock_promiserule rule
                WHERE rule.variant_id = ANY(p_variants) OR rule.variant_id IS NULL) THEN
        RETURN;
    END IF;
    FOR place IN 1..cardinality(p_variants) LOOP
        {FIRST.format(variant="p_variants[place]", warehouse="p_warehouses[place]").strip()}
        IF v_free IS NULL OR v_free < p_quantities[place] OR v_level = ANY(v_levels) THEN
            RETURN;
        END IF;
        v_levels := v_levels || v_level;
        v_places := v_places || place;
        v_none := v_none || NULL::integer;
    END LOOP;
    {CLAIM.strip()}
    SELECT array_agg(pick.level ORDER BY pick.level) AS levels, array_agg(pick.quantity ORDER BY pick.level) AS quantities
      INTO v_sorted FROM unnest(v_levels, p_quantities) AS pick (level, quantity);
    PERFORM stock_keep(array_fill(made_id, ARRAY[cardinality(p_variants)]), p_variants, p_warehouses, p_quantities,
                       v_none, v_places, v_levels, p_quantities, v_sorted.levels, v_sorted.quantities,
                       p_actor, p_request_id, p_at);
END $$;
"""
# The same for a single line, which is most of them: the steps of stock_keep and stock_tell in a row, on plain
# values and from what was just read, cost a third less than arrays, loops and calls.
RESERVE_ONE = f"""
CREATE FUNCTION stock_reserve_one(
    p_public_id uuid, p_partner bigint, p_reference text, p_channel text, p_fingerprint text, p_seconds integer,
    p_variant bigint, p_warehouse text, p_quantity bigint, p_granted text[],
    p_actor text, p_request_id text, p_at timestamptz, OUT made_id bigint, OUT made_until timestamptz
) LANGUAGE plpgsql {before.BY_KEY} AS $$
DECLARE
    v_level bigint;
    v_free bigint;
    v_line bigint;
    v_kept record;
    v_about record;
    v_stands boolean;
BEGIN
    IF EXISTS (SELECT FROM stock_promiserule rule
                WHERE rule.variant_id = p_variant OR rule.variant_id IS NULL) THEN
        RETURN;
    END IF;
    {FIRST.format(variant="p_variant", warehouse="p_warehouse").strip()}
    IF v_free IS NULL OR v_free < p_quantity THEN
        RETURN;
    END IF;
    {CLAIM.strip()}
    UPDATE stock_level
       SET reserved = reserved + p_quantity, version = version + 1, updated_at = clock_timestamp()
     WHERE id = v_level AND on_hand - reserved >= p_quantity
    RETURNING location_id, batch_id, owner_id, condition, on_hand, reserved, version INTO v_kept;
    IF FOUND THEN
        SELECT variant.sku, warehouse.code, batch.number, batch.expires_on,
               stock_is_sellable(v_kept.condition, warehouse.is_active, batch.hold_state, batch.expires_on,
                                 warehouse.time_zone, p_at, 0) AS is_sellable
          INTO v_about
          FROM stock_location location
          JOIN stock_warehouse warehouse ON warehouse.id = location.warehouse_id
          JOIN catalog_variant variant ON variant.id = p_variant
          LEFT JOIN stock_batch batch ON batch.id = v_kept.batch_id
         WHERE location.id = v_kept.location_id;
        v_stands := v_about.is_sellable;
    END IF;
    IF v_stands IS NOT TRUE THEN
        RAISE EXCEPTION 'level % no longer has % units to promise', v_level, p_quantity USING ERRCODE = 'BS001';
    END IF;
    INSERT INTO stock_reservationline (reservation_id, variant_id, warehouse_code, quantity)
    VALUES (made_id, p_variant, p_warehouse, p_quantity) RETURNING id INTO v_line;
    INSERT INTO stock_allocation (line_id, level_id, quantity, consumed, freed)
    VALUES (v_line, v_level, p_quantity, 0, 0);
    IF v_kept.owner_id IS NOT NULL THEN
        PERFORM stock_tell(ARRAY[v_level], p_actor, p_request_id, p_at);
        RETURN;
    END IF;
    INSERT INTO partners_outboxevent
        (event_id, type, subject, payload, occurred_at, recorded_at, actor, request_id, addressee_ids,
         is_about_stock, supplier_ids, warehouse_code)
    VALUES (gen_random_uuid(), 'inventory.updated', 'inventory/' || v_about.code || '/' || v_about.sku,
            jsonb_build_object(
                'productId', v_about.sku, 'warehouseLocation', v_about.code, 'ownerId', NULL,
                'levels', jsonb_build_array(stock_level_told(
                    v_about.number, v_about.expires_on, v_kept.condition, v_kept.on_hand, v_kept.reserved,
                    v_kept.version))),
            p_at, clock_timestamp(), p_actor, p_request_id, '{{}}', true,
            ARRAY(SELECT supplier_id FROM catalog_supplieritem WHERE variant_id = p_variant ORDER BY supplier_id),
            v_about.code);
END $$;
"""
UNDO = "DROP FUNCTION stock_reserve_one; DROP FUNCTION stock_reserve; DROP FUNCTION stock_keep;"


class Migration(migrations.Migration):
    dependencies = [("stock", "0005_parent_is_never_stocked")]
    operations = [
        migrations.RunSQL([KEEP, RESERVE, RESERVE_ONE], [UNDO, before.KEEP, before.RESERVE]),
    ]
