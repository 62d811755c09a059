"""Staff type packs, offers, numbers and prices; what cannot be is said beside the field or in a sentence."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import connection
from django.urls import reverse

from catalog.models import Identifier, Pack, Price, PriceList, SupplierItem
from catalog.operations import products
from tests import make

GTIN, CASE = "4006381333931", "24006381333935"


@pytest.fixture
def keeper(client, staff):
    client.force_login(staff)
    return client


@pytest.fixture
def sauce(supplier):
    return make.make_variant(sku="SAUCE", gtin=GTIN, gtin14=f"0{GTIN}")


def save(keeper, variant, prefix: str, *rows: dict) -> str:
    """Post the product's page with these new rows in one of its lists; the page that follows."""
    url = reverse("admin:catalog_variant_change", args=[variant.pk])
    form = keeper.get(url).context["adminform"].form
    data = {name: form.initial.get(name) or "" for name in form.fields}
    data |= {"attributes": "{}", "axes": "", "axis_values": ""}
    lists = ("packs", "identifiers", "components", "equivalents", "supplier_items", "fitments", "regulatory_notes")
    for each in lists:
        data |= {f"{each}-TOTAL_FORMS": len(rows) if each == prefix else 0, f"{each}-INITIAL_FORMS": 0}
    data |= {f"{prefix}-{place}-{name}": value for place, row in enumerate(rows) for name, value in row.items()}
    return keeper.post(url, data, follow=True).content.decode()


def test_a_typed_gtin_is_normalised_and_a_wrong_one_is_said_beside_its_field(keeper, sauce):
    case = {"name": "case", "level": "case", "quantity": 24}
    assert "check digit" in save(keeper, sauce, "packs", case | {"gtin14": "085001234013"})
    assert Pack.objects.count() == 0
    assert "single unit&#x27;s GTIN" in save(keeper, sauce, "packs", case | {"gtin14": GTIN})
    assert Pack.objects.count() == 0
    save(keeper, sauce, "packs", case | {"gtin14": "085001234012"})
    assert Pack.objects.get().gtin14 == "00085001234012"
    sauce.refresh_from_db()
    assert sauce.version == 2, "its ETag is another"


def test_a_page_opened_before_somebody_elses_change_does_not_undo_it(keeper, sauce):
    """The form holds every field as it was when it was opened; saved whole it would put them all back."""
    url = reverse("admin:catalog_variant_change", args=[sauce.pk])
    opened = keeper.get(url)
    assert '<input type="hidden" name="version_seen" value="1">' in opened.content.decode()
    data = {
        name: opened.context["adminform"].form.initial.get(name) or ""
        for name in opened.context["adminform"].form.fields
    }
    data |= {"attributes": "{}", "axes": "", "axis_values": "", "version_seen": "1", "brand": "Ours"}
    for formset in opened.context["inline_admin_formsets"]:
        data |= {f"{formset.formset.prefix}-TOTAL_FORMS": 0, f"{formset.formset.prefix}-INITIAL_FORMS": 0}
    products.revise(variant=sauce, fields={"name": "Theirs"}, actor=make.TESTER)
    assert "somebody else has changed this" in keeper.post(url, data, follow=True).content.decode()
    sauce.refresh_from_db()
    assert (sauce.name, sauce.brand, sauce.version) == ("Theirs", "", 2)
    keeper.post(url, data | {"name": "Theirs", "version_seen": "2"})
    sauce.refresh_from_db()
    assert (sauce.name, sauce.brand, sauce.version) == ("Theirs", "Ours", 3)


def test_a_product_somebody_else_holds_is_told_so_and_is_no_fault_of_ours(keeper, sauce, monkeypatch):
    def wait_in_vain(**asked):
        with connection.cursor() as cursor:
            cursor.execute("DO $$ BEGIN RAISE lock_not_available; END $$")

    monkeypatch.setattr(products, "revise", wait_in_vain)
    assert "somebody else is writing the same" in save(keeper, sauce, "packs")
    sauce.refresh_from_db()
    assert sauce.version == 1


