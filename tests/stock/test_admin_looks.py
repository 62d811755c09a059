"""What staff read: rules of promising, supply on its way, single units, and the stock card."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Group, User
from django.urls import reverse
from django.utils import timezone

from catalog.models import KitComponent
from inventory_site import roles
from stock.admin import card
from stock.models import Inbound, Level, PromiseRule, Serial, Snapshot
from stock.operations import movements, reservations, transfers
from stock.operations.promising import Wanted
from tests import make


@pytest.fixture
def keeper(client, staff):
    client.force_login(staff)
    return client


@pytest.fixture
def level(db) -> Level:
    return make.make_level(variant=make.make_variant(sku="SAUCE"), warehouse=make.make_warehouse(code="W1"))


@pytest.fixture
def who():
    return {"actor": make.TESTER, "at": timezone.now()}


def save_rule(client, **fields):
    return client.post(reverse("admin:stock_promiserule_add"), fields)


def test_a_rule_is_made_changed_and_taken_back(keeper, level, retailer):
    assert save_rule(keeper, kind="guarantee", units="5", variant=level.variant_id, channel=" web ").status_code == 302
    rule = PromiseRule.objects.get()
    assert (rule.units, rule.channel, rule.history.count()) == (5, "web", 1)
    url = reverse("admin:stock_promiserule_change", args=[rule.pk])
    assert keeper.post(url, {"kind": "cap", "units": "7", "partner": retailer.pk}).status_code == 302
    assert PromiseRule.objects.values_list("kind", "units", "channel", "variant").get() == ("cap", 7, "", None)
    page = keeper.get(reverse("admin:stock_promiserule_changelist")).content.decode()
    assert "7 units" in page
    assert "Everything" in page
    keeper.post(reverse("admin:stock_promiserule_delete", args=[rule.pk]), {"post": "yes"})
    assert PromiseRule.objects.count() == 0


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"kind": "safety"}, "units", "How many?"),
        ({"kind": "safety", "units": "1", "percent": "1"}, "percent", "Either units or percent"),
        ({"kind": "safety", "units": "-1"}, "units", "From 0"),
        ({"kind": "safety", "units": "9" * 30}, "units", "less than or equal"),
        ({"kind": "buffer", "percent": "101"}, "percent", "From 0 to 100"),
        ({"kind": "safety", "units": "1", "channel": "web"}, "channel", "kept from everybody"),
        ({"kind": "safety", "units": "1", "partner": "RET-1"}, "partner", "kept from everybody"),
        ({"kind": "cap", "units": "1"}, "channel", "For whom?"),
        ({"kind": "cap", "units": "1", "channel": "a", "partner": "RET-1"}, "partner", "Either a channel"),
        ({"kind": "guarantee", "percent": "5", "channel": "a"}, "percent", "not in percent"),
        ({"kind": "shelfLife"}, "units", "How many days?"),
        ({"kind": "shelfLife", "units": "3651"}, "units", "From 0 to 3,650"),
        ({"kind": "oversell", "percent": "5"}, "percent", "not in percent"),
        ({"kind": "buffer", "units": "1", "warehouse": "W1"}, "warehouse", "Only safety stock"),
        ({"kind": "safety", "units": "1", "variant": "SAUCE", "product_type": "general"}, "product_type", "Either one"),
        ({"kind": "safety", "units": "1", "variant": "PARENT"}, "variant", "gathers its variants"),
        ({"kind": "safety", "units": "1", "variant": "KIT"}, "variant", "promised as its components"),
        ({"kind": "nonsense", "units": "1"}, "kind", "not one of the available choices"),
    ],
)
def test_a_rule_the_database_would_refuse_names_the_field(keeper, level, retailer, fields, field, said):
    kit, parent = make.make_variant(sku="KIT"), make.make_variant(sku="PARENT", is_parent=True)
    KitComponent.objects.create(kit=kit, component=level.variant, quantity=2)
    ids = {"SAUCE": level.variant_id, "KIT": kit.pk, "PARENT": parent.pk, "RET-1": retailer.pk,
           "W1": level.location.warehouse_id}  # fmt: skip
    answer = save_rule(keeper, **{name: ids.get(value, value) for name, value in fields.items()})
    assert any(said in words for words in answer.context["adminform"].form.errors[field])
    assert "_" not in "".join(answer.context["adminform"].form.non_field_errors())
    assert PromiseRule.objects.count() == 0


def test_the_same_rule_is_not_made_twice(keeper, level):
    for _ in range(2):
        answer = save_rule(keeper, kind="safety", units="5")
    assert "There is such a rule" in answer.content.decode()
    assert PromiseRule.objects.count() == 1


def test_merchandising_makes_rules_and_the_warehouse_reads_them(client, level):
    roles.ensure_roles()
    for role, status in (("Warehouse", 403), ("Auditor", 403), ("Merchandising", 302)):
        person = User.objects.create_user(role, is_staff=True)
        person.groups.add(Group.objects.get(name=role))
        client.force_login(person)
        assert save_rule(client, kind="safety", units="5").status_code == status
        assert client.get(reverse("admin:stock_promiserule_changelist")).status_code == 200
    assert PromiseRule.objects.count() == 1


def test_supply_on_its_way_leads_to_its_document(keeper, level, who):
    away = make.make_warehouse(code="W2")
    day = timezone.now().date()
    planned = transfers.plan(
        source=level.location.warehouse, target=away, going=[transfers.Going(variant=level.variant, quantity=4)],
        expected_on=day - timedelta(days=2), **who,
    )  # fmt: skip
    transfers.dispatch(transfer=planned, **who)
    listed = keeper.get(reverse("admin:stock_inbound_changelist"), {"q": planned.number}).content.decode()
    assert "Late" in listed
    page = keeper.get(reverse("admin:stock_inbound_change", args=[Inbound.objects.get().pk])).content.decode()
    assert f"q={planned.number}" in page
    assert keeper.get(reverse("admin:stock_inbound_add")).status_code == 403
    shown = keeper.get(reverse("admin:catalog_variant_change", args=[level.variant_id])).context["card"]
    assert [row.quantity for row in shown["inbound"]] == [4]
    assert [quantity for _, quantity in shown["later"]] == [10]


def test_a_unit_is_found_by_its_number_and_shows_its_life(keeper, level, who):
    drill = make.make_variant(sku="DRILL", tracking="serial")
    common = {"variant": drill, "warehouse": level.location.warehouse} | who
    movements.book(kind="receipt", quantity=2, serials=["D-1", "D-2"], reference="PO-1", **common)
    movements.book(kind="writeOff", quantity=1, serials=["D-2"], reason="fell", **common)
    found = keeper.get(reverse("admin:stock_serial_changelist"), {"q": "D-2"}).context["cl"].result_list
    assert [row.number for row in found] == ["D-2"]
    page = keeper.get(reverse("admin:stock_serial_change", args=[Serial.objects.get(number="D-2").pk]))
    assert [row.kind for row in page.context["life"]] == ["writeOff", "receipt"]
    assert "Gone" in page.content.decode()
    assert len(keeper.get(reverse("admin:stock_serial_changelist"), {"q": "drill"}).context["cl"].result_list) == 2


def test_the_terms_of_the_stock_card_add_up_to_what_may_be_promised(keeper, level, retailer, supplier, who):
    warehouse = level.location.warehouse
    make.make_level(variant=level.variant, warehouse=warehouse, on_hand=4, batch_number="B1", hold_state="quarantined")
    movements.book(kind="damage", variant=level.variant, warehouse=warehouse, quantity=2, **who)
    movements.book(kind="receipt", variant=level.variant, warehouse=warehouse, quantity=9, owner=supplier, **who)
    reservations.reserve(reference="a", wanted=[Wanted(variant=level.variant, quantity=1)], partner=None, **who)
    PromiseRule.objects.create(kind="safety", units=1)
    PromiseRule.objects.create(kind="guarantee", units=2, partner=retailer)
    PromiseRule.objects.create(kind="buffer", percent=Decimal(10))
    shown = keeper.get(reverse("admin:catalog_variant_change", args=[level.variant_id])).context["card"]
    terms = {row.words: row.quantity for row in shown["terms"]}
    assert sum(terms.values()) == shown["available"] == 10 - 2 - 1 - 1 - 2 - 1
    assert terms["Guaranteed to partner RET-1"] == -2
    assert terms["Of a batch that is held back"] == -4
    assert shown["on_hand"] == 10 + 4 + 9


def test_a_kits_card_says_how_many_can_be_made_and_what_limits_them(keeper, level):
    kit = make.make_variant(sku="KIT")
    KitComponent.objects.create(kit=kit, component=level.variant, quantity=3)
    shown = keeper.get(reverse("admin:catalog_variant_change", args=[kit.pk])).context["card"]
    assert (shown["available"], shown["limiting"]) == (3, level.variant)


def test_the_picture_is_what_the_ledger_says_of_each_day(keeper, db, django_assert_num_queries):
    variant, warehouse, now = make.make_variant(), make.make_warehouse(), timezone.now()
    today = now.date()
    for days_ago, quantity in ((90, 5), (59, 20), (10, -7), (0, 2), (-3, 100)):
        movements.book(
            kind="adjustment", variant=variant, warehouse=warehouse, quantity=quantity, actor=make.TESTER,
            at=now - timedelta(days=days_ago),
        )  # fmt: skip
    with django_assert_num_queries(1):
        held = card.held(variant.pk, today=today)
    assert [day for day, _ in held] == [today - timedelta(days=day) for day in range(59, -1, -1)]
    quantities = [quantity for _, quantity in held]
    assert quantities == [25] * 49 + [18] * 10 + [20]
    assert json.loads(card.picture(held))["datasets"][0]["data"] == quantities
    Snapshot.objects.create(last_id=0, taken_at=now - timedelta(days=80))
    assert card.held(variant.pk, today=today) == held
