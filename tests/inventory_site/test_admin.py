"""The staff's pages: all of them open, none of them types over a quantity, lists cost the same however long."""

from __future__ import annotations

import itertools

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from psycopg.errors import LockNotAvailable

from catalog.models import Fitment, ProductType, Variant
from inventory_site import roles
from orders.models import Order, Pickup, RoutingPolicy, SendingCost, SupplierTerms
from orders.operations import fulfilment, ordering, returning
from orders.operations.ordering import Asked
from partners.models import Application, IdempotencyKey, Partner
from partners.operations import partners
from stock.models import CostingRule, Count, Level, Movement, OwnerGrant, PromiseRule, Reservation, Transfer, Warehouse
from stock.operations import counting, holds, movements, promising, reservations, transfers, warehouses
from tests import make

NUMBERS = itertools.count(1)

PAGES = sorted(f"{model._meta.app_label}_{model._meta.model_name}" for model in admin.site._registry)
FORMS = ("level_book", "level_move", "level_break_pack", "transfer_plan", "count_open", "reservation_reserve")
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


@pytest.fixture
def depot(shop):
    """Another warehouse, with a bin besides its default one."""
    warehouse = make.make_warehouse(code="W2")
    warehouses.open_location(warehouse=warehouse, code="A-01", actor=make.TESTER)
    return warehouse


def a_plan(depot, **change):
    source = Warehouse.objects.get(code="W1")
    return {"source": source.pk, "target": depot.pk, "lines": "SAUCE 6\n\n", "reference": "spring"} | change


def plan(client, depot):
    client.post(reverse("admin:stock_transfer_plan"), a_plan(depot))
    return Transfer.objects.get()


def test_a_clerk_plans_a_transfer_dispatches_it_and_books_what_arrived(keeper, depot):
    transfer = plan(keeper, depot)
    assert (transfer.actor, transfer.lines.get().quantity) == ("staff:keeper", 6)
    step_of(keeper, "stock_transfer", "dispatch_this", transfer.pk)
    url = reverse("admin:stock_transfer_arrive_otherwise", args=[transfer.pk])
    assert "6 on the road" in keeper.get(url).content.decode()
    line = transfer.lines.get()
    came = {f"came_{line.pk}": 5, "location_code": "A-01", "seen_version": 2}
    assert "W2 has no bin Z-99" in keeper.post(url, came | {"location_code": "Z-99"}).content.decode()
    assert "look again" in keeper.post(url, came | {"seen_version": 1}).content.decode()
    assert keeper.post(url, came | {"is_last": "on"}).status_code == 302
    line.refresh_from_db()
    assert (Transfer.objects.get().state, line.arrived, line.lost) == ("arrived", 5, 1)
    assert Level.objects.get(location__code="A-01").on_hand == 5


def test_a_transfer_arrives_as_dispatched_in_one_click(keeper, depot):
    transfer = plan(keeper, depot)
    for step in ("dispatch_this", "arrive_this", "arrive_this"):
        page = keeper.get(step_of(keeper, "stock_transfer", step, transfer.pk)["Location"]).content.decode()
    assert "It is arrived; this is done to one that is dispatched" in page
    assert Level.objects.get(location__warehouse=depot, location__is_default=True).on_hand == 6


def test_a_transfer_of_more_than_is_free_is_refused_with_a_sentence(keeper, depot):
    keeper.post(reverse("admin:stock_transfer_plan"), a_plan(depot, lines="SAUCE 7"))
    transfer = Transfer.objects.get()
    answer = step_of(keeper, "stock_transfer", "dispatch_this", transfer.pk)
    assert "not enough of SAUCE that is free" in keeper.get(answer["Location"]).content.decode()
    assert (Level.objects.get().on_hand, Transfer.objects.get().state) == (10, "planned")
    step_of(keeper, "stock_transfer", "cancel_this", transfer.pk)
    assert Transfer.objects.get().state == "cancelled"


