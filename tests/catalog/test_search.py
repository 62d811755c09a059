"""One search over the catalog: what is found, in which order, and by whom."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from django.db import connection

from catalog import search
from catalog.models import (
    Fitment,
    Identifier,
    InterchangeGroup,
    InterchangeMember,
    Pack,
    SearchVehicle,
    SearchWord,
    SupplierItem,
    Variant,
    VehicleAlias,
)
from catalog.models.identifier import plain_code
from catalog.operations import searching
from catalog.search import question
from tests import make

NAMES = Path(__file__).parent / "samples" / "real_names.csv"


@pytest.fixture
def shelf(db):
    """Real products, written as their makers and finders wrote them."""
    make.make_variant(sku="FIRST")
    with NAMES.open(newline="") as handle:
        Variant.objects.bulk_create(
            Variant(
                sku=row["sku"], name=row["name"], brand=row["brand"], product_type_id="general",
                attributes={"size": row["size"]},
            )
            for row in csv.DictReader(handle)
        )  # fmt: skip


def found(text, **kwargs):
    return [hit.sku for hit in search.find(text, **kwargs)]


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        # a SKU, whole, without its dash, and as far as it is typed
        ("OFF-0000886100252", ["OFF-0000886100252"]),
        ("off0000886100252", ["OFF-0000886100252"]),
        ("OBF-2028", ["OBF-20283148"]),
        # the beginning of the name before the words in it, the name before the brand
        ("pickle", ["OFF-0009300100137", "OFF-0009300001090"]),
        ("lindt truffles", ["OFF-0009542015190", "OFF-0009542009069", "OFF-0009542019969", "OFF-0009542011345"]),
        ("dark chocolate", ["OFF-0009542011659", "OFF-0000609340767", "OFF-0000609962082", "OFF-0009542011345"]),
        # words in any order, the last one half typed, an attribute among them
        ("vinegar balsamic", ["OFF-0008295661012"]),
        ("maple sy", ["OFF-0008577000225"]),
        ("calendula 75 ml", ["OBF-20654825"]),
        # the singular for a plural
        ("truffle orange", ["OFF-0009542011345"]),
        ("pierogis", ["OFF-0008005914865"]),
        # accents, capitals, other scripts, signs in a brand
        ("CREME DEPILATOIRE", ["OBF-3059944024631"]),
        ("crème de nuit", ["OBF-20283148"]),
        ("fussbalsam", ["OBF-29098774"]),
        ("flussig", ["OBF-20554569"]),
        ("маска", ["OBF-1705770101184"]),
        ("крапив", ["OBF-1705770101177", "OBF-1705770101184"]),
        ("loreal elegance", []),
        ("cote d'or", ["OFF-0002000000653"]),
        ("oral-b", ["OBF-3014260095185"]),
        ("oralb", ["OBF-3014260095185"]),
        # typed wrong: a letter too few, too many, two changed about, and the middle of a word
        ("chipolte relish", ["OFF-0009300002769"]),
        ("balsamc vinegr", ["OFF-0008295661012"]),
        ("shampoing", ["OBF-3058320010176"]),
        ("benefience", ["OBF-0768614191100"]),
        ("raviolli shrmp", ["OFF-0008006958936"]),
        ("orange truffels", ["OFF-0009542011345"]),
        ("mlik rose", []),  # of the first two letters one must be right
        ("ros milk chcoolate", ["OFF-0000609231508"]),
        ("sprungli orangge", ["OFF-0009542011345"]),
        ("fessionery", []),
        ("zzzzzz", []),
    ],
)  # fmt: skip
def test_what_people_type_finds_what_they_mean(shelf, typed, first):
    assert found(typed)[: len(first) or None] == first


def test_the_first_of_many_are_those_that_are_all_of_it(shelf):
    hits = search.find("milk chocolate")
    assert [hit.why for hit in hits[:2]] == ["name", "name"], "they begin so"
    assert {hit.sku for hit in hits[:2]} == {"OFF-0000609231508", "OFF-0009542005481"}
    assert [hit.place for hit in hits] == sorted(hit.place for hit in hits)


def test_codes_come_before_words_and_the_very_code_before_the_beginning_of_another(db):
    for sku, name in (("PAD", "x"), ("PAD-1", "x"), ("P-AD", "x"), ("A1", "Pad for a brake"), ("A2", "Brake pad")):
        make.make_variant(sku=sku, name=name)
    assert found("pad") == ["PAD", "P-AD", "PAD-1", "A1", "A2"]


@pytest.fixture
def coded(supplier):
    variant = make.make_variant(sku="SHADE-7", name="Foundation", gtin="4006381333931", gtin14="04006381333931")
    SupplierItem.objects.create(supplier=supplier, variant=variant, supplier_code="LUM 77/A")
    Pack.objects.create(variant=variant, name="case", quantity=12, gtin14="14006381333938")
    Pack.objects.create(variant=variant, name="box", quantity=3, gtin14="00036000291452")
    return variant


@pytest.mark.parametrize(
    ("scanned", "why"),
    [
        ("4006381333931", "barcode"),
        ("04006381333931", "barcode"),
        ("400638133393", "barcode"),  # a scanner that leaves the check digit away
        ("4006381", "barcode"),
        ("14006381333938", "packBarcode"),
        ("036000291452", "packBarcode"),
        ("36000291452", "packBarcode"),  # a spreadsheet ate the zero
        ("3 6000 29145-2", "packBarcode"),
        ("0104006381333931172601311099A", "barcode"),
        ("]C10114006381333938", "packBarcode"),
        ("(01)04006381333931(10)99A", "barcode"),
        ("https://id.gs1.org/01/04006381333931/10/99A", "barcode"),
        ("lum77a", "supplierCode"),
        ("LUM 77", "supplierCode"),
    ],
)
def test_every_number_it_goes_by_finds_it(coded, scanned, why):
    make.make_variant(sku="OTHER", gtin="9780201379624", gtin14="09780201379624")
    [hit] = search.find(scanned)
    assert (hit.sku, hit.why) == ("SHADE-7", why)


@pytest.fixture
def numbered(supplier, retailer):
    """A product with numbers of every scheme, everybody's and somebody's own."""
    variant = make.make_variant(sku="ROTOR", name="Brake rotor", suppliers=[supplier])
    case = Pack.objects.create(variant=variant, name="case", quantity=12)
    plain = {"upc": "00042100005264", "ean": "14006381333938", "asin": "B08XYZ1234"}
    for scheme, value, owner, pack in [
        ("upc", "042100005264", None, None),
        ("ean", "14006381333938", None, case),
        ("asin", "B08XYZ1234", None, None),
        ("brandPart", "AR-8540/R", None, None),
        ("oe", "45251-TR0 A00", None, None),
        ("partner", "RET 4711", retailer, None),
        ("supplier", "OLD-88", supplier, None),
    ]:
        Identifier.objects.create(
            variant=variant, scheme=scheme, value=value, plain=plain.get(scheme) or plain_code(value), partner=owner,
            pack=pack,
        )  # fmt: skip
    make.make_variant(sku="OTHER", name="Something else")
    return variant


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("42100005264", "barcode"),
        ("04252614", "barcode"),  # the same UPC-A, printed short (UPC-E)
        ("14006381333938", "packBarcode"),
        ("b08xyz1234", "asin"),
        ("B08XYZ", "asin"),
        ("ar8540r", "brandPart"),
        ("AR-8540", "brandPart"),
        ("45251TR0A00", "oe"),
        ("45251-tr0", "oe"),
        ("ret4711", "partnerCode"),
        ("old88", "supplierCode"),
    ],
)
def test_identifiers_of_every_scheme_find_it(numbered, typed, why):
    [hit] = search.find(typed)
    assert (hit.sku, hit.why) == ("ROTOR", why)


def test_somebodys_own_number_finds_it_for_its_owner_and_the_house_alone(numbered, supplier, retailer, stranger):
    shop = make.make_partner(code="SHOP", kind="channel")
    for typed, knowing in (("RET 4711", {retailer, shop}), ("ret 4", {retailer, shop}), ("OLD-88", {supplier, shop})):
        for partner in (supplier, retailer, stranger, shop):
            assert found(typed, partner=partner) == (["ROTOR"] if partner in knowing else []), (typed, partner)
    for partner in (supplier, retailer, stranger, shop):
        assert found("45251TR0A00", partner=partner) == ["ROTOR"], "a vehicle maker's number is everybody's"


@pytest.mark.parametrize("typed", ["31140", "31-140", "311"])
def test_another_brands_number_finds_the_part_it_is_equal_to(numbered, supplier, stranger, typed):
    group = InterchangeGroup.objects.create()
    InterchangeMember.objects.create(group=group, variant=numbered)
    InterchangeMember.objects.create(group=group, brand="Febi", part_number="31.140")
    InterchangeMember.objects.create(group=group, brand="Meyle", part_number="16-27")
    [hit] = search.find(typed)
    assert (hit.sku, hit.why, hit.what) == ("ROTOR", "interchange", "31.140")
    assert found(typed, partner=supplier) == found(typed, partner=stranger) == ["ROTOR"], "such numbers are everybody's"
    assert found(typed, partner=make.make_partner(kind="supplier")) == [], "of its own products only"
    make.make_variant(sku="ZZ-31140")
    Identifier.objects.create(
        variant=Variant.objects.get(sku="ZZ-31140"), scheme="oe", value="31 140", plain=plain_code("31 140")
    )
    assert found(typed)[:2] == ["ZZ-31140", "ROTOR"], "what goes by the number itself comes first"
    numbered.interchange.delete()
    assert "ROTOR" not in found(typed)


def test_of_a_number_of_restricted_circulation_ones_own_meaning_comes_first(retailer, stranger):
    for sku, owner in (("A-HOUSE", None), ("B-RETAILERS", retailer), ("C-STRANGERS", stranger)):
        Identifier.objects.create(
            variant=make.make_variant(sku=sku), scheme="ean", value="2001234500128", plain="02001234500128", partner=owner
        )  # fmt: skip
    assert found("2001234500128", partner=retailer) == ["B-RETAILERS", "A-HOUSE"]
    assert found("2001234500128", partner=stranger) == ["C-STRANGERS", "A-HOUSE"]
    assert found("20012345", partner=make.make_partner()) == ["A-HOUSE"]
    assert found("2001234500128") == ["A-HOUSE", "B-RETAILERS", "C-STRANGERS"]


def test_a_wrong_check_digit_finds_nothing(coded):
    assert found("4006381333932") == []


@pytest.fixture
def garage(db):
    """Pads and discs for some cars."""
    cars = {
        "PAD-1": ("Front brake pad set", "Honda", "Civic", 2012, 2015),
        "PAD-2": ("Brake pads, ceramic", "Honda", "Civic Hybrid", 2012, 2015),
        "PAD-3": ("Brake pad", "Honda", "Accord", 2012, 2015),
        "PAD-4": ("Brake pad", "Ford", "F-150", 2010, 2020),
        "PAD-5": ("Brake pad", "Audi", "100", 1990, 1994),
        "DISC-1": ("Brake disc", "Honda", "Civic", 2014, 2018),
        "PAD-6": ("Brake pad", "Toyota", "Camry Solara", 2000, 2008),
    }
    for sku, (name, maker, model, first, last) in cars.items():
        variant = make.make_variant(sku=sku, name=name)
        Fitment.objects.create(variant=variant, make=maker, model=model, year_from=first, year_to=last)
    make.make_variant(sku="CREAM", name="Hand cream 100 ml")
    make.make_variant(sku="MAT", name="Civic floor mat")


@pytest.mark.parametrize(
    ("typed", "hits"),
    [
        ("2015 civic brake pad", {"PAD-1"}),
        ("brake pads honda civic 2015", {"PAD-1"}),
        ("2016 honda civic brake", {"DISC-1"}),
        ("2015 civic", {"PAD-1", "DISC-1"}),
        ("civic hybrid pad", {"PAD-2"}),
        ("2015 honda brake pad", {"PAD-1", "PAD-2", "PAD-3"}),
        ("f-150 pad", {"PAD-4"}),
        ("F150 2012 pad", {"PAD-4"}),
        ("ford f 150", {"PAD-4"}),
        ("camry 2004", {"PAD-6"}),
        ("audi 100 pad", {"PAD-5"}),
        ("cream 100 ml", {"CREAM"}),
        ("civic brak pda", set()),
        ("2015 civic brak pad", {"PAD-1"}),
        ("civic floor mat", {"MAT"}),
        ("1999 civic brake pad", set()),
        # names typed wrong, of the make, the model or both; what more words name comes first
        ("2015 civc brake pad", {"PAD-1"}),
        ("2015 hnoda acord pad", {"PAD-3"}),
        ("toyata camry solara", {"PAD-6"}),
        ("2012 fordd f150 brke", {"PAD-4"}),
        ("2015 hoonda brake disc", {"DISC-1"}),
        ("1999 civc brake pad", set()),
    ],
)
def test_a_vehicle_and_a_part_find_the_parts_that_fit_it(garage, typed, hits):
    assert set(found(typed)) == hits


def test_spellings_of_a_vehicle_are_one_and_its_confirmed_names_count(garage):
    pad = make.make_variant(sku="PAD-7", name="Brake pad")
    Fitment.objects.create(variant=pad, make="FORD", model="F150", year_from=2010, year_to=2020)
    alias = make.make_variant(sku="PAD-8", name="Brake pad")
    Fitment.objects.create(variant=alias, make="Ford", model="F150 Pickup 2WD", year_from=2010, year_to=2020)
    assert set(found("2012 ford f-150 pad")) == {"PAD-4", "PAD-7"}
    VehicleAlias.objects.create(make="Ford", model="F150 Pickup 2WD", means="F-150", status="suggested")
    assert set(found("2012 f150 pad")) == {"PAD-4", "PAD-7"}, "nobody has confirmed it"
    VehicleAlias.objects.update(status="confirmed")
    assert set(found("2012 f150 pad")) == {"PAD-4", "PAD-7", "PAD-8"}
    assert set(found("f150 pickup 2wd pad")) == {"PAD-4", "PAD-7", "PAD-8"}
    VehicleAlias.objects.create(make="Ford", model="F150 Raptor", means="F-150", status="confirmed")
    assert set(found("f150 raptor pad")) == {"PAD-4", "PAD-7"}, "no part is made for it; those of the model fit"


def test_a_vehicle_typed_wrong_takes_nothing_from_products_that_are_called_so(garage):
    assert found("civc floor mat") == ["MAT"]
    make.make_variant(sku="FOCUS", name="Acord hand cream")
    assert found("acord cream")[0] == "FOCUS"


def test_a_supplier_finds_its_own_products_only_and_by_its_own_numbers_only(api, supplier):
    rival = make.make_partner(code="SUP-2", kind="supplier")
    shared = make.make_variant(sku="SHARED", name="Hand cream", suppliers=[])
    SupplierItem.objects.create(supplier=supplier, variant=shared, supplier_code="MINE-1")
    SupplierItem.objects.create(supplier=rival, variant=shared, supplier_code="THEIRS-1")
    theirs = make.make_variant(sku="RIVALS", name="Hand cream, night", suppliers=[rival])
    assert theirs.sku in found("hand cream")

    def asked(partner, text):
        return [row["productId"] for row in api(partner).get(f"/products?q={text}").json()["items"]]

    assert asked(supplier, "hand cream") == ["SHARED"]
    assert asked(rival, "hand cream") == ["SHARED", "RIVALS"]
    for own, other in ((supplier, "THEIRS-1"), (rival, "MINE-1")):
        assert asked(own, other) == []
        assert asked(own, other[:4]) == []
    assert asked(supplier, "mine1") == asked(rival, "theirs-1") == ["SHARED"]
    assert asked(supplier, "hand crem") == ["SHARED"], "near ones, too, are looked for among its own"
    reader = make.make_partner(kind="retailer", assortment="own")
    assert asked(reader, "hand cream") == []
    retailer = make.make_partner(kind="retailer")
    assert asked(retailer, "THEIRS-1") == ["SHARED"], "who sees every offer finds by every offer's number"


def test_a_supplier_finds_the_parent_of_what_it_supplies(api, supplier):
    parent = make.make_variant(sku="LINE", name="Serum Foundation", is_parent=True)
    make.make_variant(sku="LINE-1", name="Serum Foundation 1.0", parent=parent, suppliers=[supplier])
    make.make_variant(sku="OTHERS", name="Serum Foundation of others", is_parent=True)
    rows = api(supplier).get("/products?q=serum foundation").json()["items"]
    assert {row["productId"] for row in rows} == {"LINE", "LINE-1"}


def test_search_goes_together_with_the_other_filters(api, retailer):
    for place in range(30):
        make.make_variant(sku=f"A-{place}", name="Night cream", brand="Many")
    make.make_variant(sku="B-1", name="Rich cream for the night", brand="Rare", attributes={"shade": "5%%s"})
    client = api(retailer)
    for query in ("q=cream&brand=rare", "q=cream night&attributes.shade=5%25%25s", "brand=Rare&q=craem"):
        rows = client.get(f"/products?{query}").json()["items"]
        assert [row["productId"] for row in rows] == ["B-1"], query
    assert client.get("/products?q=cream&brand=none").json() == {"items": [], "nextCursor": None}


def test_pages_of_hits_neither_repeat_nor_skip_while_products_come(api, retailer):
    for place in range(25):
        make.make_variant(sku=f"N-{place:02}", name="Soap " + "very " * (place % 5))
    client, seen, cursor = api(retailer), [], ""
    for turn in range(10):
        page = client.get(f"/products?q=soap&limit=7{cursor}").json()
        seen += [row["productId"] for row in page["items"]]
        make.make_variant(sku=f"NEW-{turn}", name="Soap")  # ranks before all that follow
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert len(seen) == len(set(seen)) == 25
    assert sorted(seen) == [f"N-{place:02}" for place in range(25)]


def test_at_most_a_thousand_hits_are_ranked(db):
    make.make_variant(sku="X")
    Variant.objects.bulk_create(
        Variant(sku=f"SOAP-{n}", name="Soap", product_type_id="general") for n in range(search.HITS_MAX + 20)
    )
    hits = search.find("soap")
    assert len(hits) == search.HITS_MAX
    assert search.find("soap", after=hits[-1].place) == []


@pytest.mark.parametrize("cursor", ["eA", "IjA6MDoi", "WzFd", "Ik4tMDAi", "IjA6MDon", "OTk"])
def test_a_cursor_of_another_list_is_refused(api, retailer, cursor):
    make.make_variant(sku="SOAP")
    answer = api(retailer).get(f"/products?q=soap&cursor={cursor}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
    assert "cursor" in answer.json()["detail"]


HOSTILE = [
    "\x00", "a\x00b", "x" * 10_000, "' & | ! <-> ( ) :*", "!!", "a' | 'b", "%", "_", "\\", "%%%", "\\\\'", "%s %(text)s",
    "{mine}", "$1", "'; DROP TABLE catalog_variant; --", "a:*", "((", "\ud800", "\ufffe\U0010ffff", "١٢٣٤٥٦٧", "½ ⅓", "🧴" * 50,
    " " * 300, "-" * 200, "a " * 150, "0" * 14, "0" * 200, "9" * 300, "e\u0301" * 99, "\u202e abc", "1e400", "NaN", "ß" * 200,
    "\\' | 'x", "a b c d e f g h i j k l m", "/" * 100, "(01)" * 40, "http://[::1]/01/", "日本語クリーム", "हिन्दी क्रीम", "<b>x</b>",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_is_typed_is_only_looked_for(shelf, text):
    assert len(search.find(text)) <= 51
    assert len(search.find(text, within=Variant.objects.filter(brand="Lindt"))) <= 51
    assert Variant.objects.count() == 51


@pytest.mark.parametrize("sign", ["%", "_", "\\", "'", "|", "&", "!", "*", "(", '"'])
def test_signs_alone_find_nothing(shelf, sign):
    assert found(sign) == found(sign * 3) == []


def test_signs_are_no_operators(shelf):
    assert found("pepsi | pierogi") == [], "all words are wanted"
    assert found("!pepsi") == found("pepsi")
    assert found("Pepsi%") == ["OFF-0000886100252"]
    assert found("P_psi") == []


@pytest.mark.parametrize("text", ["x" * 201, "%00"])
def test_the_api_names_the_field_that_cannot_be_searched_for(api, retailer, text):
    answer = api(retailer).get(f"/products?q={text}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
    assert "q:" in answer.json()["detail"]


def test_one_or_two_letters_find_what_begins_so(shelf):
    assert found("pe") == ["OFF-0000886100252"], "Pepsi, and nothing that holds pe within"
    assert all(sku.startswith("OFF") for sku in found("OF"))
    assert set(found("p")) == {
        "OFF-0000886100252",
        "OFF-0008005914865",
        "OFF-0009300100137",
        "OBF-12472482",
        "OBF-26023595",
    }


# -- The document is true, whoever writes


def documents_are_true():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM catalog_variant"
            " WHERE search IS DISTINCT FROM catalog_document(sku, name, brand, attributes)"
        )
        [wrong] = cursor.fetchone()
    rebuilt = searching.rebuild()
    return (wrong, rebuilt.documents, rebuilt.vehicles_learnt)


def test_every_way_of_writing_keeps_what_is_found_true(api, supplier):
    shop = make.make_partner(code="SHOP", kind="channel")
    client = api(shop)
    client.post("/products", {"productId": "API-1", "name": "Gloss", "attributes": {"shade": "Coral Reef"}})
    assert found("coral") == ["API-1"]
    client.patch("/products/API-1", {"attributes": {"shade": "Plum"}}, headers={"If-Match": '"1"'})
    assert (found("coral reef"), found("plum")) == ([], ["API-1"])
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO catalog_variant (sku, name, brand, product_type_id, is_parent, gtin, gtin14, attributes, tracking,"
            " unit, status, version, updated_at) SELECT 'SQL-' || n, 'Zwiebelsaft ' || n, 'Kräuterhaus', 'general', false,"
            " '', '', '{}', 'none', 'each', 'active', 1, now() FROM generate_series(1, 300) n"
        )
        assert len(found("zwiebelsaft")) == 300
        assert len(found("zwibelsaft")) == 300, "the bulk has taught its words"
        cursor.execute("UPDATE catalog_variant SET name = 'Thymiantee ' || id WHERE sku LIKE 'SQL-%'")
        assert (found("zwiebelsaft"), len(found("tymiantee krauterhaus"))) == ([], 300)
    Variant.objects.filter(sku="SQL-7").update(brand="Moorhof")
    assert found("moorhof") == ["SQL-7"]
    variant = Variant.objects.get(sku="SQL-7")
    Pack.objects.create(variant=variant, name="case", quantity=6, gtin14="14006381333938")
    item = SupplierItem.objects.create(supplier=supplier, variant=variant, supplier_code="MO-7")
    fitment = Fitment.objects.create(variant=variant, make="Škoda", model="Octavia", year_from=2001, year_to=2002)
    assert found("14006381333938") == found("mo7") == found("2001 skoda octavia") == ["SQL-7"]
    Fitment.objects.filter(pk=fitment.pk).update(model="Fabia")
    assert (found("2001 octavia"), found("2001 fabia")) == ([], ["SQL-7"])
    item.delete()
    variant.packs.all().delete()
    assert (found("14006381333938"), found("mo7")) == ([], [])
    assert documents_are_true() == (0, 0, 0)
    assert (found("2001 fabia"), found("zwibelsaft"), found("moorhoff")) == (["SQL-7"], [], ["SQL-7"])
    variant.delete()
    assert (found("moorhof"), found("2001 fabia")) == ([], [])


def test_a_rebuild_forgets_what_nothing_goes_by_and_a_second_does_nothing(garage):
    Variant.objects.filter(sku="MAT").update(name="Fußmatte")
    Fitment.objects.filter(model="Accord").delete()
    SearchWord.objects.create(word="fussmatte")
    assert SearchWord.objects.filter(word="fussmatte").count() == 2
    before = search.find("fusmatte")
    done = searching.rebuild()
    assert (done.documents, done.words, done.vehicles_forgotten, done.vehicles_learnt) == (0, 4, 1, 0)
    assert not SearchWord.objects.filter(word="floor").exists()
    assert not SearchVehicle.objects.filter(model="Accord").exists()
    assert search.find("fusmatte") == before != []
    assert searching.rebuild() == searching.Rebuilt(documents=0, words=0, vehicles_forgotten=0, vehicles_learnt=0)


def test_a_rebuild_learns_what_was_missed(garage):
    SearchWord.objects.all().delete()
    SearchVehicle.objects.all().delete()
    assert (found("ceramik"), found("2015 honda")) == ([], [])
    assert searching.rebuild().vehicles_learnt == 6
    assert (found("ceramik"), found("2015 accord")) == (["PAD-2"], ["PAD-3"])


def test_saving_without_a_change_teaches_nothing(garage):
    before = SearchWord.objects.count()
    Variant.objects.update(version=2)
    for variant in Variant.objects.all():
        variant.save()
    assert SearchWord.objects.count() == before


# -- What it costs


def plan_of(text, **kwargs):
    sql, values = search.finding.prepare(search.finding.understand(text), **kwargs)
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {sql}", values)
        return "\n".join(row[0] for row in cursor.fetchall())


@pytest.fixture
def large(db):
    make.make_variant(sku="X")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO catalog_variant (sku, name, brand, product_type_id, is_parent, gtin, gtin14, attributes, tracking,"
            " unit, status, version, updated_at) SELECT 'L-' || n, 'Cream for ' || md5(n::text), 'House', 'general', false,"
            " '', '', '{}', 'none', 'each', 'active', 1, now() FROM generate_series(1, 20000) n"
        )
        cursor.execute("ANALYZE catalog_variant, catalog_searchword")


@pytest.mark.parametrize("text", ["L-77", "cream", "crem fro", "0001234", "c", "house cream", "19999"])
def test_no_search_reads_the_whole_catalog(large, text):
    assert "Seq Scan on catalog_variant" not in plan_of(text)


@pytest.mark.parametrize("count", [50, 2_000])
def test_a_search_takes_two_queries_and_its_page_six_more(api, retailer, django_assert_num_queries, count):
    make.make_variant(sku="X")
    Variant.objects.bulk_create(
        Variant(sku=f"SOAP-{n}", name=f"Soap {n}", product_type_id="general") for n in range(count)
    )
    with django_assert_num_queries(2):
        assert len(search.find("soap")) == min(count, search.HITS_MAX)
    with django_assert_num_queries(2):
        search.find("saop")
    client = api(retailer)
    client.get("/products?q=soap&limit=10")
    # The token with its partner; the search; the page with its packs, suppliers, numbers and notes.
    with django_assert_num_queries(8):
        assert len(client.get("/products?q=soap&limit=10").json()["items"]) == 10


# -- Taking apart what is typed


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("4006381333931", ["4006381333931"]),
        ("036000291452", ["36000291452", "360002914522"]),
        ("12345", []),
        ("123456789012345", []),
        ("12a4567", []),
        ("०१२३४५६७", []),
    ],
)
def test_a_barcode_is_six_to_fourteen_digits(text, codes):
    assert [code for code in question.barcodes(text) if code in codes or not codes] == codes


def test_a_question_is_cut_and_its_words_are_few():
    asked = question.ask("x", " ".join(f"w{n}" for n in range(50)))
    assert len(asked.words) == question.WORDS_MAX
    assert question.cut("a\x00" + "b" * 500) == "a " + "b" * (question.TEXT_MAX - 2)
    assert question.split("don't stop_me now") == ("don", "t", "stop", "me", "now")
    assert question.split("हिन्दी") == ("हिन्दी",)
