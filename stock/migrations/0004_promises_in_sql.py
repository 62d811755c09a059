"""The hot path of the stock book in SQL, room for HOT updates, guards of the new tables, and the reasons.

The functions are the database's half of `stock/ledger.py` and are called from nowhere else.
"""

from django.db import migrations

# A level is changed far more often than it is made; free room in its page keeps the change within the page.
ROOM = "ALTER TABLE stock_level SET (fillfactor = 70); ALTER TABLE stock_allocation SET (fillfactor = 85);"
NO_ROOM = "ALTER TABLE stock_level RESET (fillfactor); ALTER TABLE stock_allocation RESET (fillfactor);"

GUARDS = """
CREATE TRIGGER seal_is_never_changed BEFORE UPDATE OR DELETE ON stock_seal
    FOR EACH ROW EXECUTE FUNCTION backstock_refuse('a seal stands for ever');
CREATE TRIGGER seal_is_never_truncated BEFORE TRUNCATE ON stock_seal
    FOR EACH STATEMENT EXECUTE FUNCTION backstock_refuse('a seal stands for ever');
CREATE TRIGGER serial_is_never_deleted BEFORE DELETE ON stock_serial
    FOR EACH ROW EXECUTE FUNCTION backstock_refuse('its life is part of the ledger');
CREATE TRIGGER serial_movement_is_never_changed BEFORE UPDATE OR DELETE ON stock_serialmovement
    FOR EACH ROW EXECUTE FUNCTION backstock_refuse('its life is part of the ledger');
CREATE TRIGGER batch_is_never_deleted BEFORE DELETE ON stock_batch
    FOR EACH ROW EXECUTE FUNCTION backstock_refuse('the ledger refers to it');

CREATE FUNCTION stock_level_is_of_no_kit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM catalog_kitcomponent WHERE kit_id = NEW.variant_id) THEN
        RAISE EXCEPTION 'a kit is never stocked, its components are' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'level_of_a_sku_not_a_kit';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER level_is_of_no_kit BEFORE INSERT ON stock_level
    FOR EACH ROW EXECUTE FUNCTION stock_level_is_of_no_kit();

CREATE FUNCTION stock_kit_is_not_stocked() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM stock_level WHERE variant_id = NEW.kit_id) THEN
        RAISE EXCEPTION 'what is stocked cannot become a kit' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'kit_is_not_stocked';
    END IF;
    IF EXISTS (SELECT FROM catalog_kitcomponent WHERE kit_id = NEW.component_id)
       OR EXISTS (SELECT FROM catalog_kitcomponent WHERE component_id = NEW.kit_id) THEN
        RAISE EXCEPTION 'a kit holds no kits' USING ERRCODE = 'check_violation', CONSTRAINT = 'kit_holds_no_kits';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER kit_is_not_stocked BEFORE INSERT OR UPDATE ON catalog_kitcomponent
    FOR EACH ROW EXECUTE FUNCTION stock_kit_is_not_stocked();
"""
NO_GUARDS = """
DROP TRIGGER level_is_of_no_kit ON stock_level;
DROP FUNCTION stock_level_is_of_no_kit();
DROP TRIGGER kit_is_not_stocked ON catalog_kitcomponent;
DROP FUNCTION stock_kit_is_not_stocked();
DROP TRIGGER batch_is_never_deleted ON stock_batch;
DROP TRIGGER serial_movement_is_never_changed ON stock_serialmovement;
DROP TRIGGER serial_is_never_deleted ON stock_serial;
DROP TRIGGER seal_is_never_truncated ON stock_seal;
DROP TRIGGER seal_is_never_changed ON stock_seal;
"""

# A handful of rows, each found by its key, in the order the joins are written: the planner, who knows neither,
# would start from the small tables, scan them for each row, and plan anew for each array.
BY_KEY = "SET plan_cache_mode = force_generic_plan SET join_collapse_limit = 1 SET enable_seqscan = off"

# The one predicate of what may be promised; see stock/models/level.py. PostgreSQL inlines it.
SELLABLE = """
CREATE FUNCTION stock_is_sellable(
    p_condition text, p_is_active boolean, p_hold_state text, p_expires_on date, p_time_zone text, p_at timestamptz,
    p_days integer
) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT p_condition = 'sellable' AND p_is_active AND coalesce(p_hold_state, 'released') = 'released'
       AND (p_expires_on IS NULL OR p_expires_on >= (p_at AT TIME ZONE p_time_zone)::date + p_days)
$$;
"""

