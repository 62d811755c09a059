"""Fitments: said by thousands, looked up by vehicle in an index range, chosen step by step."""

from __future__ import annotations

import dataclasses

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from catalog import fitting
from catalog.fitting import Asked
from catalog.models import Fitment, VehicleAlias
from catalog.operations import fitments
from catalog.operations.fitments import Fits
from partners import prepared
from partners.problems import InvalidInput
from tests import make


@pytest.fixture
def rotor(supplier):
    return make.make_variant(sku="ROTOR", suppliers=[supplier])


@pytest.fixture
def pad(db):
    return make.make_variant(sku="PAD")


def fits(variant, make="Ford", model="F-150", years=(2004, 2008), **more) -> Fits:
    return Fits(variant_id=variant.pk, make=make, model=model, year_from=years[0], year_to=years[1], **more)


def put(*rows: Fits, source: str = "") -> fitments.Outcome:
    return fitments.put_many(fitments=rows, actor=make.TESTER, source=source)


def told(client, path: str) -> list[tuple[str, str]]:
    return [(row["productId"], row["model"]) for row in client.get(path).json()["items"]]


@pytest.mark.parametrize("asked", ["F-150", "f150", " F 150 ", "F–150"])
def test_spellings_of_one_name_find_it(api, retailer, rotor, asked):
    put(fits(rotor))
    assert told(api(retailer), f"/fitments?make=FORD&model={asked}&year=2005") == [("ROTOR", "F-150")]


def test_accents_do_not_count_and_other_scripts_stay(rotor):
    put(fits(rotor, "Citroën", "C4"), fits(rotor, "Škoda", "Octavia"), fits(rotor, "АЗЛК", "2141"))
    for asked in (Asked(make="CITROEN", model="c-4"), Asked(make="skoda", model="octavia"), Asked(make="азлк")):
        assert len(fitting.fitments(asked=asked, visible=None, limit=9)) == 1, asked


def test_a_name_that_is_only_alike_is_another_until_staff_confirm_it(api, retailer, rotor, pad):
    put(fits(rotor), fits(pad, model="F150 Pickup 2WD"), fits(pad, model="F150 Pickup 4WD"))
    client = api(retailer)
    assert told(client, "/fitments?make=Ford&model=F150") == [("ROTOR", "F-150")]
    VehicleAlias.objects.create(make="Ford", model="F150 Pickup 2WD", means="F-150")
    assert told(client, "/fitments?make=Ford&model=F150") == [("ROTOR", "F-150")], "a suggestion counts for nothing"
    VehicleAlias.objects.update(status="confirmed")
    assert told(client, "/fitments?make=Ford&model=F150") == [("ROTOR", "F-150"), ("PAD", "F150 Pickup 2WD")]
    assert told(client, "/fitments?make=Ford&model=F150 pickup-2wd") == [("ROTOR", "F-150"), ("PAD", "F150 Pickup 2WD")]
    VehicleAlias.objects.create(make="Ford", model="F150 Pickup 4WD", means="F150", status="confirmed")
    assert ("PAD", "F150 Pickup 4WD") not in told(client, "/fitments?make=Ford&model=F150 Pickup 2WD")
    assert [row["productId"] for row in client.get("/products?make=Ford&model=F-150").json()["items"]] == [
        "PAD",
        "ROTOR",
    ]


def test_what_a_fitment_leaves_blank_does_not_narrow_it(api, retailer, rotor, pad):
    put(fits(rotor, engine="5.4L V8", position="Front"), fits(pad, submodel="XLT"))
    client = api(retailer)
    f150 = "/fitments?make=Ford&model=F-150"
    assert told(client, f"{f150}&engine=5.4l v8") == [("ROTOR", "F-150"), ("PAD", "F-150")]
    assert told(client, f"{f150}&engine=4.6L") == [("PAD", "F-150")]
    assert told(client, f"{f150}&submodel=lariat") == [("ROTOR", "F-150")]
    assert told(client, f"{f150}&position=front") == [("ROTOR", "F-150")], "a place on the car is no part of its name"
    assert told(client, f"{f150}&year=2003") == told(client, f"{f150}&year=2009") == []
    assert len(told(client, f"{f150}&year=2004")) == len(told(client, f"{f150}&year=2008")) == 2