def test_each_row_of_a_plan_that_cannot_be_used_is_named(keeper, depot):
    rows = "NONE 1\nSAUCE\nSAUCE many\nSAUCE 0\nSAUCE 1 " + "x" * 61
    page = keeper.post(reverse("admin:stock_transfer_plan"), a_plan(depot, lines=rows)).content.decode()
    for said in (
        "Row 1: there is no product NONE",
        "Row 2: how many of SAUCE?",
        "Row 3: many is no number of units",
        "Row 4: 0 is no number of units",
        "Row 5: a batch number has up to 60",
    ):
        assert said in page
    page = keeper.post(reverse("admin:stock_transfer_plan"), a_plan(depot, lines="SAUCE 1 B1")).content.decode()
    assert "There is no batch B1 of SAUCE" in page
    same = a_plan(depot, target=Warehouse.objects.get(code="W1").pk)
    assert "goes to another warehouse" in keeper.post(reverse("admin:stock_transfer_plan"), same).content.decode()
    assert Transfer.objects.count() == 0


def a_move(**change):
    fields = {"sku": "SAUCE", "warehouse": Warehouse.objects.get(code="W1").pk, "from_code": "MAIN", "to_code": "A-01"}
    return fields | {"quantity": 8, "condition": "sellable"} | change


def test_a_clerk_puts_goods_away_from_the_products_page(keeper, shop):
    variant = Level.objects.get().variant
    warehouses.open_location(warehouse=Warehouse.objects.get(), code="A-01", actor=make.TESTER)
    form = keeper.get(reverse("admin:catalog_variant_move", args=[variant.pk]))["Location"]
    assert 'value="SAUCE"' in keeper.get(form).content.decode()
    assert "11 asked, 10 there." in keeper.post(form, a_move(quantity=11)).content.decode()
    assert "has no bin Z-99" in keeper.post(form, a_move(to_code="Z-99")).content.decode()
    answer = keeper.post(form, a_move())
    assert answer["Location"] == reverse("admin:catalog_variant_change", args=[variant.pk])
    there = Level.objects.get(location__code="A-01")
    assert (there.on_hand, there.reserved) == (8, 2)


def act(client, name, order):
    data = {"action": name, "_selected_action": [order.pk]}
    return client.post(reverse("admin:orders_order_changelist"), data, follow=True).content.decode()


def step_of(client, page, name, pk, **headers):
    """What the dialog of a step sends when it is answered with yes."""
    return client.post(reverse(f"admin:{page}_{name}", args=[pk]), {"_form_submitted": "True"}, headers=headers)


def test_a_step_asks_first_and_only_a_yes_takes_it(keeper, shop):
    url = reverse("admin:orders_order_confirm_this", args=[shop.pk])
    assert "Confirm this order?" in keeper.get(url).content.decode()
    assert Order.objects.get().status == "pending"
    answer = step_of(keeper, "orders_order", "confirm_this", shop.pk, hx_request="true")
    assert answer["HX-Redirect"] == reverse("admin:orders_order_change", args=[shop.pk])
    assert Order.objects.get().status == "confirmed"


def test_a_step_that_cannot_be_taken_is_refused_with_a_sentence_and_changes_nothing(keeper, shop):
    ordering.cancel(order=shop, actor=make.TESTER, at=timezone.now())
    answer = step_of(keeper, "orders_order", "pack_this", shop.pk)
    assert "it can be packed from confirmed" in keeper.get(answer["Location"]).content.decode()
    assert Order.objects.get().status == "cancelled"


def test_a_busy_shelf_is_a_sentence_and_not_a_fault(keeper, shop, monkeypatch):
    def wait_too_long(**_):
        raise OperationalError from LockNotAvailable()

    monkeypatch.setattr(ordering, "confirm", wait_too_long)
    answer = step_of(keeper, "orders_order", "confirm_this", shop.pk)
    assert "try again" in keeper.get(answer["Location"]).content.decode()


def test_a_promise_is_given_back_on_its_page(keeper, shop):
    promise, _ = reservations.reserve(
        reference="cart",
        wanted=[promising.Wanted(variant=Level.objects.get().variant, quantity=2)],
        partner=shop.partner,
        actor=make.TESTER,
        at=timezone.now(),
    )
    before = Level.objects.get().reserved
    step_of(keeper, "stock_reservation", "release_this", promise.pk)
    assert Level.objects.get().reserved == before - 2


