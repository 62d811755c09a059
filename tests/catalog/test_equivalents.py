"""What replaced a part and what is equal to it: chains are followed, cycles refused, groups kept."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from catalog import interchange
from catalog.models import Equivalent, InterchangeGroup, InterchangeMember, Variant
from catalog.operations import equivalents
from catalog.operations.equivalents import Successor, SupersessionCycle
from tests import make
from tests.races.crowd import all_at_once

TODAY = timezone.now().date()


@pytest.fixture
def parts(supplier):
    return {sku: make.make_variant(sku=sku, suppliers=[supplier]) for sku in "ABCD"}


def replace(parts, **links: str) -> None:
    for old, new in links.items():
        say(parts[old], *(parts[sku] for sku in new))


def say(variant: Variant, *successors: Variant) -> Variant:
    rows = [Successor(variant=row) for row in successors]
    return equivalents.say(variant=variant, successors=rows, equals=[], actor=make.TESTER)


def put(client, sku: str, **body):
    tag = client.get(f"/products/{sku}/equivalents")["ETag"]
    whole = {"supersededBy": [], "interchangeableWith": []} | body
    return client.put(f"/products/{sku}/equivalents", whole, headers={"If-Match": tag})


def numbers(*rows: str | tuple[str, str]) -> list[dict]:
    return [{"productId": row} if isinstance(row, str) else {"brand": row[0], "partNumber": row[1]} for row in rows]


def test_a_chain_is_followed_to_its_end(api, retailer, parts):
    replace(parts, A="B", B="C", C="D")
    found = api(retailer).get("/products/A/equivalents").json()
    assert found["supersededBy"] == [{"productId": "B", "validFrom": None}]
    assert [(row["productId"], row["steps"], row["isLast"]) for row in found["chain"]] == [
        ("B", 1, False), ("C", 2, False), ("D", 3, True),
    ]  # fmt: skip
    assert api(retailer).get("/products/B/equivalents").json()["supersedes"] == [{"productId": "A", "validFrom": None}]
    lines = (
        api(retailer).post("/availability", {"lines": [{"productId": "A"}], "includeEquivalents": True}).json()["lines"]
    )
    assert [row["productId"] for row in lines[0]["equivalents"]] == ["B", "C", "D"]


def test_a_link_of_a_later_day_ends_the_chain_before_it(parts):
    replace(parts, A="B")
    tomorrow = TODAY + timedelta(days=1)
    equivalents.say(
        variant=parts["B"],
        successors=[Successor(variant=parts["C"], valid_from=tomorrow)],
        equals=[],
        actor=make.TESTER,
    )

    def chain(on: date) -> list[int]:
        return [row.other_id for row in interchange.instead_of(variant_ids=[parts["A"].pk], on=on)]

    assert chain(TODAY) == [parts["B"].pk]
    assert chain(tomorrow) == [parts["B"].pk, parts["C"].pk]


def test_a_part_that_would_replace_itself_is_refused_with_the_way_round(api, retailer, parts):
    replace(parts, A="B", B="C")
    answer = put(api(retailer), "C", supersededBy=[{"productId": "D"}, {"productId": "A"}])
    assert (answer.status_code, answer.json()["code"]) == (409, "supersession_cycle")
    assert answer.json()["productIds"] == ["C", "A", "B", "C"]
    assert Equivalent.objects.count() == 2
    assert put(api(retailer), "C", supersededBy=[{"productId": "D"}]).status_code == 200


def test_the_database_itself_refuses_a_cycle(parts):
    replace(parts, A="B", B="C")
    with pytest.raises(IntegrityError, match="never succeeds itself"), transaction.atomic():
        Equivalent.objects.create(variant=parts["C"], other=parts["A"], relation="superseded")
    link = Equivalent.objects.create(variant=parts["C"], other=parts["D"], relation="superseded")
    with pytest.raises(IntegrityError, match="never succeeds itself"), transaction.atomic():
        Equivalent.objects.filter(pk=link.pk).update(other=parts["A"])
    assert Equivalent.objects.count() == 3


@pytest.mark.races
@pytest.mark.parametrize("has_guard", [True, False])
def test_links_that_make_a_cycle_together_are_not_both_made(own_database, monkeypatch, has_guard):
    """Each alone is fine. Without the locks and the trigger the cycle is there: the test can fail."""
    ring = [make.make_variant(sku=f"R{place}") for place in range(6)]
    if not has_guard:
        monkeypatch.setattr(equivalents, "lock", lambda: None)
        slow = "CREATE OR REPLACE FUNCTION catalog_supersession_has_no_cycle() RETURNS trigger LANGUAGE plpgsql AS"
        with connection.cursor() as cursor:
            cursor.execute(f"{slow} $$ BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$")
    results = all_at_once(6, lambda place: say(ring[place], ring[(place + 1) % 6]))
    refused = [result for result in results if isinstance(result, Exception)]
    assert [type(error) for error in refused] == ([SupersessionCycle] if has_guard else [])
    assert Equivalent.objects.count() == 6 - len(refused)


def test_equal_parts_are_one_group_with_numbers_of_others(api, retailer, parts):
    client = api(retailer)
    answer = put(client, "A", interchangeableWith=numbers("B", ("Brembo", "09.C881.11"), ("TRW", "DF4466")))
    assert answer.status_code == 200, answer.content
    told = client.get("/products/B/equivalents").json()["interchangeableWith"]
    assert told == [
        {"productId": "A", "brand": "", "partNumber": ""},
        {"productId": None, "brand": "Brembo", "partNumber": "09.C881.11"},
        {"productId": None, "brand": "TRW", "partNumber": "DF4466"},
    ]
    lines = client.post("/availability", {"lines": [{"productId": "B"}], "includeEquivalents": True}).json()["lines"]
    assert [(row["productId"], row["relation"]) for row in lines[0]["equivalents"]] == [("A", "interchangeable")]
    assert put(client, "B", interchangeableWith=numbers("A", "C")).status_code == 200
    assert {row.variant.sku for row in InterchangeMember.objects.all()} == {"A", "B", "C"}
    assert put(client, "A").status_code == 200
    assert {row.variant.sku for row in InterchangeMember.objects.all()} == {"B", "C"}, "the others stay equal"
    put(client, "B")
    assert (InterchangeGroup.objects.count(), InterchangeMember.objects.count()) == (0, 0)


def test_what_is_equal_to_others_already_is_refused_and_nothing_changes(api, retailer, parts):
    client = api(retailer)
    put(client, "A", interchangeableWith=numbers("B", ("Brembo", "09.C881.11")))
    before = client.get("/products/A/equivalents").json()
    for row in numbers("B", ("BREMBO", "09 C881-11")):
        answer = put(client, "C", interchangeableWith=[row])
        assert (answer.status_code, answer.json()["code"]) == (409, "in_another_group"), row
    assert client.get("/products/A/equivalents").json() == before
    assert (InterchangeGroup.objects.count(), Variant.objects.get(sku="C").version) == (1, 1)


def test_saying_it_again_writes_nothing_and_a_stale_word_is_refused(api, retailer, parts):
    client = api(retailer)
    body = {"supersededBy": [{"productId": "B", "validFrom": "2027-01-01"}], "interchangeableWith": numbers("C")}
    first = client.get("/products/A/equivalents")["ETag"]
    done = client.put("/products/A/equivalents", body, headers={"If-Match": first})
    assert Variant.objects.get(sku="A").version == 2
    assert put(client, "A", **body)["ETag"] == done["ETag"]
    assert Variant.objects.get(sku="A").version == 2
    assert client.put("/products/A/equivalents", body, headers={"If-Match": first}).status_code == 412
    put(client, "C")  # the group is another for A, too
    assert client.put("/products/A/equivalents", body, headers={"If-Match": done["ETag"]}).status_code == 412
    assert client.put("/products/A/equivalents", body).status_code == 428
    assert client.get("/products/A/equivalents", headers={"If-None-Match": done["ETag"]}).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"supersededBy": [{"productId": "A"}]}, "supersededBy[0].productId"),
        ({"supersededBy": [{"productId": "NONE"}]}, "supersededBy[0].productId"),
        ({"supersededBy": [{"productId": "B"}, {"productId": "B"}]}, "supersededBy[1].productId"),
        ({"supersededBy": [{"productId": "GATHERS"}]}, "supersededBy[0].productId"),
        ({"supersededBy": [{"productId": "B", "validFrom": "soon"}]}, "supersededBy[0].validFrom"),
        ({"interchangeableWith": [{}]}, "interchangeableWith[0].productId"),
        ({"interchangeableWith": [{"productId": "B", "partNumber": "x"}]}, "interchangeableWith[0].productId"),
        ({"interchangeableWith": [{"productId": "B", "brand": "x"}]}, "interchangeableWith[0].brand"),
        ({"interchangeableWith": [{"partNumber": "--"}]}, "interchangeableWith[0].partNumber"),
        ({"interchangeableWith": numbers(("TRW", "DF 1"), ("trw", "df1"))}, "interchangeableWith[1].partNumber"),
        ({"interchangeableWith": numbers("A")}, "interchangeableWith[0].productId"),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(api, retailer, parts, body, field):
    make.make_variant(sku="GATHERS", is_parent=True)
    answer = put(api(retailer), "A", **body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert (Equivalent.objects.count(), InterchangeMember.objects.count()) == (0, 0)


def test_a_supplier_links_what_it_alone_supplies_and_sees_no_others(api, supplier, retailer, parts):
    rival = make.make_partner(code="SUP-2", kind="supplier")
    theirs = make.make_variant(sku="THEIRS", suppliers=[rival])
    shared = make.make_variant(sku="SHARED", suppliers=[rival, supplier])
    mine = api(supplier)
    assert put(mine, "A", supersededBy=[{"productId": "B"}]).status_code == 200
    answer = put(mine, "A", interchangeableWith=numbers("SHARED"))
    assert (answer.status_code, answer.json()["code"]) == (403, "kept_by_the_house")
    assert put(mine, "A", interchangeableWith=numbers("THEIRS")).status_code == 422
    put(api(retailer), "A", interchangeableWith=numbers("THEIRS", "C"), supersededBy=[{"productId": "B"}])
    told = mine.get("/products/A/equivalents").json()
    assert [row["productId"] for row in told["interchangeableWith"]] == ["C"]
    assert put(mine, "A").status_code == 422, "what it is not shown it cannot replace"
    assert InterchangeMember.objects.filter(variant__in=[theirs, parts["A"]]).count() == 2
    assert mine.get("/products/THEIRS/equivalents").status_code == 404
    assert shared.version == Variant.objects.get(sku="SHARED").version


def test_reading_costs_the_same_few_queries_however_many_are_equal(api, retailer, parts, django_assert_num_queries):
    client = api(retailer)
    put(client, "A", interchangeableWith=numbers(*(make.make_variant().sku for _ in range(40))))
    with django_assert_num_queries(6):
        assert len(client.get("/products/A/equivalents").json()["interchangeableWith"]) == 40
