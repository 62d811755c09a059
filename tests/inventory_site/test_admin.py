"""The staff's pages: all of them open, none of them types over a quantity, lists cost the same however long."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from inventory_site import roles
from orders.models import Order
from orders.operations import ordering
from orders.operations.ordering import Asked
from stock.models import Level, Movement, Warehouse
from tests import make

PAGES = sorted(f"{model._meta.app_label}_{model._meta.model_name}" for model in admin.site._registry)
OURS = [page for page in PAGES if page.split("_")[0] in roles.APPS]


@pytest.fixture
def shop(retailer, supplier):
    """One of everything, and an order that is not confirmed yet."""
    warehouse = make.make_warehouse(code="W1")
    variant = make.make_variant(sku="SAUCE", suppliers=[supplier])
    make.make_level(variant=variant, warehouse=warehouse, on_hand=10)
    order, _ = ordering.place(
        partner=retailer,
        external_reference="PO-1",
        asked=[Asked(line_id="1", variant=variant, quantity=4)],
        ship_to={"name": "x", "country": "US", "postalCode": "1"},
        actor=make.TESTER,
        at=timezone.now(),
    )
    return order


@pytest.fixture
def keeper(client, staff):
    client.force_login(staff)
    return client


@pytest.mark.parametrize("page", PAGES)
def test_every_list_opens(keeper, shop, page):
    assert keeper.get(reverse(f"admin:{page}_changelist")).status_code == 200


@pytest.mark.parametrize("page", OURS)
def test_every_row_opens_and_its_history_where_it_has_one(keeper, shop, page):
    model = next(model for model in admin.site._registry if f"{model._meta.app_label}_{model._meta.model_name}" == page)
    row = model._default_manager.first()
    if row is None:
        pytest.skip("none of these in the shop")
    assert keeper.get(reverse(f"admin:{page}_change", args=[row.pk])).status_code == 200
    if hasattr(model, "history"):
        assert keeper.get(reverse(f"admin:{page}_history", args=[row.pk])).status_code == 200


def test_the_first_page_shows_how_things_stand(keeper, shop):
    page = keeper.get("/admin/").content.decode()
    assert "Units on hand" in page
    assert shop.number in page


@pytest.mark.parametrize("page", ["stock_level", "stock_movement", "stock_reservation", "partners_outboxevent"])
def test_what_operations_made_cannot_be_typed_over(keeper, shop, page):
    row = admin.site._registry[
        next(m for m in admin.site._registry if f"{m._meta.app_label}_{m._meta.model_name}" == page)
    ]
    pk = row.model._default_manager.first().pk
    before = Level.objects.values_list("on_hand", "reserved").get()
    assert keeper.post(reverse(f"admin:{page}_change", args=[pk]), {"on_hand": 99, "reserved": 0}).status_code == 403
    assert keeper.post(reverse(f"admin:{page}_delete", args=[pk]), {"post": "yes"}).status_code == 403
    assert keeper.get(reverse(f"admin:{page}_add")).status_code == 403
    assert Level.objects.values_list("on_hand", "reserved").get() == before


def booking(**change):
    fields = {
        "kind": "receipt",
        "sku": "SAUCE",
        "warehouse": Warehouse.objects.get().pk,
        "quantity": 5,
        "reason": "dock",
    }
    return fields | change


def test_a_clerk_books_a_movement_by_a_form(keeper, shop):
    answer = keeper.post(reverse("admin:stock_level_book"), booking())
    assert answer.status_code == 302
    assert Level.objects.get().on_hand == 15
    assert Movement.objects.order_by("-id")[0].actor == "staff:keeper"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "writeOff", "quantity": 11}, "11 asked"),
        ({"quantity": -1}, "Only an adjustment may be negative"),
        ({"quantity": 0}, "Nothing would move"),
        ({"sku": "NONE"}, "no product with this SKU"),
    ],
)
def test_a_booking_that_cannot_be_is_refused_with_its_reason_and_changes_nothing(keeper, shop, change, said):
    answer = keeper.post(reverse("admin:stock_level_book"), booking(**change))
    assert answer.status_code == 200
    assert said in answer.content.decode()
    assert (Level.objects.get().on_hand, Movement.objects.count()) == (10, 1)


def act(client, name, order):
    data = {"action": name, "_selected_action": [order.pk]}
    return client.post(reverse("admin:orders_order_changelist"), data, follow=True).content.decode()


def test_buttons_carry_the_verbs_and_a_refusal_becomes_a_sentence(keeper, shop):
    assert "1 confirmed" in act(keeper, "confirm", shop)
    assert "1 cancelled" in act(keeper, "cancel", shop)
    assert "it can be packed from confirmed" in act(keeper, "pack", shop)
    assert Order.objects.get().status == "cancelled"
    assert Level.objects.get().reserved == 0


def test_an_auditor_sees_all_and_changes_nothing(client, shop):
    roles.ensure_roles()
    auditor = User.objects.create_user("ada", is_staff=True)
    auditor.groups.add(Group.objects.get(name="Auditor"))
    client.force_login(auditor)
    for page in OURS:
        assert client.get(reverse(f"admin:{page}_changelist")).status_code == 200, page
    assert client.post(reverse("admin:stock_level_book"), booking()).status_code == 403
    assert "not change it" in act(client, "confirm", shop)
    assert (Order.objects.get().status, Level.objects.get().on_hand) == ("pending", 10)


@pytest.mark.parametrize("page", ["stock_level", "stock_movement", "catalog_variant", "partners_outboxevent"])
def test_a_long_list_costs_no_more_queries_than_a_short_one(keeper, shop, supplier, page):
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            keeper.get(reverse(f"admin:{page}_changelist"))
        return len(seen)

    queries()
    few = queries()
    for _ in range(20):
        make.make_level(variant=make.make_variant(suppliers=[supplier]), warehouse=Warehouse.objects.get())
    assert queries() == few
    assert few <= 12
