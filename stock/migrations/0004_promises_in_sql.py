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

# One event for each variant, warehouse and owner touched. What is ours is told to all who may see the stock;
# what is another's, to the owner and those it grants it to.
TELL = """
CREATE FUNCTION stock_tell(p_levels bigint[], p_actor text, p_request_id text, p_at timestamptz)
RETURNS void LANGUAGE sql AS $$
    INSERT INTO partners_outboxevent
        (event_id, type, subject, payload, occurred_at, recorded_at, actor, request_id, addressee_ids,
         is_about_stock, supplier_ids, warehouse_code)
    SELECT gen_random_uuid(), 'inventory.updated',
           'inventory/' || warehouse.code || '/' || variant.sku || coalesce('/' || owner.code, ''),
           jsonb_build_object(
               'productId', variant.sku, 'warehouseLocation', warehouse.code, 'ownerId', owner.code,
               'levels', jsonb_agg(jsonb_build_object(
                   'batchNumber', batch.number, 'expirationDate', batch.expires_on, 'condition', level.condition,
                   'inventoryLevel', level.on_hand, 'reservedQuantity', level.reserved,
                   'availableQuantity', level.on_hand - level.reserved, 'version', level.version)
                   ORDER BY level.id)),
           p_at, clock_timestamp(), p_actor, p_request_id,
           CASE WHEN owner.id IS NULL THEN '{}' ELSE ARRAY(
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
     ORDER BY min(level.id)
$$;
"""

# Takes the locks itself, in id order, then looks again with a fresh snapshot: whoever changed a batch's hold
# or a warehouse holds or held these locks too. Answers the ids of the lines kept, or none when the picks no
# longer stand; then nothing was written.
KEEP = """
CREATE FUNCTION stock_keep(
    p_reservations bigint[], p_variants bigint[], p_warehouses text[], p_quantities bigint[], p_kit_lines integer[],
    p_pick_lines integer[], p_pick_levels bigint[], p_pick_quantities bigint[],
    p_actor text, p_request_id text, p_at timestamptz
) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    v_lines bigint[];
    v_standing bigint;
    v_asked bigint;
BEGIN
    PERFORM FROM stock_level WHERE id = ANY(p_pick_levels) ORDER BY id FOR NO KEY UPDATE;

    SELECT count(*), (SELECT count(DISTINCT id) FROM unnest(p_pick_levels) AS id)
      INTO v_standing, v_asked
      FROM (SELECT pick.level_id, sum(pick.quantity) AS quantity
              FROM unnest(p_pick_levels, p_pick_quantities) AS pick (level_id, quantity) GROUP BY 1) wanted
      JOIN stock_level level ON level.id = wanted.level_id
      JOIN stock_location location ON location.id = level.location_id
      JOIN stock_warehouse warehouse ON warehouse.id = location.warehouse_id
      LEFT JOIN stock_batch batch ON batch.id = level.batch_id
     WHERE level.on_hand - level.reserved >= wanted.quantity
       AND stock_is_sellable(level.condition, warehouse.is_active, batch.hold_state, batch.expires_on,
                             warehouse.time_zone, p_at, 0);
    IF v_standing <> v_asked THEN
        RETURN NULL;
    END IF;

    v_lines := ARRAY(SELECT nextval(pg_get_serial_sequence('stock_reservationline', 'id'))
                       FROM generate_series(1, cardinality(p_variants)));
    INSERT INTO stock_reservationline (id, reservation_id, variant_id, warehouse_code, quantity, kit_line_id)
    SELECT v_lines[line.place], line.reservation_id, line.variant_id, line.warehouse_code, line.quantity,
           v_lines[line.kit_line]
      FROM unnest(p_reservations, p_variants, p_warehouses, p_quantities, p_kit_lines) WITH ORDINALITY
        AS line (reservation_id, variant_id, warehouse_code, quantity, kit_line, place);
    INSERT INTO stock_allocation (line_id, level_id, quantity, consumed, freed)
    SELECT v_lines[pick.line], pick.level_id, pick.quantity, 0, 0
      FROM unnest(p_pick_lines, p_pick_levels, p_pick_quantities) AS pick (line, level_id, quantity);
    UPDATE stock_level level
       SET reserved = level.reserved + wanted.quantity, version = level.version + 1, updated_at = clock_timestamp()
      FROM (SELECT pick.level_id, sum(pick.quantity) AS quantity
              FROM unnest(p_pick_levels, p_pick_quantities) AS pick (level_id, quantity) GROUP BY 1) wanted
     WHERE level.id = wanted.level_id;
    PERFORM stock_tell(p_pick_levels, p_actor, p_request_id, p_at);
    RETURN v_lines;
END $$;
"""
# Insert the header first: the unique index makes twins wait, and who gets no id back is the second.
CLAIM = """
CREATE FUNCTION stock_claim(
    p_public_id uuid, p_partner bigint, p_reference text, p_channel text, p_fingerprint text, p_seconds integer,
    p_actor text, p_at timestamptz, OUT id bigint, OUT expires_at timestamptz
) LANGUAGE sql AS $$
    INSERT INTO stock_reservation
        (public_id, partner_id, reference, channel, fingerprint, state, expires_at, extensions, actor, version,
         created_at)
    VALUES (p_public_id, p_partner, p_reference, p_channel, p_fingerprint, 'open',
            clock_timestamp() + p_seconds * interval '1 second', 0, p_actor, 1, p_at)
    ON CONFLICT DO NOTHING RETURNING id, expires_at
$$;
"""
# Claim and keep in one call. `lines` null beside an id: the picks no longer stand, and the claim was taken back.
PROMISE = """
CREATE FUNCTION stock_promise(
    p_public_id uuid, p_partner bigint, p_reference text, p_channel text, p_fingerprint text, p_seconds integer,
    p_variants bigint[], p_warehouses text[], p_quantities bigint[], p_kit_lines integer[],
    p_pick_lines integer[], p_pick_levels bigint[], p_pick_quantities bigint[],
    p_actor text, p_request_id text, p_at timestamptz,
    OUT id bigint, OUT expires_at timestamptz, OUT lines bigint[]
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    SELECT made.id, made.expires_at INTO $17, $18
      FROM stock_claim(p_public_id, p_partner, p_reference, p_channel, p_fingerprint, p_seconds, p_actor, p_at) made;
    IF $17 IS NULL THEN
        RETURN;
    END IF;
    $19 := stock_keep(array_fill($17, ARRAY[cardinality(p_variants)]), p_variants, p_warehouses, p_quantities,
                      p_kit_lines, p_pick_lines, p_pick_levels, p_pick_quantities, p_actor, p_request_id, p_at);
    IF $19 IS NULL THEN
        DELETE FROM stock_reservation WHERE stock_reservation.id = $17;
    END IF;
END $$;
"""
UNDO = """
DROP FUNCTION stock_promise; DROP FUNCTION stock_claim; DROP FUNCTION stock_keep; DROP FUNCTION stock_tell;
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
        migrations.RunSQL([SELLABLE, TELL, KEEP, CLAIM, PROMISE], UNDO),
        migrations.RunPython(add_rows, migrations.RunPython.noop),
    ]