def test_the_same_fitment_is_there_once_however_it_is_spelled(rotor):
    assert put(fits(rotor), fits(rotor, "FORD", "F150")).of_each == ["unchanged", "created"], "the last word counts"
    again = put(fits(rotor, "ford", "f 150"))
    assert (again.created, again.unchanged, Fitment.objects.count()) == (0, 1, 1)
    assert put(fits(rotor, quantity=2)).of_each == ["changed"]
    assert Fitment.objects.get().model == "F150", "the spelling that came first stays"
    assert put(fits(rotor, engine="5.4L"), fits(rotor, qualifiers=[{"text": "with tow package"}])).created == 2
    with pytest.raises(IntegrityError, match="fitment_once"), transaction.atomic():
        Fitment.objects.create(variant=rotor, make="Ford.", model="F/150", year_from=2004, year_to=2008)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"make": ""}, "make"),
        ({"model": ""}, "model"),
        ({"make": "--"}, "make"),
        ({"model": "!"}, "model"),
        ({"make": "x" * 61}, "make"),
        ({"make": "a\x00"}, "make"),
        ({"year_from": 2009}, "yearTo"),
        ({"year_from": 17}, "yearFrom"),
        ({"year_to": None}, "yearTo"),
        ({"quantity": 0}, "quantity"),
        ({"qualifiers": [{"text": "\x00"}]}, "qualifiers"),
        ({"aces_ids": {"Make": "\ud800"}}, "acesIds"),
        ({"variant_id": 10**12}, "productId"),
    ],
)
def test_a_fitment_that_cannot_be_is_refused_by_name_and_nothing_is_written(rotor, pad, change, field):
    with pytest.raises(InvalidInput) as refused:
        put(fits(pad), dataclasses.replace(fits(rotor), **change))
    assert [row["field"] for row in refused.value.data["errors"]] == [f"fitments[1].{field}"]
    assert Fitment.objects.count() == 0


def test_a_brands_set_is_replaced_whole_and_no_other(rotor, pad):
    def replace(*rows: Fits) -> tuple[int, int, int, int]:
        done = fitments.replace_set(fitments=rows, source="ACES", brand_aaia_id="BKLR", actor=make.TESTER)
        return done.created, done.changed, done.unchanged, done.dropped

    ours, others = fits(rotor), fits(rotor, brand_aaia_id="ZZIR")
    put(ours)
    put(others, source="ACES")
    first, second = fits(rotor, brand_aaia_id="BKLR"), fits(pad, brand_aaia_id="BKLR")
    assert replace(first, second) == (2, 0, 0, 0)
    kept = Fitment.objects.get(variant=rotor, brand_aaia_id="BKLR").pk
    assert replace(first, dataclasses.replace(first, engine="5.4L")) == (1, 0, 1, 1)
    assert Fitment.objects.get(pk=kept).engine == "", "what stays is not written again"
    assert replace(dataclasses.replace(first, quantity=4)) == (0, 1, 0, 1)
    with pytest.raises(InvalidInput, match="brandAaiaId"):
        replace(others)
    assert Fitment.objects.filter(brand_aaia_id="BKLR").count() == 1
    assert replace() == (0, 0, 0, 1)
    assert set(Fitment.objects.values_list("source", "brand_aaia_id")) == {("", ""), ("ACES", "ZZIR")}
    dropped = fitments.drop_many(fitments=[others, first], source="ACES", actor=make.TESTER).dropped
    assert (dropped, Fitment.objects.count()) == (1, 1)


@pytest.mark.parametrize("parts", [1, 5])
def test_each_further_part_of_a_set_is_staged_and_nothing_else(rotor, monkeypatch, django_assert_num_queries, parts):
    """What goes through the whole stage is asked once, else a set of n parts would be gone through n times."""
    monkeypatch.setattr(fitments, "STATEMENT_ROWS", 10)
    rows = [fits(rotor, model=f"M{number}", brand_aaia_id="BBBB") for number in range(10 * parts)]
    with django_assert_num_queries(12 + parts):
        outcome = fitments.replace_set(fitments=rows, source="SRC", brand_aaia_id="BBBB", actor=make.TESTER)
    assert outcome.created == 10 * parts


def test_a_fault_in_a_later_part_of_a_set_is_named_by_its_place_and_nothing_changes(rotor, monkeypatch):
    monkeypatch.setattr(fitments, "STATEMENT_ROWS", 2)
    rows = [fits(rotor, model=f"M{number}", brand_aaia_id="BBBB") for number in range(5)]
    rows[3] = dataclasses.replace(rows[3], variant_id=10**12)
    with pytest.raises(InvalidInput) as refused:
        fitments.replace_set(fitments=rows, source="SRC", brand_aaia_id="BBBB", actor=make.TESTER)
    assert [row["field"] for row in refused.value.data["errors"]] == ["fitments[3].productId"]
    assert Fitment.objects.count() == 0
    rows[3] = fits(rotor, model="M3", brand_aaia_id="BBBB")
    fitments.replace_set(fitments=rows, source="SRC", brand_aaia_id="BBBB", actor=make.TESTER)
    assert Fitment.objects.count() == 5