def test_credentials_show_their_secret_once(keeper, shop):
    answer = step_of(keeper, "partners_partner", "issue_credentials", shop.partner.pk)
    made = shop.partner.applications.get()
    assert f"Client id {made.client_id}, secret " in keeper.get(answer["Location"]).content.decode()
    assert "secret " not in keeper.get(answer["Location"]).content.decode()


def test_the_limits_of_an_application_are_set_in_a_dialog(keeper, shop):
    application = partners.issue_credentials(partner=shop.partner, granted_scopes=[], actor=make.TESTER).application
    page = reverse("admin:partners_application_change", args=[application.pk])
    assert "as everybody" in keeper.get(page).content.decode()
    url = reverse("admin:partners_application_set_limits", args=[application.pk])
    keeper.post(url, {"_form_submitted": "True", "reads_per_minute": "120", "writes_per_minute": ""})
    application.refresh_from_db()
    assert (application.reads_per_minute, application.writes_per_minute) == (120, None)
    answer = keeper.post(url, {"_form_submitted": "True", "reads_per_minute": "0", "writes_per_minute": "5"})
    application.refresh_from_db()
    assert (answer.status_code, application.reads_per_minute, application.writes_per_minute) == (200, 120, None)
    assert "120" in keeper.get(page).content.decode()


def whole_form(client, page, pk):
    """What a browser would send back for the page as it is."""
    form = client.get(reverse(f"admin:{page}_change", args=[pk])).context["adminform"].form
    shown = {name: form[name].value() for name in form.fields}
    return {name: value for name, value in shown.items() if value not in (None, False)}


@pytest.mark.parametrize("granted", [None, [], ["W1"]])
def test_saving_a_partner_keeps_which_warehouses_it_sees(keeper, shop, granted):
    Partner.objects.filter(pk=shop.partner.pk).update(granted_warehouses=granted)
    sent = whole_form(keeper, "partners_partner", shop.partner.pk) | {"name": "New name"}
    sent["granted_warehouses"] = ",".join(granted or [])
    assert keeper.post(reverse("admin:partners_partner_change", args=[shop.partner.pk]), sent).status_code == 302
    partner = Partner.objects.get(pk=shop.partner.pk)
    assert (partner.name, partner.granted_warehouses, partner.version) == ("New name", granted, 2)


def test_a_partner_with_a_wrong_gln_is_not_saved(keeper, shop):
    sent = whole_form(keeper, "partners_partner", shop.partner.pk) | {"gln": "9521100001011"}
    answer = keeper.post(reverse("admin:partners_partner_change", args=[shop.partner.pk]), sent)
    assert "GS1 check digit" in answer.content.decode()
    assert Partner.objects.get(pk=shop.partner.pk).version == 1


@pytest.mark.parametrize("role", ["Auditor", "Warehouse", None])
def test_nothing_is_brought_back_from_the_history(client, staff, shop, role):
    """The library's form of an old version would write it back for anybody who may look."""
    roles.ensure_roles()
    somebody = staff
    if role:
        somebody = User.objects.create_user("somebody", is_staff=True)
        somebody.groups.add(Group.objects.get(name=role))
    client.force_login(somebody)
    first = shop.history.earliest()
    ordering.confirm(order=shop, actor=make.TESTER, at=timezone.now())
    url = reverse("admin:orders_order_simple_history", args=[shop.pk, first.pk])
    assert client.get(url).status_code == 403
    sent = {
        "partner": shop.partner.pk,
        "external_reference": "typed",
        "type": "sale",
        "status": "pending",
        "ship_to": "{}",
        "created_at_0": "2026-01-01",
        "created_at_1": "00:00",
    }
    assert client.post(url, sent).status_code == 403
    assert Order.objects.values_list("status", "external_reference").get() == ("confirmed", "PO-1")


def test_the_history_says_who_in_which_request_changed_what(keeper, shop):
    step_of(keeper, "orders_order", "confirm_this", shop.pk, x_request_id="request-of-keeper")
    page = keeper.get(reverse("admin:orders_order_history", args=[shop.pk])).content.decode()
    assert "staff:keeper" in page
    assert "request-of-keeper" in page
    assert "Order confirmed" in page
    assert 'pending → <span class="text-important">confirmed</span>' in page