def test_a_pack_is_filled_with_a_smaller_one_of_the_same_product(keeper, sauce):
    inner = Pack.objects.create(variant=sauce, name="inner", level="inner", quantity=6)
    foreign = Pack.objects.create(variant=make.make_variant(), name="inner", quantity=5)
    case = {"name": "case", "level": "case", "quantity": 25, "filled_with": inner.pk}
    assert "25 is no multiple of inner of 6" in save(keeper, sauce, "packs", case)
    assert "not one of the available choices" in save(keeper, sauce, "packs", case | {"filled_with": foreign.pk})
    assert Pack.objects.filter(name="case").count() == 0
    save(keeper, sauce, "packs", case | {"quantity": 24})
    assert (Pack.objects.get(name="case").filled_quantity, Pack.objects.get(name="case").filled_count) == (6, 4)


def test_numbers_go_by_their_operation(keeper, sauce):
    assert "An ASIN has ten" in save(keeper, sauce, "identifiers", {"scheme": "asin", "value": "B1"})
    assert Identifier.objects.filter(is_main=False).count() == 0
    save(keeper, sauce, "identifiers", {"scheme": "oe", "value": "1K0 615"}, {"scheme": "asin", "value": "b000mq7x9a"})
    assert set(Identifier.objects.filter(is_main=False).values_list("plain", flat=True)) == {"1K0615", "B000MQ7X9A"}
    page = keeper.get(reverse("admin:catalog_identifier_changelist"), {"q": "1K0615"}).content.decode()
    assert "1K0 615" in page
    assert GTIN not in page


def test_an_offers_cost_needs_a_currency(keeper, sauce, supplier):
    offer = {"supplier": supplier.pk, "cost": "1.5"}
    assert "go together" in save(keeper, sauce, "supplier_items", offer)
    assert "no currency of ISO 4217" in save(keeper, sauce, "supplier_items", offer | {"currency": "EUX"})
    assert SupplierItem.objects.count() == 0
    save(keeper, sauce, "supplier_items", offer | {"currency": "eur"})
    assert (SupplierItem.objects.get().cost, SupplierItem.objects.get().currency) == (Decimal("1.5"), "EUR")


def set_price(keeper, price_list, variant, amount, since, until="", url=None) -> str:
    data = {
        "price_list": price_list.pk, "variant": variant.pk, "from_quantity": 1, "amount": amount, "since_0": since,
        "since_1": "00:00", "until_0": until, "until_1": "00:00" if until else "",
    }  # fmt: skip
    return keeper.post(url or reverse("admin:catalog_price_add"), data, follow=True).content.decode()


def test_a_price_typed_ends_the_one_before_it_and_an_overlap_is_a_sentence(keeper, sauce):
    general = PriceList.objects.create(code="GENERAL", currency="EUR")
    set_price(keeper, general, sauce, 10, "2027-01-01")
    set_price(keeper, general, sauce, 12, "2027-03-01")
    first, second = Price.objects.order_by("valid")
    assert (first.valid.upper, second.valid.upper) == (datetime(2027, 3, 1, tzinfo=UTC), None)
    assert "10.0000 is valid from 2027-01-01" in set_price(keeper, general, sauce, 9, "2027-01-05", "2027-01-09")
    assert "ends before it begins" in set_price(keeper, general, sauce, 9, "2028-01-05", "2028-01-01")
    assert Price.objects.count() == 2
    url = reverse("admin:catalog_price_change", args=[second.pk])
    assert keeper.get(url).status_code == 200
    set_price(keeper, general, sauce, 13, "2026-01-01", url=url)
    second.refresh_from_db()
    assert (second.amount, second.valid.lower) == (13, datetime(2027, 3, 1, tzinfo=UTC)), "it keeps its beginning"


def test_a_price_list_is_in_a_currency_that_there_is(keeper, sauce):
    url = reverse("admin:catalog_pricelist_add")
    keeper.post(url, {"code": "A", "currency": "eux", "priority": 0, "is_active": "on"})
    assert PriceList.objects.count() == 0
    keeper.post(url, {"code": "A", "currency": "eur", "priority": 0, "is_active": "on"})
    assert PriceList.objects.get().currency == "EUR"
