"""Products are held to the schema of their type, whichever door they come by."""

from __future__ import annotations

import contextlib
import io
import json
import threading

import pytest
from django.core.management import call_command
from django.db import IntegrityError, InternalError, connection, transaction
from django.urls import reverse

from catalog import queries, tasks
from catalog.models import ProductType, ProductTypeSchema, Variant
from catalog.operations import plans, products, ranges, types
from catalog.operations.types import SchemaMovedOn
from inventory_site.celery import TIMETABLE
from partners import files
from partners.problems import InvalidInput
from tests import make

SCHEMA = {
    "type": "object",
    "properties": {
        "spf": {"type": "integer", "minimum": 1, "x-filter": True},
        "shade": {"type": "string", "x-filter": True},
        "tags": {"type": "array", "items": {"type": "string"}, "x-filter": True},
        "vegan": {"type": "boolean", "x-filter": True},
        "note": {"type": "string"},
    },
}
CREAM = {"productId": "CREAM", "name": "Cream", "productType": "care", "attributes": {"spf": 30, "shade": "30"}}


@pytest.fixture
def care(db) -> ProductType:
    """A type of our own with one version of a schema."""
    kind = ProductType.objects.create(code="care", name="Care")
    types.revise_schema(product_type=kind, schema=SCHEMA, based_on=0, actor=make.TESTER)
    return kind


@pytest.fixture
def shop(db):
    return make.make_partner(code="SHOP", kind="channel")


def change(client, sku, body, method="PATCH"):
    version = Variant.objects.get(sku=sku).version
    return client.request(method, f"/products/{sku}", body, headers={"If-Match": f'"{version}"'})


def load(tmp_path, text, name="products.csv") -> str:
    path, err = tmp_path / name, io.StringIO()
    path.write_text(text)
    with contextlib.suppress(SystemExit):
        call_command("load_catalog", str(path), stdout=io.StringIO(), stderr=err)
    return err.getvalue()


def typed(client, **changes) -> str:
    """The product's page after staff saved it so."""
    variant = Variant.objects.get(sku="CREAM")
    url = reverse("admin:catalog_variant_change", args=[variant.pk])
    form = client.get(url).context["adminform"].form
    data = {name: form.initial.get(name) or "" for name in form.fields}
    data |= {"attributes": json.dumps(variant.attributes), "axes": "", "axis_values": ""} | changes
    for prefix in (
        "packs",
        "identifiers",
        "components",
        "supplier_items",
        "fitments",
        "equivalents",
        "regulatory_notes",
    ):
        data |= {f"{prefix}-TOTAL_FORMS": "0", f"{prefix}-INITIAL_FORMS": "0"}
    return client.post(url, data, follow=True).content.decode()


def test_every_door_holds_attributes_to_the_schema_and_names_them(api, shop, care, tmp_path, client, staff):
    shop = api(shop)
    made = shop.post("/products", CREAM)
    assert (made.status_code, made.json()["schemaVersion"]) == (201, 1)
    before = list(Variant.objects.values())
    wrong = {"attributes": {"spf": "30", "shade": "x"}}
    for answer in (
        shop.post("/products", CREAM | {"productId": "OTHER"} | wrong),
        change(shop, "CREAM", wrong),
        change(shop, "CREAM", {"productId": "CREAM", "name": "x"} | wrong, "PUT"),
    ):
        [error] = answer.json()["errors"]
        assert (answer.status_code, error) == (
            422,
            {"field": "attributes.spf", "pointer": "#/attributes/spf", "detail": "Send a whole number."},
        )
    refused = load(tmp_path, "productId,name,productType,attributes.spf\nCREAM,x,care,high\nNEW,x,care,0\n")
    assert refused == "row 2: attributes.spf: Send a whole number.\nrow 3: attributes.spf: At least 1.\n"
    lines = json.dumps({"productId": "CREAM", "attributes": {"spf": "30"}})
    assert load(tmp_path, lines, "a.jsonl") == "row 1: attributes.spf: Send a whole number.\n"
    client.force_login(staff)
    assert "spf: Send a whole number." in typed(client, attributes='{"spf": "30"}')
    assert list(Variant.objects.values()) == before


