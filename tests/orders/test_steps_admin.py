"""Pages of documents show the steps that can be taken now, and no others."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.urls import reverse

from orders.models import FulfilmentRequest, Order, PurchaseOrder, Return, Shipment
from orders.operations import ordering
from stock.models import Warehouse
from tests.orders.buying import now, offered, sent
from tests.orders.steps import SHIP_TO, come_back, keeper, order_of, shipped

ORDERS = {
    "pending": {"confirm", "cancel"},
    "confirmed": {"pack", "cancel"},
    "packed": {"cancel"},
    "shipped": set(),
    "delivered": set(),
    "cancelled": set(),
}
BUYING = {
    "draft": {"send", "cancel"},
    "sent": {"receive", "confirm", "cancel", "close"},
    "confirmed": {"receive", "confirm", "cancel", "close"},
    "received": set(),
    "cancelled": set(),
}


@pytest.fixture
def clerk(client, staff):
    client.force_login(staff)
    return client


def buttons(clerk, document) -> set[str]:
    """The steps a page has buttons for."""
    name = document._meta.model_name
    page = clerk.get(reverse(f"admin:orders_{name}_change", args=[document.pk]))
    actions = admin.site.get_model_admin(type(document)).get_actions_detail(page.wsgi_request, document.pk)
    assert len(page.context["actions_detail"]) == len(actions)
    return {action.method.__name__.removesuffix("_this") for action in actions}


def test_an_order_shows_what_its_table_of_steps_allows(clerk, api, retailer, shop):
    api(retailer).post("/orders", order_of())
    order = Order.objects.get()
    for status, steps in ORDERS.items():
        Order.objects.update(status=status)
        assert buttons(clerk, order) == steps, status
        assert {step for step, to in (("confirm", "confirmed"), ("pack", "packed"), ("cancel", "cancelled"))
                if status in ordering.STEPS[to]} == steps  # fmt: skip


def test_a_purchase_order_shows_what_its_table_of_steps_allows(clerk, supplier, shop):
    order = sent(supplier, Warehouse.objects.get(code="W1"), (offered(supplier), 10))
    for status, steps in BUYING.items():
        PurchaseOrder.objects.update(status=status, sent_at=None if status == "draft" else now()["at"])
        assert buttons(clerk, order) - {"confirm_otherwise"} == steps, status


def test_what_is_finished_asks_for_nothing_more(clerk, api, retailer, shop):
    client = api(retailer)
    order = shipped(client)
    request, shipment = FulfilmentRequest.objects.get(), Shipment.objects.get()
    assert buttons(clerk, request) == set()
    assert buttons(clerk, shipment) == {"slip", "deliver"}
    client.post(f"/shipments/{shipment.number}/deliver")
    assert buttons(clerk, shipment) == {"slip"}
    path = f"/returns/{come_back(client, order).json()['returnId']}"
    returned = Return.objects.get()
    assert buttons(clerk, returned) == {"withdraw"}
    keeper().post(f"{path}/receive")
    assert buttons(clerk, returned) == set()


def test_a_step_that_is_not_shown_is_still_refused(clerk, api, retailer, shop):
    shipped(api(retailer))
    order = Order.objects.get()
    answer = clerk.post(
        reverse("admin:orders_order_cancel_this", args=[order.pk]), {"_form_submitted": "True"}, follow=True
    )
    assert "shipped" in answer.content.decode()
    assert Order.objects.get().status == "shipped"


def test_an_order_shows_its_address_as_people_write_it(clerk, api, retailer, shop):
    api(retailer).post("/orders", order_of(shipTo=SHIP_TO | {"street": "<b>1 Main St", "city": "Memphis"}))
    page = clerk.get(reverse("admin:orders_order_change", args=[Order.objects.get().pk])).content.decode()
    assert "Store 12<br>&lt;b&gt;1 Main St<br>38103 Memphis<br>US" in page
    assert "postalCode" not in page