def test_a_product_shows_its_stock_card(keeper, shop):
    page = keeper.get(reverse("admin:catalog_variant_change", args=[Level.objects.get().variant_id]))
    card = page.context["card"]
    assert (card["on_hand"], card["reserved"], card["available"]) == (10, 4, 6)
    assert [(row.reference, row.units) for row in card["promised"]] == [(f"order:{shop.number}", 4)]
    assert [row.quantity for row in card["moved"]] == [10]


def test_a_parent_shows_what_there_is_of_its_variants_instead(keeper, shop):
    sauce = Level.objects.get().variant
    family = make.make_variant(sku="FAMILY", is_parent=True)
    Variant.objects.filter(pk=sauce.pk).update(parent=family)
    make.make_variant(sku="EMPTY", parent=family)
    page = keeper.get(reverse("admin:catalog_variant_change", args=[family.pk]))
    assert "card" not in page.context
    rows = [(variant.sku, kept["onHand"], kept["reserved"]) for variant, kept in page.context["family"]["rows"]]
    assert rows == [("EMPTY", 0, 0), ("SAUCE", 10, 4)]
    assert reverse("admin:catalog_variant_matrix", args=[family.pk]) in page.content.decode()


def test_counting_from_a_product_sets_what_lies_there_and_comes_back(keeper, shop):
    variant = Level.objects.get().variant
    form = keeper.get(reverse("admin:catalog_variant_count", args=[variant.pk]))["Location"]
    assert 'value="SAUCE"' in keeper.get(form).content.decode()
    answer = keeper.post(form, booking(kind="count", quantity=7))
    assert answer["Location"] == reverse("admin:catalog_variant_change", args=[variant.pk])
    assert Level.objects.get().on_hand == 7


@pytest.mark.parametrize(("words", "hits"), [("sauc", 1), ("SAUCE", 1), ("50%", 0), ("none", 0)])
@pytest.mark.parametrize("page", ["catalog_variant", "stock_level", "stock_movement"])
def test_a_product_is_found_by_part_of_its_sku(keeper, shop, page, words, hits):
    answer = keeper.get(reverse(f"admin:{page}_changelist"), {"q": words})
    assert len(answer.context["cl"].result_list) == hits


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
    assert client.post(reverse("admin:stock_level_move"), a_move()).status_code == 403
    assert client.post(reverse("admin:stock_transfer_plan"), {}).status_code == 403
    for step in ("confirm_this", "pack_this", "cancel_this"):
        assert step_of(client, "orders_order", step, shop.pk).status_code == 403
    assert step_of(client, "stock_reservation", "release_this", Reservation.objects.get().pk).status_code == 403
    assert step_of(client, "partners_partner", "issue_credentials", shop.partner.pk).status_code == 403
    application = Application.objects.create(partner=shop.partner, client_type="confidential")
    assert step_of(client, "partners_application", "set_limits", application.pk).status_code == 403
    assert client.get(reverse("admin:partners_partner_change", args=[shop.partner.pk])).status_code == 200
    assert client.post(reverse("admin:partners_partner_change", args=[shop.partner.pk]), {}).status_code == 403
    act(client, "confirm", shop)
    assert (Order.objects.get().status, Level.objects.get().on_hand) == ("pending", 10)


