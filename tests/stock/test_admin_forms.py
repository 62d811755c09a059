"""The forms staff work with: whatever is typed into them is an answer and never a fault."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import Group, User
from django.urls import reverse
from django.utils import timezone

from inventory_site import roles
from stock.models import Batch, Count, CountLine, Level, Movement, PromiseRule, Reservation, Transfer, Warehouse
from stock.operations import counting, movements, promising, reservations, transfers
from tests import make

ODD = ["", " ", "0", "-1", "99999999999999999999", "1.5", "٣", "NaN", "text", "\x00", "x" * 5_000, "<b>", "'; --"]
FORMS = (
    "level_book", "level_move", "level_break_pack", "level_change_owner", "transfer_plan", "count_open",
    "reservation_reserve",
)  # fmt: skip


@pytest.fixture
def house(db):
    """A shelf of a sauce, another's goods beside it, and one of each document."""
    here, away = make.make_warehouse(code="W1"), make.make_warehouse(code="W2")
    sauce = make.make_variant(sku="SAUCE", tracking="batch")
    who = {"actor": make.TESTER, "at": timezone.now()}
    make.make_level(variant=sauce, warehouse=here, batch_number="B1")
    movements.book(kind="receipt", variant=make.make_variant(sku="OIL"), warehouse=here, quantity=10, **who)
    planned = transfers.plan(source=here, target=away, going=[transfers.Going(variant=sauce, quantity=2)], **who)
    transfers.dispatch(transfer=planned, **who)
    counting.open(warehouse=here, scope=counting.Scope(), rules=counting.Rules(), **who)
    reservations.reserve(reference="cart", wanted=[promising.Wanted(variant=sauce, quantity=3)], partner=None, **who)
    return here


@pytest.fixture
def keeper(client, staff):
    client.force_login(staff)
    return client


def pages() -> list[str]:
    """The forms of their own, those on a document, and those in a dialog."""
    rows = {
        "transfer_arrive_otherwise": Transfer, "count_record": Count, "reservation_extend_this": Reservation,
        "reservation_commit_this": Reservation, "batch_quarantine": Batch, "batch_recall": Batch,
        "transfer_dispatch_this": Transfer,
    }  # fmt: skip
    found = [reverse(f"admin:stock_{page}", args=[model.objects.latest("id").pk]) for page, model in rows.items()]
    made = [
        reverse(f"admin:stock_{page}_add") for page in ("promiserule", "ownergrant", "batch", "warehouse", "reason")
    ]
    return [*(reverse(f"admin:stock_{page}") for page in FORMS), *made, *found]


def fields_of(answer) -> list[str]:
    """The names of all that can be typed there."""
    typed = re.findall(r'<(?:input|select|textarea)[^>]* name="(\w+)"', answer.content.decode())
    return [name for name in dict.fromkeys(typed) if name != "csrfmiddlewaretoken"]


def test_whatever_is_typed_into_a_form_is_answered(keeper, house):
    for url in pages():
        names = fields_of(keeper.get(url))
        for odd in ODD:
            sent = dict.fromkeys(names, odd) | {"_form_submitted": "True"}
            assert keeper.post(url, sent).status_code < 500, (url, odd)
        right = {"sku": "SAUCE", "warehouse": house.pk, "quantity": "1", "reason": "x", "_form_submitted": "True"}
        for place, name in enumerate(names):
            odd = ODD[place % len(ODD)]
            assert keeper.post(url, right | {name: odd}).status_code < 500, (url, name, odd)
        assert keeper.post(url, {"_form_submitted": "True"}).status_code < 500, url


@pytest.mark.parametrize("page", ["level", "inbound", "serial", "promiserule", "movement", "countline", "reservation"])
def test_whatever_is_searched_for_is_answered(keeper, house, page):
    for odd in ODD:
        assert keeper.get(reverse(f"admin:stock_{page}_changelist"), {"q": odd}).status_code == 200, odd