# A level as events tell it. PostgreSQL inlines it, since it claims no more than what it calls (STABLE).
LEVEL = """
CREATE FUNCTION stock_level_told(
    p_batch text, p_expires_on date, p_condition text, p_on_hand bigint, p_reserved bigint, p_version bigint
) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'batchNumber', p_batch, 'expirationDate', p_expires_on, 'condition', p_condition, 'inventoryLevel', p_on_hand,
        'reservedQuantity', p_reserved, 'availableQuantity', p_on_hand - p_reserved, 'version', p_version)
$$;
"""

# PL/pgSQL keeps the plans of its statements; a function in plain SQL is planned anew at each call, which costs
# more than running it.

# One event for each variant, warehouse and owner touched. What is ours is told to all who may see the stock;
# what is another's, to the owner and those it grants it to.
TELL = f"""
CREATE FUNCTION stock_tell(p_levels bigint[], p_actor text, p_request_id text, p_at timestamptz)
RETURNS void LANGUAGE plpgsql {BY_KEY} AS $$
BEGIN
    INSERT INTO partners_outboxevent
        (event_id, type, subject, payload, occurred_at, recorded_at, actor, request_id, addressee_ids,
         is_about_stock, supplier_ids, warehouse_code)
    SELECT gen_random_uuid(), 'inventory.updated',
           'inventory/' || warehouse.code || '/' || variant.sku || coalesce('/' || owner.code, ''),
           jsonb_build_object(
               'productId', variant.sku, 'warehouseLocation', warehouse.code, 'ownerId', owner.code,
               'levels', jsonb_agg(stock_level_told(batch.number, batch.expires_on, level.condition, level.on_hand,
                                                    level.reserved, level.version) ORDER BY level.id)),
           p_at, clock_timestamp(), p_actor, p_request_id,
           CASE WHEN owner.id IS NULL THEN '{{}}' ELSE ARRAY(
               SELECT DISTINCT told FROM (SELECT owner.id AS told UNION ALL
                   SELECT partner_id FROM stock_ownergrant g WHERE g.owner_id = owner.id AND partner_id IS NOT NULL) t
                ORDER BY told) END,
           owner.id IS NULL
               OR EXISTS (SELECT FROM stock_ownergrant g WHERE g.owner_id = owner.id AND g.partner_id IS NULL),
           ARRAY(SELECT supplier_id FROM catalog_supplieritem WHERE variant_id = variant.id ORDER BY supplier_id),
           warehouse.code
      FROM stock_level level
      JOIN catalog_variant variant ON variant.id = level.variant_id
      JOIN stock_location location ON location.id = level.location_id
      JOIN stock_warehouse warehouse ON warehouse.id = location.warehouse_id
      LEFT JOIN stock_batch batch ON batch.id = level.batch_id
      LEFT JOIN partners_partner owner ON owner.id = level.owner_id
     WHERE level.id = ANY(p_levels)
     GROUP BY variant.id, warehouse.id, owner.id
     ORDER BY min(level.id);
END $$;
"""

