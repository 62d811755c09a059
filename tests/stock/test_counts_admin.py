"""Counting in the staff's pages: a form to open, a page to scan, another person's yes, a button to post."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.urls import reverse
from django.utils import timezone

from inventory_site import roles
from stock.models import Count, CountLine, Level
from stock.operations import counting, movements
from tests import make


@pytest.fixture
def shelf(db):
    warehouse, variant = make.make_warehouse(code="W1"), make.make_variant(sku="SAUCE")
    make.make_level(variant=variant, warehouse=warehouse, on_hand=4711)
    return warehouse, variant


@pytest.fixture
def clerk(client, staff, shelf):
    client.force_login(staff)
    return client


def opening(warehouse, **change):
    fields = {"warehouse": warehouse.pk, "is_blind": "on", "tolerance_units": 5, "tolerance_percent": "0"}
    return fields | change


def open_count(client, warehouse, **change):
    answer = client.post(reverse("admin:stock_count_open"), opening(warehouse, **change))
    count = Count.objects.latest("id")
    assert answer["Location"] == reverse("admin:stock_count_record", args=[count.pk])
    return count


def record(client, count, sending="once", **fields):
    sent = {"sku": "SAUCE", "condition": "sellable", "sending": sending} | fields
    return client.post(reverse("admin:stock_count_record", args=[count.pk]), sent, follow=True)


def step(client, page, name, pk, **fields):
    sent = {"_form_submitted": "True"} | fields
    answer = client.post(reverse(f"admin:{page}_{name}", args=[pk]), sent)
    return client.get(answer["Location"]).content.decode()


def test_a_count_is_opened_recorded_and_posted(clerk, shelf):
    count = open_count(clerk, shelf[0])
    assert "4710 written down" in record(clerk, count, counted=4710).content.decode()
    assert "posted." in step(clerk, "stock_count", "post_this", count.pk)
    assert Level.objects.get().on_hand == 4710


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"locations": "NONE"}, "There is no bin NONE"),
        ({"skus": "NONE, SAUCE"}, "There is no product NONE"),
        ({"locations": "MAIN", "abc_class": "A"}, "only one of the three"),
        ({"tolerance_units": -1}, "greater than or equal to 0"),
    ],
)
def test_a_count_that_cannot_be_is_not_opened(clerk, shelf, change, said):
    answer = clerk.post(reverse("admin:stock_count_open"), opening(shelf[0], **change))
    assert said in answer.content.decode()
    assert Count.objects.count() == 0


def test_the_page_of_a_blind_count_does_not_show_the_books_number(clerk, shelf):
    blind, seeing = open_count(clerk, shelf[0]), open_count(clerk, shelf[0], is_blind="")
    pages = [reverse("admin:stock_count_record", args=[count.pk]) for count in (blind, seeing)]
    shown = [clerk.get(page).content.decode() for page in pages]
    assert ["4,711" in text or "4711" in text for text in shown] == [False, True]
    pages = [reverse("admin:stock_count_change", args=[blind.pk]), reverse("admin:stock_countline_changelist")]
    assert not any("4711" in clerk.get(page).content.decode().replace(",", "") for page in pages)


def test_a_number_that_is_off_is_to_be_counted_again_and_a_double_click_is_no_recount(clerk, shelf):
    count = open_count(clerk, shelf[0])
    assert "count again" in record(clerk, count, sending="a", counted=4).content.decode()
    assert "sent twice" in record(clerk, count, sending="a", counted=4).content.decode()
    assert CountLine.objects.get().state == "recount"
    record(clerk, count, sending="b", counted=4700)
    assert (CountLine.objects.get().state, CountLine.objects.get().counted) == ("counted", 4700)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"counted": ""}, "This field is required"),
        ({"counted": 1, "sku": "NONE"}, "no product with this SKU"),
        ({"counted": 1, "place": "NONE"}, "There is no bin NONE"),
        ({"counted": 1, "owner": "NONE"}, "no partner with this code"),
    ],
)
def test_what_cannot_be_recorded_is_refused_with_a_sentence(clerk, shelf, fields, said):
    count = open_count(clerk, shelf[0])
    assert said in record(clerk, count, **fields).content.decode()
    assert CountLine.objects.get().state == "waiting"


def test_the_cursor_is_where_the_next_scan_goes(clerk, shelf):
    count = open_count(clerk, shelf[0])
    form = clerk.get(reverse("admin:stock_count_record", args=[count.pk])).context["form"]
    assert "autofocus" in str(form["sku"])
    form = record(clerk, count, counted="").context["form"]
    assert "autofocus" in str(form["counted"])


def test_another_person_approves_and_nobody_his_own(clerk, client, shelf):
    count = open_count(clerk, shelf[0], approval_value="1")
    record(clerk, count, counted=4710)
    line = CountLine.objects.get()
    assert "somebody else has to decide" in step(clerk, "stock_countline", "approve_this", line.pk)
    assert "1 wait for approval" in step(clerk, "stock_count", "post_this", count.pk, close_uncounted="on")
    assert Level.objects.get().on_hand == 4711
    roles.ensure_roles()
    other = User.objects.create_user("bert", is_staff=True)
    other.groups.add(Group.objects.get(name="Warehouse"))
    client.force_login(other)
    data = {"action": "approve", "_selected_action": [line.pk]}
    page = client.post(reverse("admin:stock_countline_changelist"), data, follow=True).content.decode()
    assert "1 approved" in page
    step(client, "stock_count", "post_this", count.pk)
    assert (CountLine.objects.get().approved_by, Level.objects.get().on_hand) == ("staff:bert", 4710)


def test_posting_says_what_was_sent_back_and_what_had_left(clerk, shelf):
    warehouse, variant = shelf
    who = {"actor": make.TESTER, "at": timezone.now()}
    count = open_count(clerk, warehouse, tolerance_units=9999)
    record(clerk, count, sending="a", counted=4700)
    movements.book(kind="adjustment", variant=variant, warehouse=warehouse, quantity=-11, **who)
    assert "1 places were set right by somebody else" in step(clerk, "stock_count", "post_this", count.pk)
    record(clerk, count, sending="b", counted=1)
    movements.book(kind="writeOff", variant=variant, warehouse=warehouse, quantity=4690, **who)
    assert "more of SAUCE were missing" in step(clerk, "stock_count", "post_this", count.pk)


def test_an_auditor_sees_counts_and_moves_none(client, shelf):
    count = counting.open(
        warehouse=shelf[0], scope=counting.Scope(), rules=counting.Rules(), actor=make.TESTER, at=timezone.now()
    )
    roles.ensure_roles()
    auditor = User.objects.create_user("ada", is_staff=True)
    auditor.groups.add(Group.objects.get(name="Auditor"))
    client.force_login(auditor)
    assert client.get(reverse("admin:stock_count_change", args=[count.pk])).status_code == 200
    line = CountLine.objects.get().pk
    for page, name, pk in [
        ("stock_count", "record", count.pk),
        ("stock_count", "post_this", count.pk),
        ("stock_count", "cancel_this", count.pk),
        ("stock_countline", "approve_this", line),
        ("stock_countline", "reject_this", line),
    ]:
        assert client.post(reverse(f"admin:{page}_{name}", args=[pk]), {}).status_code == 403, name
    assert client.post(reverse("admin:stock_count_open"), opening(shelf[0])).status_code == 403
    assert (Count.objects.get().state, CountLine.objects.get().state) == ("open", "waiting")


def test_a_cancelled_count_stays_so(clerk, shelf):
    count = open_count(clerk, shelf[0])
    assert "1 cancelled" in step(clerk, "stock_count", "cancel_this", count.pk)
    assert "cannot be posted" in step(clerk, "stock_count", "post_this", count.pk)


def test_long_counts_and_lists_cost_no_more_queries(clerk, shelf, django_assert_max_num_queries):
    warehouse, _ = shelf
    for _ in range(60):
        make.make_level(variant=make.make_variant(), warehouse=warehouse, on_hand=3)
    count = open_count(clerk, warehouse, is_blind="")
    for page in ("count_record", "count_change"):
        with django_assert_max_num_queries(16):
            assert clerk.get(reverse(f"admin:stock_{page}", args=[count.pk])).status_code == 200
    with django_assert_max_num_queries(12):
        assert clerk.get(reverse("admin:stock_countline_changelist")).status_code == 200
    found = clerk.get(reverse("admin:stock_countline_changelist"), {"q": count.number})
    assert len(found.context["cl"].result_list) == 50
    assert len(clerk.get(reverse("admin:stock_countline_changelist"), {"q": "sauce"}).context["cl"].result_list) == 1