@pytest.mark.parametrize("row", ["0", "-1", "999999999999999999", "99999999999999999999999", "x", "٣"])
def test_a_row_that_is_not_there_is_no_fault(keeper, house, row):
    for page in (
        "catalog_variant",
        "stock_serial",
        "stock_recall",
        "stock_level",
        "stock_inbound",
        "stock_promiserule",
    ):
        assert keeper.get(reverse(f"admin:{page}_change", args=[row])).status_code in {302, 404}, page
    for page in ("level_book_here", "level_move_from_here", "count_record", "transfer_arrive_otherwise"):
        if row.lstrip("-").isdecimal():
            assert keeper.get(reverse(f"admin:stock_{page}", args=[row])).status_code in {302, 404}, page


def a_hold(**change):
    return {"lines": "OIL 4", "reference": "Mrs Smith", "seconds": "10", "is_all_or_nothing": "on"} | change


def reserve(client, **change):
    return client.post(reverse("admin:stock_reservation_reserve"), a_hold(**change))


def test_staff_reserve_for_a_customer_on_the_phone_extend_it_and_let_the_goods_leave(keeper, house, retailer):
    answer = reserve(keeper, partner="RET-1", channel="phone", lines="OIL 4 W1\n")
    hold = Reservation.objects.get(reference="Mrs Smith")
    assert answer["Location"] == reverse("admin:stock_reservation_change", args=[hold.pk])
    assert (hold.partner, hold.channel, hold.actor) == (retailer, "phone", "staff:keeper")
    page = keeper.get(reserve(keeper, partner="RET-1", channel="phone", lines="OIL 4 W1")["Location"])
    assert "nothing was promised twice" in page.content.decode()
    step(keeper, "reservation_extend_this", hold.pk, seconds="30")
    before, hold.expires_at = hold.expires_at, Reservation.objects.get(pk=hold.pk).expires_at
    assert hold.expires_at > before
    step(keeper, "reservation_commit_this", hold.pk, reference="DN-1")
    level = Level.objects.get(variant__sku="OIL")
    assert (level.on_hand, level.reserved) == (6, 0)
    assert Movement.objects.latest("id").reference == "DN-1"
    assert "cannot be extended" in step(keeper, "reservation_extend_this", hold.pk, seconds="30")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lines": "OIL 11"}, "OIL: 11 asked, 10 there."),
        ({"lines": "OIL 1 NOWHERE"}, "There is no warehouse NOWHERE"),
        ({"lines": " \n "}, "This field is required"),
        ({"lines": "NONE 1"}, "Row 1: there is no product NONE"),
        ({"partner": "NOBODY"}, "no partner with this code"),
        ({"seconds": "31"}, "less than or equal to 30"),
        ({"reference": ""}, "This field is required"),
        ({"reference": "cart"}, "stands for a reservation of other lines"),
    ],
)
def test_what_cannot_be_reserved_is_refused_and_nothing_is_held(keeper, house, change, said):
    assert said in reserve(keeper, **change).content.decode()
    assert (Reservation.objects.count(), Level.objects.get(variant__sku="OIL").reserved) == (1, 0)


def step(client, page, pk, **fields):
    answer = client.post(reverse(f"admin:stock_{page}", args=[pk]), {"_form_submitted": "True"} | fields)
    return client.get(answer["Location"]).content.decode() if answer.status_code == 302 else answer.content.decode()