# Takes the locks itself, in id order, then looks again with a fresh snapshot: whoever changed a batch's hold
# or a warehouse holds or held these locks too. Answers the ids of the lines kept, or null when the picks no
# longer stand; then nothing was written. Loops over rows found by their key: for the one or five lines of
# most reservations that costs a fraction of what joins of unnested arrays do.
KEEP = f"""
CREATE FUNCTION stock_keep(
    p_reservations bigint[], p_variants bigint[], p_warehouses text[], p_quantities bigint[], p_kit_lines integer[],
    p_pick_lines integer[], p_pick_levels bigint[], p_pick_quantities bigint[],
    p_levels bigint[], p_level_quantities bigint[],
    p_actor text, p_request_id text, p_at timestamptz
) RETURNS bigint[] LANGUAGE plpgsql {BY_KEY} AS $$
DECLARE
    v_lines bigint[] := '{{}}';
    v_line bigint;
    v_level record;
BEGIN
    PERFORM FROM stock_level WHERE id = ANY(p_levels) ORDER BY id FOR NO KEY UPDATE;
    FOR place IN 1..cardinality(p_levels) LOOP
        SELECT level.on_hand - level.reserved >= p_level_quantities[place]
               AND stock_is_sellable(level.condition, warehouse.is_active, batch.hold_state, batch.expires_on,
                                     warehouse.time_zone, p_at, 0) AS stands,
               level.variant_id, level.owner_id, level.condition, level.on_hand, level.reserved, level.version,
               variant.sku, warehouse.code, batch.number, batch.expires_on
          INTO v_level
          FROM stock_level level
          JOIN catalog_variant variant ON variant.id = level.variant_id
          JOIN stock_location location ON location.id = level.location_id
          JOIN stock_warehouse warehouse ON warehouse.id = location.warehouse_id
          LEFT JOIN stock_batch batch ON batch.id = level.batch_id
         WHERE level.id = p_levels[place];
        IF v_level.stands IS NOT TRUE THEN
            RETURN NULL;
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
    FOR place IN 1..cardinality(p_levels) LOOP
        UPDATE stock_level
           SET reserved = reserved + p_level_quantities[place], version = version + 1, updated_at = clock_timestamp()
         WHERE id = p_levels[place];
    END LOOP;
    IF cardinality(p_levels) = 1 AND v_level.owner_id IS NULL THEN
        -- What stock_tell would say, from what was just read.
        INSERT INTO partners_outboxevent
            (event_id, type, subject, payload, occurred_at, recorded_at, actor, request_id, addressee_ids,
             is_about_stock, supplier_ids, warehouse_code)
        VALUES (gen_random_uuid(), 'inventory.updated', 'inventory/' || v_level.code || '/' || v_level.sku,
                jsonb_build_object(
                    'productId', v_level.sku, 'warehouseLocation', v_level.code, 'ownerId', NULL,
                    'levels', jsonb_build_array(stock_level_told(
                        v_level.number, v_level.expires_on, v_level.condition, v_level.on_hand,
                        v_level.reserved + p_level_quantities[1], v_level.version + 1))),
                p_at, clock_timestamp(), p_actor, p_request_id, '{{}}', true,
                ARRAY(SELECT supplier_id FROM catalog_supplieritem WHERE variant_id = v_level.variant_id
                       ORDER BY supplier_id),
                v_level.code);
    ELSE
        PERFORM stock_tell(p_levels, p_actor, p_request_id, p_at);
    END IF;
    RETURN v_lines;
END $$;
"""
# The common case in one call: every line can be filled from the level that expires first of all it may have.
# stock/allocation.py picks just that level then (its warehouse is tried first and has enough); whatever is not
# that plain answers without an id and is left to Python, under locks. Nothing was written then.
RESERVE = f"""
CREATE FUNCTION stock_reserve(
    p_public_id uuid, p_partner bigint, p_reference text, p_channel text, p_fingerprint text, p_seconds integer,
    p_variants bigint[], p_warehouses text[], p_quantities bigint[], p_granted text[],
    p_actor text, p_request_id text, p_at timestamptz, OUT made_id bigint, OUT made_until timestamptz
) LANGUAGE plpgsql {BY_KEY} AS $$
DECLARE
    v_level bigint;
    v_free bigint;
    v_levels bigint[] := '{{}}';
    v_places integer[] := '{{}}';
    v_none integer[] := '{{}}';
BEGIN
    IF EXISTS (SELECT FROM stock_promiserule rule
                WHERE rule.variant_id = ANY(p_variants) OR rule.variant_id IS NULL) THEN
        RETURN;
    END IF;
    FOR place IN 1..cardinality(p_variants) LOOP
        SELECT level.id, level.on_hand - level.reserved INTO v_level, v_free
          FROM stock_level level
          JOIN stock_location location ON location.id = level.location_id
          JOIN stock_warehouse warehouse ON warehouse.id = location.warehouse_id
          LEFT JOIN stock_batch batch ON batch.id = level.batch_id
         WHERE level.variant_id = p_variants[place] AND level.on_hand > level.reserved
           AND p_warehouses[place] IN ('', warehouse.code)
           AND (p_granted IS NULL OR warehouse.code = ANY(p_granted))
           AND stock_is_sellable(level.condition, warehouse.is_active, batch.hold_state, batch.expires_on,
                                 warehouse.time_zone, p_at, 0)
           AND (level.owner_id IS NULL OR level.owner_id = p_partner OR EXISTS (
               SELECT FROM stock_ownergrant g
                WHERE g.owner_id = level.owner_id AND (g.partner_id IS NULL OR g.partner_id = p_partner)))
         ORDER BY batch.expires_on NULLS LAST, warehouse.code COLLATE "C", level.id LIMIT 1;
        IF v_free IS NULL OR v_free < p_quantities[place] OR v_level = ANY(v_levels) THEN
            RETURN;
        END IF;
        v_levels := v_levels || v_level;
        v_places := v_places || place;
        v_none := v_none || NULL::integer;
    END LOOP;
    INSERT INTO stock_reservation
        (public_id, partner_id, reference, channel, fingerprint, state, expires_at, extensions, actor, version,
         created_at)
    VALUES (p_public_id, p_partner, p_reference, p_channel, p_fingerprint, 'open',
            clock_timestamp() + p_seconds * interval '1 second', 0, p_actor, 1, p_at)
    ON CONFLICT DO NOTHING RETURNING id, expires_at INTO made_id, made_until;
    IF made_id IS NULL THEN
        RETURN;
    END IF;
    IF stock_keep(array_fill(made_id, ARRAY[cardinality(p_variants)]), p_variants, p_warehouses, p_quantities, v_none,
                  v_places, v_levels, p_quantities, v_levels, p_quantities, p_actor, p_request_id, p_at) IS NULL THEN
        DELETE FROM stock_reservation WHERE id = made_id;
        made_id := NULL;
    END IF;
END $$;
"""
# Many counted places at once. Only what is plain: a known product and warehouse, a known batch or none, tracked
# so, and no less than is promised. Everything else answers null and is left to Python, row by row.
STATE = """
CREATE FUNCTION stock_state(
    p_skus text[], p_warehouses text[], p_batches text[], p_expiries date[], p_on_hand bigint[], p_reasons text[],
    p_actor text, p_request_id text, p_at timestamptz
) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    v_changed bigint[];
BEGIN
    CREATE TEMP TABLE IF NOT EXISTS stock_stated (
        place integer, variant_id bigint, location_id bigint, batch_id bigint, on_hand bigint, reason text,
        level_id bigint
    ) ON COMMIT DELETE ROWS;
    DELETE FROM stock_stated;
    INSERT INTO stock_stated
    SELECT row.place, variant.id, location.id, batch.id, row.on_hand, row.reason, level.id
      FROM unnest(p_skus, p_warehouses, p_batches, p_expiries, p_on_hand, p_reasons) WITH ORDINALITY
        AS row (sku, warehouse, batch, expires_on, on_hand, reason, place)
      JOIN catalog_variant variant ON variant.sku = row.sku AND NOT variant.is_parent
      JOIN stock_warehouse warehouse ON warehouse.code = row.warehouse
      JOIN stock_location location ON location.warehouse_id = warehouse.id AND location.is_default
      LEFT JOIN stock_batch batch ON batch.variant_id = variant.id AND batch.number = row.batch
      LEFT JOIN stock_level level ON level.variant_id = variant.id AND level.location_id = location.id
       AND level.batch_id IS NOT DISTINCT FROM batch.id AND level.condition = 'sellable' AND level.owner_id IS NULL
     WHERE CASE WHEN row.batch = '' THEN variant.tracking = 'none' AND row.expires_on IS NULL
                ELSE variant.tracking <> 'serial' AND batch.id IS NOT NULL
                     AND (row.expires_on IS NULL OR row.expires_on = batch.expires_on) END
       AND (level.id IS NOT NULL OR NOT EXISTS (SELECT FROM catalog_kitcomponent WHERE kit_id = variant.id));

    -- Who makes a level holds its batch and its product meanwhile; see stock/ledger.py.
    PERFORM FROM stock_batch WHERE id IN (SELECT batch_id FROM stock_stated WHERE level_id IS NULL) ORDER BY id FOR SHARE;
    PERFORM FROM catalog_variant WHERE id IN (SELECT variant_id FROM stock_stated WHERE level_id IS NULL)
      ORDER BY id FOR KEY SHARE;
    INSERT INTO stock_level (variant_id, location_id, batch_id, condition, on_hand, reserved, version, updated_at)
    SELECT variant_id, location_id, batch_id, 'sellable', 0, 0, 0, clock_timestamp()
      FROM stock_stated WHERE level_id IS NULL ORDER BY variant_id, location_id, batch_id
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
        UPDATE stock_stated stated SET level_id = level.id FROM stock_level level
         WHERE stated.level_id IS NULL AND level.variant_id = stated.variant_id
           AND level.location_id = stated.location_id AND level.batch_id IS NOT DISTINCT FROM stated.batch_id
           AND level.condition = 'sellable' AND level.owner_id IS NULL;
    END IF;
    PERFORM FROM stock_level WHERE id IN (SELECT level_id FROM stock_stated) ORDER BY id FOR NO KEY UPDATE;

    DELETE FROM stock_stated stated USING stock_level level
     WHERE level.id = stated.level_id AND stated.on_hand < level.reserved;
    INSERT INTO stock_movement
        (variant_id, batch_id, quantity, from_location_id, from_condition, to_location_id, to_condition, kind, reason,
         reference, actor, request_id, occurred_at, recorded_at)
    SELECT stated.variant_id, stated.batch_id, abs(stated.on_hand - level.on_hand),
           CASE WHEN stated.on_hand > level.on_hand THEN -3 ELSE stated.location_id END,
           CASE WHEN stated.on_hand > level.on_hand THEN '' ELSE 'sellable' END,
           CASE WHEN stated.on_hand > level.on_hand THEN stated.location_id ELSE -4 END,
           CASE WHEN stated.on_hand > level.on_hand THEN 'sellable' ELSE '' END,
           'adjustment', stated.reason, '', p_actor, p_request_id, p_at, clock_timestamp()
      FROM stock_stated stated JOIN stock_level level ON level.id = stated.level_id
     WHERE stated.on_hand <> level.on_hand ORDER BY stated.place;
    WITH changed AS (
        UPDATE stock_level level SET on_hand = stated.on_hand, version = level.version + 1, updated_at = clock_timestamp()
          FROM stock_stated stated WHERE level.id = stated.level_id AND level.on_hand <> stated.on_hand
        RETURNING level.id
    ) SELECT coalesce(array_agg(id), '{}') INTO v_changed FROM changed;
    PERFORM stock_tell(v_changed, p_actor, p_request_id, p_at);

    RETURN ARRAY(
        SELECT CASE WHEN stated.place IS NULL THEN NULL WHEN changed.id IS NOT NULL THEN 'changed'
                    ELSE 'unchanged' END
          FROM generate_series(1, cardinality(p_skus)) AS place LEFT JOIN stock_stated stated USING (place)
          LEFT JOIN unnest(v_changed) AS changed (id) ON changed.id = stated.level_id
         ORDER BY place);
END $$;
"""
UNDO = """
DROP FUNCTION stock_state;
DROP FUNCTION stock_reserve; DROP FUNCTION stock_keep; DROP FUNCTION stock_tell; DROP FUNCTION stock_level_told;
DROP FUNCTION stock_is_sellable;
"""