def fill(retailer, supplier, warehouse, rows):
    """So many more of everything the house keeps lists of."""
    for _ in range(rows):
        number = next(NUMBERS)
        who_and_when = {"actor": make.TESTER, "at": timezone.now()}
        variant = make.make_variant(suppliers=[supplier], tracking="batch")
        make.make_level(variant=variant, warehouse=warehouse, on_hand=10, batch_number=f"L{number}")
        Fitment.objects.create(variant=variant, make="Ford", model="F-150", year_from=2015, year_to=2020)
        make.make_warehouse(operator=supplier)
        partner = make.make_partner()
        partners.issue_credentials(partner=partner, granted_scopes=[], actor=make.TESTER)
        IdempotencyKey.objects.create(application=partner.applications.get(), key=f"key-{number}", fingerprint="x")
        order, _ = ordering.place(
            partner=retailer,
            external_reference=f"PO-{number + 100}",
            asked=[Asked(line_id="1", variant=variant, quantity=4)],
            ship_to={"name": "x", "country": "US", "postalCode": "1"},
            actor=make.TESTER,
            at=timezone.now(),
        )
        ordering.confirm(order=order, actor=make.TESTER, at=timezone.now())
        fulfilment.ship(
            order=order,
            warehouse=warehouse,
            leaving=[fulfilment.Leaving(line=order.lines.get(), quantity=2)],
            carrier="UPS",
            tracking_number=f"1Z{number}",
            actor=make.TESTER,
            at=timezone.now(),
        )
        coming = [returning.ComingBack(line=order.lines.get(), quantity=1, reason="x")]
        returned = returning.announce(order=order, coming=coming, actor=make.TESTER, at=timezone.now())
        returning.receive(returned=returned, warehouse=warehouse, actor=make.TESTER, at=timezone.now())
        going = [transfers.Going(variant=variant, quantity=1)]
        away = make.make_warehouse()
        planned = transfers.plan(source=warehouse, target=away, going=going, actor=make.TESTER, at=timezone.now())
        transfers.dispatch(transfer=planned, actor=make.TESTER, at=timezone.now())
        PromiseRule.objects.create(kind="guarantee", variant=variant, partner=partner, units=1)
        OwnerGrant.objects.create(owner=partner)
        counting.open(
            warehouse=warehouse, scope=counting.Scope(skus=(variant.sku,)), rules=counting.Rules(), **who_and_when
        )
        unit = make.make_variant(tracking="serial")
        booked = {"kind": "receipt", "variant": unit, "warehouse": warehouse, "quantity": 1}
        movements.book(serials=[f"S-{number}"], **booked, **who_and_when)
        away_batch = make.make_level(variant=variant, warehouse=away, batch_number=f"R{number}").batch
        holds.recall_batch(batch=away_batch, reason="x", **who_and_when)
        ProductType.objects.create(code=f"type-{number}", name=f"Type {number}")
        User.objects.create_user(f"user-{number}")
        Group.objects.create(name=f"group-{number}")


def queries(client, url):
    client.get(url)
    with CaptureQueriesContext(connection) as seen:
        assert client.get(url).status_code == 200
    return len(seen)


def test_long_lists_cost_no_more_queries_than_short_ones(keeper, shop, retailer, supplier):
    urls = [reverse("admin:index"), *(reverse(f"admin:{page}_changelist") for page in PAGES)]
    fill(retailer, supplier, Warehouse.objects.get(), 4)
    few = {url: queries(keeper, url) for url in urls}
    fill(retailer, supplier, Warehouse.objects.get(code="W1"), 45)
    assert {url: queries(keeper, url) for url in urls} == few
    assert max(few.values()) <= 12


def test_every_form_opens_and_its_choices_are_bounded(keeper, shop, retailer, supplier):
    """A row's page and an empty form cost the same in a house of many as in a house of few."""
    fill(retailer, supplier, Warehouse.objects.get(), 1)
    urls = [reverse(f"admin:stock_{page}") for page in FORMS]
    counted, sent = Count.objects.latest("id"), Transfer.objects.filter(state="dispatched").latest("id")
    urls.append(reverse("admin:stock_count_record", args=[counted.pk]))
    urls.append(reverse("admin:stock_transfer_arrive_otherwise", args=[sent.pk]))
    for model, page in ((m, f"{m._meta.app_label}_{m._meta.model_name}") for m in admin.site._registry):
        row = model._default_manager.order_by("pk").last()
        if row is not None:
            urls.append(reverse(f"admin:{page}_change", args=[row.pk]))
        if keeper.get(reverse(f"admin:{page}_add")).status_code == 200:
            urls.append(reverse(f"admin:{page}_add"))
    few = {url: queries(keeper, url) for url in urls}
    fill(retailer, supplier, Warehouse.objects.get(code="W1"), 10)
    assert {url: queries(keeper, url) for url in urls} == few
    assert max(few.values()) <= 24