def test_a_tables_cells_become_the_types_own_values(care, tmp_path):
    rows = "productId,name,productType,attributes.spf,attributes.shade,attributes.tags,attributes.vegan,attributes.x\n"
    assert load(tmp_path, rows + "A,x,care,50,50,fine|50,true,50\n") == ""
    said = {"spf": 50, "shade": "50", "tags": ["fine", "50"], "vegan": True, "x": "50"}
    assert Variant.objects.get().attributes == said


def test_staff_saves_a_product_by_the_same_operation(api, shop, care, client, staff):
    api(shop).post("/products", CREAM)
    client.force_login(staff)
    typed(client, attributes='{"spf": 50}', name="Cream 50")
    variant = Variant.objects.get(sku="CREAM")
    assert (variant.name, variant.attributes, variant.version) == ("Cream 50", {"spf": 50}, 2)
    assert variant.history.first().actor == "staff:keeper"
    typed(client)
    assert Variant.objects.get(sku="CREAM").version == 2, "saving what is so changes nothing"


@pytest.mark.parametrize(
    ("field", "typed_in"),
    [
        ("attributes", '{"a": NaN}'), ("attributes", '{"a": "\\u0000"}'), ("attributes", "[]"), ("attributes", "5"),
        ("attributes", '{"a": {"b": 1}}'), ("axes", "a\x00"), ("axes", "size, Size"), ("axes", "a, b, c, d, e, f"),
        ("axis_values", "a: b\x00"), ("axis_values", "x"), ("axis_values", "a: b\na: c"), ("axis_values", "a: b"),
    ],
)  # fmt: skip
def test_whatever_staff_types_is_answered_and_nothing_was_saved(care, client, staff, field, typed_in):
    products.create(sku="CREAM", fields={"name": "Cream", "product_type": "care"}, actor=make.TESTER)
    before = list(Variant.objects.values())
    client.force_login(staff)
    assert typed(client, **{field: typed_in})
    assert list(Variant.objects.values()) == before


def test_old_products_keep_their_version_until_their_attributes_change(api, shop, care):
    client = api(shop)
    client.post("/products", CREAM)
    stricter = SCHEMA | {"required": ["note"]}
    types.revise_schema(product_type=care, schema=stricter, based_on=1, actor=make.TESTER)
    renamed = change(client, "CREAM", {"name": "Creme", "attributes": CREAM["attributes"]})
    assert (renamed.status_code, renamed.json()["schemaVersion"]) == (200, 1)
    refused = change(client, "CREAM", {"attributes": {"spf": 31}})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "attributes.note")
    revised = change(client, "CREAM", {"attributes": {"spf": 31, "note": "x"}})
    assert (revised.status_code, revised.json()["schemaVersion"]) == (200, 2)
    moved = change(client, "CREAM", {"productType": "never-seen"})
    assert (moved.status_code, moved.json()["schemaVersion"]) == (200, None), "a type not seen before takes anything"
    back = change(client, "CREAM", {"productType": "care", "attributes": {"spf": 31}})
    assert (back.status_code, back.json()["errors"][0]["field"]) == (422, "attributes.note")


def test_a_parent_may_leave_out_what_its_variants_say_each(api, shop, care):
    required = SCHEMA | {"required": ["shade"]}
    types.revise_schema(product_type=care, schema=required, based_on=1, actor=make.TESTER)
    client = api(shop)
    body = {"productId": "TREE", "name": "x", "productType": "care"}
    assert client.post("/products", body | {"attributes": {"spf": 5}}).status_code == 422
    assert client.post("/products", body | {"attributes": {"spf": 5}, "axes": ["shade"]}).status_code == 201


def test_a_version_stands_on_the_one_it_was_made_from_and_is_never_changed(care):
    other = SCHEMA | {"additionalProperties": False}
    same = types.revise_schema(product_type=care, schema=SCHEMA, based_on=1, actor=make.TESTER)
    assert same.version == 1, "saying what is so adds nothing"
    made = types.revise_schema(product_type=care, schema=other, based_on=1, actor=make.TESTER, note="Closed")
    assert (made.version, made.actor) == (2, "job:tests")
    with pytest.raises(SchemaMovedOn) as found:
        types.revise_schema(product_type=care, schema=SCHEMA, based_on=1, actor=make.TESTER)
    assert found.value.data == {"version": 2}
    with pytest.raises(InvalidInput):
        types.revise_schema(product_type=care, schema={"type": "array"}, based_on=2, actor=make.TESTER)
    for statement in ("UPDATE catalog_producttypeschema SET version = 9", "DELETE FROM catalog_producttypeschema"):
        with (
            pytest.raises((IntegrityError, InternalError)) as refused,
            transaction.atomic(),
            connection.cursor() as sql,
        ):
            sql.execute(statement)
        assert "make a new version" in str(refused.value)
    assert list(ProductTypeSchema.objects.filter(product_type=care).values_list("version", flat=True)) == [2, 1]