REASONS = [
    ("count-variance", "Difference found in a count", "adjustment", "lost"),
    ("entry-error", "Wrong booking set right", "adjustment", "lost"),
    ("missing", "Cannot be found", "adjustment", "lost"),
    ("theft", "Stolen", "adjustment", "lost"),
    ("own-use", "Used by ourselves", "adjustment", "consumed"),
    ("sample", "Given away as a sample", "adjustment", "consumed"),
    ("donation", "Donated", "adjustment", "consumed"),
    ("expired", "Past its date", "writeOff", "scrap"),
    ("broken", "Broken or spoiled", "writeOff", "scrap"),
    ("recalled", "Recalled and destroyed", "writeOff", "scrap"),
    ("quality", "Failed inspection", "writeOff", "scrap"),
]


def add_rows(apps, schema_editor):
    location = apps.get_model("stock", "Location")
    for place, kind in ((-7, "consumed"), (-8, "conversion")):
        location.objects.get_or_create(id=place, defaults={"code": kind, "kind": kind})
    reason = apps.get_model("stock", "Reason")
    reason.objects.bulk_create(
        reason(code=code, name=name, operation=operation, place=place) for code, name, operation, place in REASONS
    )


class Migration(migrations.Migration):
    dependencies = [("stock", "0003_the_whole_warehouse"), ("catalog", "0002_kits_and_packs_in_stock")]
    operations = [
        migrations.RunSQL(ROOM, NO_ROOM),
        migrations.RunSQL(GUARDS, NO_GUARDS),
        migrations.RunSQL([SELLABLE, LEVEL, TELL, KEEP, RESERVE, STATE], UNDO),
        migrations.RunPython(add_rows, migrations.RunPython.noop),
    ]
