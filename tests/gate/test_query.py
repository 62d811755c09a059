"""What stands behind the question mark is known and said once, or refused by name."""

from __future__ import annotations

import re

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from partners.api.schema import query_names
from partners.api.wording import named
from tests.gate.cases import READS, WRITES, document, real, routes


def doors(resolver: URLResolver | None = None, prefix: str = "") -> dict[str, type]:
    found = {}
    for entry in (resolver or get_resolver()).url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            found |= doors(entry, route)
        elif isinstance(entry, URLPattern) and route.startswith("api/v1/") and hasattr(entry.callback, "view_class"):
            path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", f"/{route}")
            found[named(path)[0]] = entry.callback.view_class
    return found


def test_what_the_document_names_is_what_the_doors_know():
    known = doors()
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            said = {row["name"] for row in operation.get("parameters", []) if row["in"] == "query"}
            assert query_names(known[path], method.upper()) == said, (method, path)


def test_every_list_names_its_pages_in_the_document():
    lists = [
        path
        for path, methods in document()["paths"].items()
        if "get" in methods and "nextCursor" in str(methods["get"]["responses"]["200"])
    ]
    paged = [path for path in lists if {"limit"} <= query_names(doors()[path], "GET")]
    assert lists == paged


@pytest.mark.parametrize("path", sorted(READS))
def test_a_parameter_nobody_knows_is_refused_by_name(world, path):
    side = world.alpha
    client, url = side.clients["supplier"], real(path, side)
    for name in (
        "bogus",
        "fields",
        "expand",
        "ordering",
        "partner__code",
        "order__partner__pk",
        "status__in",
        "limits",
    ):
        answer = client.get(f"{url}?{name}=1")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter"), (path, name)
        assert answer.json()["parameter"] == name
        assert repr(name) in answer.json()["detail"]


def test_a_mistyped_filter_is_told_the_right_one_and_lists_nothing(world):
    client = world.alpha.clients["retailer"]
    answer = client.get("/orders?externalReferense=PO-1")
    assert answer.json()["detail"] == "'externalReferense' is not known here; did you mean externalReference?"
    assert answer.json()["known"] == ["createdSince", "cursor", "externalReference", "limit", "status"]
    assert client.get("/orders?externalReference=PO-1").json()["items"] == []


def test_a_parameter_that_is_there_twice_is_refused(world):
    answer = world.alpha.clients["retailer"].get("/orders?status=pending&status=confirmed")
    assert (answer.status_code, answer.json()["detail"]) == (400, "status: it is there 2 times; send it once.")


def test_attributes_may_have_any_name_and_nothing_else_has(world):
    client = world.alpha.clients["supplier"]
    assert client.get("/products?attributes.spf=30").json()["items"] == []
    assert client.get("/products?attribute.spf=30").status_code == 400


def test_a_write_takes_no_query_it_does_not_know(world):
    side = world.alpha
    for name, write in WRITES.items():
        method, path = name.split(" ", 1)
        answer = write.client(world, side).request(method, f"{real(path, side, write.thing)}?dryRun=true", {})
        assert (answer.status_code, answer.json()["parameter"]) == (400, "dryRun"), name


def test_who_may_not_come_in_is_not_told_what_may_be_asked(world):
    for method, path in routes():
        answer = world.alpha.clients["supplier"].client.generic(
            method, f"/api/v1{real(path, world.alpha) if '{lineId}' not in path else '/counts/x'}?bogus=1"
        )
        assert answer.status_code in {401, 404, 405}, (method, path)


def test_a_parameter_that_is_longer_than_documented_is_refused(api, retailer):
    fits, too_long = (api(retailer).get(f"/orders?externalReference={'0' * length}") for length in (2_000, 2_001))
    assert (fits.status_code, fits.json()["items"]) == (200, [])
    assert (too_long.status_code, too_long.json()["code"]) == (400, "invalid_parameter")
    assert too_long.json()["parameter"] == "externalReference"


def test_a_method_that_is_not_used_is_said_before_anything_of_its_query(api, retailer):
    answer = api(retailer).request("PUT", "/orders?status=pending", {})
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