def test_the_delivered_types_fit_what_beauty_food_and_auto_say(api, shop):
    client = api(shop)
    for kind, attributes in {
        "beauty": {"shade": "355N", "shadeCode": "355", "hex": "#EBC099", "spf": 15, "periodAfterOpeningMonths": 12,
                   "inci": ["Aqua", "Glycerin"], "volume": "30 ml", "volumeMl": 30},
        "food": {"heat": "hot", "scoville": 5000, "allergens": ["mustard", "celery"], "netContent": "150 ml",
                 "ingredients": "Water, jalapeño", "salt": 1.2, "energyKj": 200, "vegan": True},
        "auto": {"brandPartNumber": "BRK-4417", "brandAaiaId": "ZZIR", "position": "Front", "material": "Cast iron",
                 "isRemanufactured": False, "weightKg": 7.5},
    }.items():  # fmt: skip
        sent = {"productId": kind, "name": kind, "productType": kind, "attributes": attributes}
        made = client.post("/products", sent)
        assert (made.status_code, made.json()["schemaVersion"]) == (201, 1), made.json()
    for kind, attributes, field in (
        ("beauty", {"hex": "red"}, "attributes.hex"),
        ("food", {"allergens": ["pollen"]}, "attributes.allergens[0]"),
        ("food", {"scoville": 16_000_001}, "attributes.scoville"),
        ("auto", {"brandAaiaId": "zz"}, "attributes.brandAaiaId"),
    ):
        answer = change(client, kind, {"attributes": attributes})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