FREE = (CostingRule, Fitment, OwnerGrant, Pickup, PromiseRule, RoutingPolicy, SendingCost, SupplierTerms)
"""Nothing leans on them, and their history stays."""


def test_no_page_lets_anything_be_deleted_that_others_lean_on(keeper, shop):
    for model, model_admin in admin.site._registry.items():
        if model._meta.app_label in roles.APPS and model not in FREE:
            request = keeper.get(reverse("admin:index")).wsgi_request
            assert not model_admin.has_delete_permission(request), model


def product_form(keeper, variant: Variant, parts: dict[Variant, int]) -> dict:
    """The product's page as it is, with these components typed beside those it has."""
    form = keeper.get(reverse("admin:catalog_variant_change", args=[variant.pk])).context["adminform"].form
    data = {name: form.initial.get(name) or "" for name in form.fields} | {"attributes": "{}"}
    data["product_type"] = variant.product_type_id
    for prefix in ("packs", "identifiers", "supplier_items", "fitments", "equivalents", "regulatory_notes"):
        data |= {f"{prefix}-TOTAL_FORMS": "0", f"{prefix}-INITIAL_FORMS": "0"}
    there = list(variant.components.order_by("id"))
    data |= {"components-TOTAL_FORMS": len(there) + len(parts), "components-INITIAL_FORMS": len(there)}
    for place, row in enumerate(there):
        data |= {f"components-{place}-id": row.pk, f"components-{place}-kit": variant.pk,
                 f"components-{place}-component": row.component_id, f"components-{place}-quantity": row.quantity}  # fmt: skip
    for place, (part, quantity) in enumerate(parts.items(), len(there)):
        data |= {f"components-{place}-component": part.pk, f"components-{place}-quantity": quantity}
    return data


def save_product(keeper, variant: Variant, data: dict) -> str:
    """The page that is shown after it was saved, or was not."""
    url = reverse("admin:catalog_variant_change", args=[variant.pk])
    return keeper.post(url, data, follow=True).content.decode()


def test_what_the_database_guards_refuse_is_a_sentence_and_not_a_fault(keeper, shop):
    stocked = Level.objects.select_related("variant").first().variant
    child = make.make_variant()
    data = product_form(keeper, child, {}) | {"parent": stocked.pk}
    assert "has stock of its own" in save_product(keeper, child, data)
    child.refresh_from_db()
    assert child.parent is None


def test_a_kit_is_composed_on_its_page_as_everywhere(keeper, shop):
    box, spoon, fork = (make.make_variant(sku=sku) for sku in ("BOX", "SPOON", "FORK"))
    save_product(keeper, box, product_form(keeper, box, {spoon: 2}))
    assert list(box.components.values_list("component__sku", "quantity")) == [("SPOON", 2)]
    box.refresh_from_db()
    assert box.version > 1, "its ETag is another"
    assert box.history.first().history_change_reason == "kit composed"
    save_product(keeper, box, product_form(keeper, box, {fork: 1}) | {"components-0-quantity": 3})
    assert set(box.components.values_list("component__sku", "quantity")) == {("SPOON", 3), ("FORK", 1)}
    save_product(keeper, box, product_form(keeper, box, {}) | {"components-0-DELETE": "on"})
    assert list(box.components.values_list("component__sku", "quantity")) == [("FORK", 1)]


@pytest.mark.parametrize(("kit", "said"), [("stocked", "has levels of its own"), ("part", "part of another kit")])
def test_what_cannot_be_a_kit_is_a_sentence_and_nothing_was_saved(keeper, shop, kit, said):
    spoon = make.make_variant(sku="SPOON")
    variant = Level.objects.select_related("variant").first().variant if kit == "stocked" else make.make_variant()
    if kit == "part":
        make.make_variant(sku="BOX").components.create(component=variant, quantity=1)
    data = product_form(keeper, variant, {spoon: 2}) | {"name": "Another name"}
    assert said in save_product(keeper, variant, data)
    before = (variant.name, variant.version)
    variant.refresh_from_db()
    assert ((variant.name, variant.version), variant.components.count()) == (before, 0)