def test_a_thousand_fitments_cost_as_many_queries_as_one(rotor, django_assert_num_queries):
    put(fits(rotor))
    with django_assert_num_queries(8):  # a savepoint, the stage, what numbers mean, faults, the statement
        assert put(*(fits(rotor, model=f"E-{number}") for number in range(1_000))).created == 1_000


def pages(client, path: str, limit: int) -> list[list[int]]:
    found, cursor = [], ""
    while cursor is not None:
        answer = client.get(f"{path}limit={limit}&cursor={cursor}").json()
        found.append([row["yearTo"] for row in answer["items"]])
        cursor = answer["nextCursor"]
    return found


@pytest.mark.parametrize(
    "vehicle", ["make=Ford&model=F-150&year=2010&", "make=Ford&year=2010&", "year=2010&", "make=Ford&"]
)
def test_pages_neither_skip_nor_repeat(api, retailer, rotor, pad, vehicle):
    VehicleAlias.objects.create(make="Ford", model="F150 2WD", means="F150", status="confirmed")
    spans = [(2000 + number % 10, 2010 + number % 4) for number in range(11)]
    put(*(fits(rotor, years=span, engine=str(number)) for number, span in enumerate(spans)))
    put(*(fits(pad, model="F150 2WD", years=span, engine=str(number)) for number, span in enumerate(spans)))
    client = api(retailer)
    in_fives = pages(client, f"/fitments?{vehicle}", 5)
    assert [len(page) for page in in_fives] == [5, 5, 5, 5, 2]
    assert [year for page in in_fives for year in page] == pages(client, f"/fitments?{vehicle}", 200)[0]


def test_a_supplier_sees_and_chooses_among_its_own(api, supplier, retailer, rotor, pad):
    put(fits(rotor), fits(pad, "Audi", "A4"), fits(pad, model="Focus", engine="2.0L"))
    mine, all_of_it = api(supplier), api(retailer)
    assert told(mine, "/fitments") == [("ROTOR", "F-150")]
    assert told(mine, "/fitments?make=Ford&model=Focus") == told(mine, "/fitments?make=Audi") == []

    def choices(client, path):
        return client.get(f"/vehicles/{path}").json()["items"]

    assert (choices(mine, "makes"), choices(all_of_it, "makes")) == (["Ford"], ["Audi", "Ford"])
    assert (choices(mine, "models?make=ford"), choices(all_of_it, "models?make=ford")) == (
        ["F-150"],
        ["F-150", "Focus"],
    )
    assert choices(mine, "years?make=Audi") == choices(mine, "engines?make=Ford&model=Focus") == []
    assert choices(all_of_it, "engines?make=Ford&model=Focus&year=2004") == ["2.0L"]
    assert mine.get("/products/PAD/fitments").status_code == 404


@pytest.mark.parametrize("who", ["retailer", "supplier"])
def test_each_choice_leads_to_a_part_whatever_comes_first(api, request, rotor, who):
    put(fits(rotor, years=(2004, 2005)), fits(rotor, "FORD", "f150", years=(2010, 2010), engine="3.5L"))
    put(fits(rotor, "Audi", "A4", years=(2007, 2007), engine="2.0L"), fits(rotor, "Audi", "A6", years=(2004, 2004)))
    client = api(request.getfixturevalue(who))

    def choices(path):
        return client.get(f"/vehicles/{path}").json()["items"]

    assert choices("years") == [2010, 2007, 2005, 2004]
    seen = 0
    for year in choices("years"):
        for maker in choices(f"makes?year={year}"):
            for model in choices(f"models?make={maker}&year={year}"):
                path = f"make={maker}&model={model}&year={year}"
                assert told(client, f"/fitments?{path}"), path
                for engine in choices(f"engines?{path}"):
                    assert told(client, f"/fitments?{path}&engine={engine}"), path
                    seen += 1
    assert seen == 2
    assert (choices("makes?year=2007"), choices("models?make=Audi&year=2004")) == (["Audi"], ["A6"])
    assert choices("makes?year=2006") == choices("engines") == choices("engines?make=Ford") == []
    assert len(choices("models?make=Ford")) == 1, "two spellings are one choice"