def test_a_filter_has_the_declared_type(api, shop, care):
    client = api(shop)
    for sku, attributes in (
        ("A", {"spf": 30, "shade": "30", "tags": ["fine", "30"], "vegan": True}),
        ("B", {"spf": 50, "shade": "x", "vegan": False}),
    ):
        client.post("/products", CREAM | {"productId": sku, "attributes": attributes})
    make.make_variant(sku="TEXT", attributes={"spf": "30"})

    def found(query):
        return [row["productId"] for row in client.get(f"/products?{query}").json()["items"]]

    assert found("productType=care&attributes.spf=30") == ["A"]
    assert found("productType=care&attributes.shade=30") == ["A"]
    assert found("productType=care&attributes.tags=30") == ["A"]
    assert found("productType=care&attributes.vegan=false") == ["B"]
    assert found("productType=care&attributes.spf.min=30&attributes.spf.max=49.5") == ["A"]
    assert found("productType=care&attributes.spf.min=31") == ["B"]
    assert found("productType=care&attributes.spf.max=50") == ["A", "B"]
    assert found("attributes.spf=30") == ["A", "TEXT"], "without the type, text and number are both meant"
    assert found("attributes.never=30") == []
    assert found("productType=general&attributes.spf=30") == ["TEXT"], "a type without a schema declares nothing"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("attributes.spf=high", "attributes.spf: this is a whole number."),
        ("attributes.spf=1.5", "attributes.spf: this is a whole number."),
        ("attributes.vegan=1", "attributes.vegan: this is true or false."),
        ("attributes.note=x", "can be asked for shade, spf, tags, vegan, spf.min, spf.max."),
        ("attributes.shade.min=3", "can be asked for"),
        ("attributes.spf.min=NaN", "attributes.spf.min: write a number."),
        ("attributes.spf.min=1e9", "attributes.spf.min: write a number."),
        ("attributes.=x", "write attributes.<name>=<value>"),
        ("attributes.spf=%00", "write attributes.<name>=<value>"),
        ("attributes.spf=" + "9" * 501, "write attributes.<name>=<value>"),
        ("&".join(f"attributes.{n}=1" for n in range(21)), "At most 20"),
    ],
)
def test_a_filter_that_cannot_be_is_refused_by_name(api, shop, care, query, said):
    answer = api(shop).get(f"/products?productType=care&{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
    assert said in answer.json()["detail"]


def test_a_range_needs_the_type_that_declares_it(api, shop, care):
    answer = api(shop).get("/products?attributes.spf.min=30")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
    assert answer.json()["detail"].startswith("attributes.spf.min: name a productType too")


def test_the_types_say_their_schema_and_what_can_be_asked_for(api, shop, care, django_assert_num_queries):
    client = api(shop)
    [row] = client.get("/productTypes?code=care").json()["items"]
    assert (row["schemaVersion"], row["schema"]) == (1, SCHEMA)
    assert {"name": "spf", "types": ["integer"], "isRange": True} in row["filters"]
    [plain] = client.get("/productTypes?code=general").json()["items"]
    assert (plain["schemaVersion"], plain["schema"], plain["filters"]) == (None, None, [])
    with django_assert_num_queries(3):
        assert len(client.get("/productTypes").json()["items"]) == 5
    with django_assert_num_queries(3):
        client.get("/products?productType=care&attributes.spf=30&attributes.spf.min=3&attributes.shade=x")  # none found


def test_ranges_get_an_index_each_that_answers_them_and_lose_it_when_no_longer_declared(own_database):
    kind = ProductType.objects.create(code="care", name="Care")
    types.revise_schema(product_type=kind, schema=SCHEMA, based_on=0, actor=make.TESTER)
    made, dropped = ranges.index_ranges()
    assert (made > 0, dropped) == (True, 0)
    assert ranges.index_ranges() == (0, 0)
    name = ranges.index_name("spf")
    with connection.cursor() as sql:
        sql.execute("SET enable_seqscan = off")
        sql.execute(
            "EXPLAIN SELECT id FROM catalog_variant"
            " WHERE (catalog_variant.attributes -> %s) BETWEEN %s::jsonb AND %s::jsonb", ["spf", "30", "1e400"],
        )  # fmt: skip
        assert name in str(sql.fetchall())
    others = {row["name"] for row in _filters_of_others() if row["isRange"]}
    assert made == len(others | {"spf"})
    plain = {"type": "object", "properties": {}}
    types.revise_schema(product_type=kind, schema=plain, based_on=1, actor=make.TESTER)
    assert ranges.index_ranges() == (0, 0 if "spf" in others else 1)


def test_indexes_are_left_to_whoever_makes_them_already_and_the_timetable_finds_what_was_forgotten(own_database):
    kind = ProductType.objects.create(code="care", name="Care")
    types.revise_schema(product_type=kind, schema=SCHEMA, based_on=0, actor=make.TESTER)
    other = connection.copy()
    with other.cursor() as sql:
        sql.execute("SELECT pg_advisory_lock(hashtext('catalog.ranges'))")
        assert ranges.index_ranges() == (0, 0)
    other.close()
    made = len({row["name"] for row in _filters_of_others() if row["isRange"]} | {"spf"})
    tasks.index_attributes.delay()
    with connection.cursor() as sql:
        sql.execute("SELECT count(*) FROM pg_class WHERE relname LIKE 'variant\\_range\\_%' AND relkind = 'i'")
        assert sql.fetchone()[0] >= made > 0
    assert ranges.index_ranges() == (0, 0)
    assert "catalog.tasks.index_attributes" in {row["task"] for row in TIMETABLE.values()}


def _filters_of_others() -> list[dict]:
    known = queries.newest_schemas()
    return [
        {"name": name, "isRange": name in validator.ranges}
        for code, (_, validator) in known.newest.items() if code != "care"
        for name in validator.filters
    ]  # fmt: skip


def schema_page(client, kind, **data):
    url = reverse("admin:catalog_producttype_schema", args=[kind.pk])
    return client.post(url, data, follow=True).content.decode() if data else client.get(url).content.decode()


def test_staff_tries_a_schema_on_the_products_there_are_and_saves_it(
    api, shop, care, client, staff, django_capture_on_commit_callbacks
):
    api(shop).post("/products", CREAM)
    client.force_login(staff)
    assert "Save as version 2" in schema_page(client, care)
    text = json.dumps(SCHEMA | {"required": ["note"]})
    tried = schema_page(client, care, schema=text, based_on="1", verb="try")
    assert "1 of 1" in tried
    assert "CREAM" in tried
    assert "Is missing." in tried
    assert ProductTypeSchema.objects.filter(product_type=care).count() == 1
    with django_capture_on_commit_callbacks() as after:
        assert "version 2 is the newest" in schema_page(
            client, care, schema=text, based_on="1", verb="save", note="Notes needed"
        )
    assert [one.args for one in after if hasattr(one, "args")] == [(tasks.index_attributes,)]
    moved_on = schema_page(client, care, schema=json.dumps(SCHEMA), based_on="1", verb="save")
    assert "Version 2 is the newest" in moved_on
    assert ProductTypeSchema.objects.filter(product_type=care).first().note == "Notes needed"


@pytest.mark.parametrize(
    "text", ["", "[", "5", '{"type": "string"}', "\x00", '{"type": "object", "$id": "x"}', "[" * 9_999]
)
def test_a_schema_that_may_not_be_kept_is_refused_on_the_page(care, client, staff, text):
    client.force_login(staff)
    for verb in ("try", "save"):
        assert "Save as version 2" in schema_page(client, care, schema=text, based_on="1", verb=verb)
    assert ProductTypeSchema.objects.filter(product_type=care).count() == 1


def test_only_staff_that_may_change_types_sees_the_schema_page(care, client, django_user_model):
    client.force_login(django_user_model.objects.create_user("guest", is_staff=True))
    assert client.get(reverse("admin:catalog_producttype_schema", args=["care"])).status_code == 403


def test_a_type_is_one_whatever_the_capitals_and_whichever_door_names_it(api, shop, care, tmp_path):
    client = api(shop)
    assert client.post("/products", CREAM | {"productType": "Care"}).json()["productType"] == "care"
    assert load(tmp_path, "productId,name,productType,attributes.spf\nLOTION,x,CARE,15\n") == ""
    rows = [files.Row(1, {"productId": "BALM", "name": "x", "productType": "cArE", "attributes.spf": "20"})]
    plan = plans.plan(rows=rows, kind="products", title="t", actor=make.TESTER)
    plans.apply(plan=plan, actor=make.TESTER)
    kept = {
        sku: (kind, attributes["spf"])
        for sku, kind, attributes in Variant.objects.values_list("sku", "product_type", "attributes")
    }
    assert kept == {"CREAM": ("care", 30), "LOTION": ("care", 15), "BALM": ("care", 20)}, "read by its schema, too"
    assert ProductType.objects.filter(code__iexact="care").count() == 1
    found = client.get("/products?productType=CARE&attributes.spf=20").json()["items"]
    assert [row["productId"] for row in found] == ["BALM"]
    with pytest.raises(IntegrityError, match="product_type_code_once"), transaction.atomic():
        ProductType.objects.create(code="CARE", name="Twin")


def test_a_supplier_names_only_types_the_house_registered(api, shop, supplier, care):
    mine = {"productId": "MINE", "name": "x"}
    client = api(supplier)
    refused = client.post("/products", mine | {"productType": "unheard-of"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "productType")
    assert not Variant.objects.exists()
    assert (
        client.post("/products", mine | {"productType": "Care", "attributes": CREAM["attributes"]}).status_code == 201
    )
    refused = change(client, "MINE", {"productType": "unheard-of"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "productType")
    rows = [files.Row(1, mine | {"productType": "unheard-of"}), files.Row(2, {"productId": "MORE", "name": "x", "productType": "care", "attributes.spf": "5"})]  # fmt: skip
    plan = plans.plan(rows=rows, kind="products", title="t", actor=make.TESTER, supplier=supplier)
    assert [(row.outcome, [field for field, _ in row.reasons]) for row in plan.rows.all()] == [
        ("refused", ["productType"]), ("new", []),
    ]  # fmt: skip
    assert not ProductType.objects.filter(code__iexact="unheard-of").exists()
    assert change(api(shop), "MINE", {"productType": "unheard-of"}).status_code == 200
    assert change(client, "MINE", {"productType": "UNHEARD-OF", "name": "y"}).json()["productType"] == "unheard-of"


def test_two_who_register_a_type_at_once_get_the_same(own_database):
    start, got = threading.Barrier(2), []

    def register(code):
        start.wait(10)
        got.append(types.named(code=code).code)
        connection.close()

    threads = [threading.Thread(target=register, args=[code]) for code in ("Toys", "toys")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(got) == 2
    assert set(got) == {ProductType.objects.get(code__iexact="toys").code}
