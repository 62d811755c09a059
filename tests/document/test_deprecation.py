"""What will go says so a year before: in the document, and with each answer."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator

from orders.api.orders import OneOrder
from partners.api.deprecation import Deprecation
from partners.api.partners import Suppliers

SINCE, SUNSET = date(2026, 12, 1), date(2027, 12, 1)


@pytest.fixture
def going(monkeypatch):
    whole = Deprecation(since=SINCE, sunset=SUNSET, instead="/api/v1/partners")
    monkeypatch.setattr(Suppliers, "deprecated", {"GET": whole})
    field = Deprecation(since=SINCE, sunset=SUNSET, instead="deliverOn", fields=("requestedDeliveryDate",))
    monkeypatch.setattr(OneOrder, "deprecated", {"GET": field})


def test_an_answer_of_what_will_go_names_both_days_and_what_to_use(api, supplier, going):
    answer = api(supplier).get("/suppliers")
    assert answer.status_code == 200
    assert answer["Deprecation"] == "@1796083200"
    assert answer["Sunset"] == "Wed, 01 Dec 2027 00:00:00 GMT"
    assert '</api/v1/partners>; rel="successor-version"' in answer["Link"]
    refusal = api(supplier, "events:read").get("/suppliers")
    assert (refusal.status_code, refusal["Deprecation"]) == (403, "@1796083200")
    assert "Deprecation" not in api(supplier).get("/suppliers/SUP-1")
    assert "Deprecation" not in api(supplier).post("/suppliers", {})


def test_the_document_marks_the_operation_or_the_field(going):
    document: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    operation = document["paths"]["/api/v1/suppliers"]["get"]
    assert operation["deprecated"] is True
    assert operation["description"].startswith("**Deprecated** since 2026-12-01: This will go on 2027-12-01.")
    assert "deprecated" not in document["paths"]["/api/v1/suppliers"]["post"]
    order = document["components"]["schemas"]["Order"]["properties"]
    assert (order["requestedDeliveryDate"].get("deprecated"), order["orderId"].get("deprecated")) == (True, None)


def test_less_than_a_year_is_refused():
    with pytest.raises(ValueError, match="has to be said by 2026-12-01"):
        Deprecation(since=date(2026, 12, 2), sunset=SUNSET, instead="x")