@pytest.mark.parametrize(
    "query",
    [
        "year=x", "year=99999", "year=-1", "year=²", "make=%00", "model=" + "x" * 101, "limit=0", "cursor=x",
        "cursor=WzFd", "cursor=ImF8YnxjfDEi", "cursor=ImF8YnwxfDk5OTk5OTk5OTk5OTk5OTk5OTk5OTki",
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(api, retailer, rotor, query):
    put(fits(rotor))
    answer = api(retailer).get(f"/fitments?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")


@pytest.mark.parametrize("query", ["make=--", "make=!&model=?", "model=...", "make=Ford&model=-"])
def test_a_name_without_a_letter_finds_nothing(api, retailer, rotor, query):
    put(fits(rotor), Fits(variant_id=rotor.pk, base_vehicle_id="5911"))
    assert told(api(retailer), f"/fitments?{query}") == []


def test_a_vehicle_known_by_its_number_alone_is_kept_and_found_by_it(api, retailer, rotor):
    ids = {"SubModel": "20", "Position": "22"}
    put(Fits(variant_id=rotor.pk, base_vehicle_id="5911", part_type_id="1896", aces_ids=ids), source="ACES")
    [row] = api(retailer).get("/fitments?baseVehicleId=5911").json()["items"]
    assert (row["productId"], row["make"], row["yearFrom"], row["partTypeId"]) == ("ROTOR", "", None, "1896")
    assert api(retailer).get("/fitments?make=&model=&baseVehicleId=1").json()["items"] == []
    assert api(retailer).get("/vehicles/makes").json()["items"] == []


@pytest.mark.parametrize("qualifiers", [5, "x", {"text": "x"}, ["x"], [[]], [{"text": "x"}, None]])
def test_qualifiers_are_a_list_of_objects_whoever_writes_them(rotor, qualifiers):
    row = Fitment(variant=rotor, make="Ford", model="F-150", year_from=2004, year_to=2008, qualifiers=qualifiers)
    with pytest.raises(ValidationError, match="list of objects"):
        row.full_clean()
    with pytest.raises(IntegrityError, match="fitment_qualifiers_are_listed"), transaction.atomic():
        row.save()
    row.qualifiers = [{"text": "x"}]
    row.full_clean()
    row.save()


def test_lists_and_choices_cost_the_same_few_queries_however_long(api, retailer, rotor, django_assert_num_queries):
    put(*(fits(rotor, model=f"E-{number}", engine="1.0L") for number in range(60)))
    client = api(retailer)
    for path in ("/fitments?make=Ford", "/fitments?make=Ford&model=E-1&year=2005", "/fitments?year=2005"):
        with django_assert_num_queries(1):  # the token; the list goes by its kept plan, past Django's count
            assert client.get(path).json()["items"], path
    for path in ("/vehicles/makes", "/vehicles/makes?year=2005", "/vehicles/models?make=Ford", "/vehicles/years",
                 "/vehicles/years?make=Ford", "/vehicles/engines?make=Ford&model=E-1"):  # fmt: skip
        with django_assert_num_queries(2):
            assert client.get(path).json()["items"], path
    with django_assert_num_queries(3):
        assert len(client.get("/products/ROTOR/fitments").json()["items"]) == 50
    with django_assert_num_queries(6):
        assert len(client.get("/products?make=Ford&model=E-1&year=2005").json()["items"]) == 1


def test_a_look_up_is_a_range_of_the_index_that_begins_at_the_year(rotor, monkeypatch):
    """The asked page is read and no more: what ended before the year is not looked at."""
    ended = (fits(rotor, years=(1990, 1990 + number % 15), engine=str(number)) for number in range(2_000))
    put(*ended, *(fits(rotor, years=(2010, 2014), engine=f"{number}x") for number in range(100)))
    fetch = prepared.fetch
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE catalog_fitment")
        seen: list = []
        monkeypatch.setattr(prepared, "fetch", lambda *statement: seen.append(statement) or fetch(*statement))
        rows = fitting.fitments(asked=Asked(make="Ford", model="F-150", year=2012), visible=None, limit=20)
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) {seen[0][0]}", seen[0][1])
        plan = cursor.fetchone()[0][0]["Plan"]
    assert len(rows) == 20
    scan = next(node for node in nodes(plan) if node.get("Index Name") == "fitment_by_vehicle")
    assert scan["Node Type"] == "Index Scan"
    assert scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0) == 20


def nodes(plan: dict) -> list[dict]:
    return [plan, *(inner for below in plan.get("Plans", []) for inner in nodes(below))]