def test_goods_of_another_are_moved_and_booked_from_the_page_of_their_place(keeper, house, supplier):
    oil = Level.objects.get(variant__sku="OIL").variant
    who = {"actor": make.TESTER, "at": timezone.now(), "warehouse": house, "variant": oil}
    movements.book(kind="receipt", quantity=5, owner=supplier, **who)
    movements.book(kind="quarantine", quantity=2, owner=supplier, **who)
    house.locations.create(code="A-01")
    theirs = Level.objects.get(owner=supplier, condition="sellable")
    form = keeper.get(reverse("admin:stock_level_move_from_here", args=[theirs.pk]))["Location"]
    filled = keeper.get(form).context["form"]
    sent = {name: filled[name].value() or "" for name in filled.fields} | {"to_code": "A-01", "quantity": 3}
    assert (sent["owner"], sent["from_code"]) == ("SUP-1", "MAIN")
    assert keeper.post(form, sent).status_code == 302
    held = Level.objects.get(owner=supplier, condition="quarantine")
    form = keeper.get(reverse("admin:stock_level_book_here", args=[held.pk]))["Location"]
    filled = keeper.get(form).context["form"]
    sent = {name: filled[name].value() or "" for name in filled.fields} | {"quantity": 2, "reason": "looked at"}
    assert sent["kind"] == "lift"
    assert keeper.post(form, sent).status_code == 302
    there = Level.objects.filter(owner=supplier).values_list("location__code", "condition", "on_hand")
    assert set(there) == {("A-01", "sellable", 3), ("MAIN", "quarantine", 0), ("MAIN", "sellable", 2)}
    assert Level.objects.get(variant=oil, owner=None).on_hand == 10


def test_goods_change_hands_where_they_lie_and_promised_ones_do_not(keeper, house, supplier):
    sent = {"direction": "consign", "owner": "SUP-1", "sku": "OIL", "warehouse": house.pk, "quantity": 4}
    url = reverse("admin:stock_level_change_owner")
    assert keeper.post(url, sent).status_code == 302
    assert keeper.post(url, sent | {"direction": "takeOver", "quantity": 1, "reference": "INV-1"}).status_code == 302

    def hands():
        rows = Level.objects.filter(variant__sku="OIL").values_list("owner__code", "on_hand")
        return dict(rows), Movement.objects.count()

    before = hands()
    assert before[0] == {None: 7, "SUP-1": 3}
    for odd, said in (
        ({"owner": "NOBODY"}, "no partner with this code"),
        ({"quantity": 8}, "7"),
        ({"sku": "SAUCE", "batch_number": "B1", "quantity": 97}, "promised"),
    ):
        assert said in keeper.post(url, sent | odd).content.decode(), odd
        assert hands() == before


def test_a_receipt_keeps_its_paper_and_its_supplier(keeper, house, supplier):
    sent = {
        "kind": "receipt", "sku": "SAUCE", "warehouse": house.pk, "quantity": 4, "batch_number": "B2", "reason": "dock",
        "supplier": "SUP-1", "reference": "DN-7",
    }  # fmt: skip
    assert keeper.post(reverse("admin:stock_level_book"), sent).status_code == 302
    assert (Movement.objects.latest("id").reference, Batch.objects.get(number="B2").supplier) == ("DN-7", supplier)


def test_the_warehouse_works_and_the_auditor_looks(client, house):
    roles.ensure_roles()
    hold = Reservation.objects.get()
    for role, status in (("Auditor", 403), ("Warehouse", 302)):
        person = User.objects.create_user(role, is_staff=True)
        person.groups.add(Group.objects.get(name=role))
        client.force_login(person)
        assert reserve(client, reference=role).status_code == status
        for page, fields in (("extend_this", {"seconds": "20"}), ("commit_this", {})):
            answer = client.post(
                reverse(f"admin:stock_reservation_{page}", args=[hold.pk]), {"_form_submitted": "True"} | fields
            )
            assert answer.status_code == status, (role, page)
        level = Level.objects.filter(condition="sellable").first()
        assert client.get(reverse("admin:stock_level_book_here", args=[level.pk])).status_code == status
        assert client.get(reverse("admin:stock_promiserule_add")).status_code == 403
    assert Reservation.objects.get(pk=hold.pk).state == "committed"
    assert PromiseRule.objects.count() == 0
    assert Warehouse.objects.count() == 2
    assert CountLine.objects.filter(state="waiting").count() == CountLine.objects.count()
