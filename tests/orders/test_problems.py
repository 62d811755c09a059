"""Whatever a program asks for that it does not get, it is told in one form; and no field is lost in silence."""

from __future__ import annotations

import json

import pytest
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.test import Client, RequestFactory
from django.urls import get_resolver
from rest_framework import serializers

from orders.models import Order
from partners.api import bodies
from tests.orders.steps import SHIP_TO, book, come_back, order_of, shipped

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FETCH")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize(
    "path", ["/api/v1/nothing", "/api/v1/orders/", "/api/", "/api/v2/orders", "/api/v1/orders/a%00b"]
)
def test_an_address_that_is_not_there_is_a_problem_by_any_method(db, settings, path, method, debug):
    settings.DEBUG = debug
    answer = Client().generic(method, path, "{", content_type="application/json")
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
    if method != "HEAD":
        assert json.loads(answer.content)["code"] == "not_found"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FETCH"])
def test_a_method_that_is_not_used_is_a_problem_that_names_those_that_are(api, retailer, method):
    answer = api(retailer).request(method, "/orders", {})
    assert (answer.status_code, answer["Content-Type"]) == (405, "application/problem+json")
    assert answer.json()["code"] == "method_not_allowed"
    assert "GET" in answer["Allow"]


@pytest.mark.parametrize(
    ("status", "fault", "told", "code"),
    [
        (400, SuspiciousOperation("x"), 400, "malformed"),
        (400, RequestDataTooBig("x"), 413, "body_too_large"),
        (403, PermissionDenied(), 403, "forbidden"),
        (500, None, 500, "internal_error"),
    ],
)
def test_what_is_refused_outside_the_views_is_a_problem_for_programs_and_a_page_for_people(status, fault, told, code):
    answer = get_resolver().resolve_error_handler(status)
    for path, kind in (("/api/v1/orders", "application/problem+json"), ("/admin/", "text/html; charset=utf-8")):
        request = RequestFactory().get(path)
        found = answer(request) if fault is None else answer(request, fault)
        assert found["Content-Type"] == kind
        if path.startswith("/api"):
            assert (found.status_code, json.loads(found.content)["code"]) == (told, code)


@pytest.mark.parametrize("body", [[1], "x", 1, True, [{}]])
def test_a_body_that_is_no_object_is_refused_as_a_whole(api, retailer, body):
    answer = api(retailer).post("/orders", body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    [error] = answer.json()["errors"]
    assert (error["field"], error["pointer"], "JSON object" in error["detail"]) == ("body", "#", True)


@pytest.mark.parametrize(
    ("change", "field", "meant"),
    [
        ({"shipTo": SHIP_TO | {"Street": "1 Main St"}}, "shipTo.Street", "Did you mean street?"),
        ({"shipTo": SHIP_TO | {"line1": "1 Main St"}}, "shipTo.line1", "It is one of name, street, street2, city,"),
        ({"allowBackorders": True}, "allowBackorders", "Did you mean allowBackorder?"),
        (
            {"lines": [{"productId": "SAUCE", "quantity": 7}, {"productId": "ROTOR", "quantity": 1, "price": "1"}]},
            "lines[1].price", "It is one of lineId, productId, quantity, unitPrice, currency.",
        ),
    ],
)  # fmt: skip
def test_a_field_that_is_not_known_is_refused_by_name_with_the_nearest_that_is(
    api, retailer, shop, change, field, meant
):
    client, before = api(retailer), book()
    answer = client.post("/orders", order_of() | change)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    [error] = answer.json()["errors"]
    assert error["field"] == field
    assert meant in error["detail"]
    assert (book(), Order.objects.count()) == (before, 0)
    assert client.post("/orders", order_of()).status_code == 201


def test_what_is_wrong_and_what_is_not_known_are_told_together(api, retailer, shop):
    answer = api(retailer).post("/orders", order_of() | {"externalReference": "", "refrence": "PO-1"})
    assert [error["field"] for error in answer.json()["errors"]] == ["refrence", "externalReference"]


def test_an_address_is_kept_as_it_was_sent(api, retailer, shop):
    said = {
        "name": "Store 12", "street": "1 Main St", "street2": "Dock 4", "city": "Memphis", "region": "TN",
        "postalCode": "38103", "country": "US", "address": "1 Main St, Dock 4",
    }  # fmt: skip
    order = api(retailer).post("/orders", order_of(shipTo=said)).json()
    assert order["shipTo"] == said
    where = {"lines": [{"productId": "SAUCE", "quantity": 1}], "shipTo": said}
    assert api(retailer).post("/deliveryDates", where).status_code == 200


def test_what_was_read_may_be_sent_back_with_what_is_to_be_set(api, supplier, shop):
    client, page = api(supplier), "/inventory/SUP-1/SAUCE"
    read = client.get(page)
    change = read.json() | {"warehouseLocation": "W2", "batchNumber": "EAST", "inventoryLevel": 21, "reason": "counted"}
    change["expirationDate"] = "2092-01-01"
    assert client.patch(page, change | {"levle": 3}, headers={"If-Match": read["ETag"]}).status_code == 422
    assert client.patch(page, change, headers={"If-Match": read["ETag"]}).status_code == 200
    product = client.get("/products/SAUCE")
    assert client.put("/products/SAUCE", product.json(), headers={"If-Match": product["ETag"]}).status_code == 200


def test_a_choice_that_is_refused_names_those_there_are(api, retailer, shop):
    client = api(retailer)
    [error] = client.post("/orders", order_of(type="gift")).json()["errors"]
    assert error["detail"] == '"gift" is not a valid choice: it is one of sale, replenishment.'
    answer = client.get("/orders?status=sent")
    assert "status: it is one of pending, confirmed, packed" in answer.json()["detail"]
    returned = come_back(client, shipped(client))
    assert returned.status_code == 201


def test_a_choice_deep_in_a_body_names_those_there_are():
    class Row(serializers.Serializer):
        kind = serializers.ChoiceField(["a", "b"])
        kinds = serializers.ListField(child=serializers.ChoiceField(["c"]))

    class Body(serializers.Serializer):
        rows = Row(many=True)

    found = Body(data={"rows": [{"kind": "a", "kinds": ["c"]}, {"kind": "x", "kinds": ["c", "y"]}]})
    assert not found.is_valid()
    told = bodies.with_choices(found, found.errors)["rows"][1]
    assert str(told["kind"][0]).endswith("one of a, b.")
    assert str(told["kinds"][1][0]).endswith("one of c.")
