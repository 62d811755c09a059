"""The staff's pages of batches held back and recalled, and of reasons."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.urls import reverse

from inventory_site import roles
from stock.models import Batch, Level, Movement, Reason, Recall, Warehouse
from tests import make
from tests.conftest import api_of


@pytest.fixture
def keeper(client, staff):
    client.force_login(staff)
    return client


@pytest.fixture
def batch(retailer, supplier) -> Batch:
    """Ten of a sauce, of which a retailer got three."""
    sauce = make.make_variant(sku="SAUCE", suppliers=[supplier], tracking="batch")
    level = make.make_level(variant=sauce, warehouse=make.make_warehouse(code="W1"), batch_number="B1")
    shop = api_of(retailer)
    held = shop.post("/reservations", {"reference": "cart", "lines": [{"productId": "SAUCE", "quantity": 3}]}).json()
    shop.post(f"/reservations/{held['reservationId']}/commit")
    return level.batch


def say(client, verb: str, batch: Batch, reason: str = "smells odd"):
    return client.post(
        reverse(f"admin:stock_batch_{verb}", args=[batch.pk]), {"_form_submitted": "True", "reason": reason}
    )


def state() -> str:
    return Batch.objects.get().hold_state


def test_a_batch_is_held_back_and_let_go_for_a_reason(keeper, batch):
    assert "reason" in keeper.get(reverse("admin:stock_batch_quarantine", args=[batch.pk])).content.decode()
    say(keeper, "quarantine", batch, reason="")
    assert state() == "released"
    say(keeper, "quarantine", batch)
    assert state() == "quarantined"
    say(keeper, "lift", batch)
    assert state() == "released"


def test_a_recall_leads_to_the_page_that_says_who_got_some(keeper, batch):
    answer = say(keeper, "recall", batch, "glass in it")
    recall = Recall.objects.get()
    assert answer["Location"] == reverse("admin:stock_recall_change", args=[recall.pk])
    page = keeper.get(answer["Location"])
    assert (page.context["trace"].shipped, page.context["trace"].percent) == (3, 100)
    assert "RET-1" in page.content.decode()
    refused = say(keeper, "lift", batch)
    assert "close the recall first" in keeper.get(refused["Location"]).content.decode()
    keeper.post(reverse("admin:stock_recall_close_this", args=[recall.pk]), {"_form_submitted": "True"})
    say(keeper, "lift", batch)
    assert (Recall.objects.get().state, state()) == ("closed", "released")


def test_the_hold_is_not_typed_into_the_batch(keeper, batch):
    sent = {"hold_state": "recalled", "supplier": "", "expires_on": "2090-01-01"}
    keeper.post(reverse("admin:stock_batch_change", args=[batch.pk]), sent)
    assert state() == "released"


def test_who_may_only_look_holds_nothing_back(client, batch):
    roles.ensure_roles()
    auditor = User.objects.create_user("ada", is_staff=True)
    auditor.groups.add(Group.objects.get(name="Auditor"))
    client.force_login(auditor)
    for verb in ("quarantine", "lift", "recall"):
        assert say(client, verb, batch).status_code == 403
    assert state() == "released"


def booking(**change):
    fields = {
        "kind": "adjustment", "sku": "SAUCE", "warehouse": Warehouse.objects.get().pk, "batch_number": "B1",
        "quantity": -2,
    }  # fmt: skip
    return fields | change


def test_a_clerk_chooses_a_reason_and_the_units_go_where_it_says(keeper, batch):
    assert "Given away as a sample" in keeper.get(reverse("admin:stock_level_book")).content.decode()
    assert keeper.post(reverse("admin:stock_level_book"), booking(listed_reason="sample")).status_code == 302
    row = Movement.objects.select_related("to_location").latest("id")
    assert (row.reason, row.to_location.kind, Level.objects.get().on_hand) == ("sample", "consumed", 5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "by the list or in your own words"),
        ({"listed_reason": "expired"}, "for another kind"),
        ({"reason": "x", "bin": "Z9"}, "no such bin"),
        ({"reason": "x", "owner": "Z9"}, "no partner with this code"),
    ],
)
def test_a_booking_that_does_not_say_why_or_of_what_is_refused(keeper, batch, change, said):
    before = Movement.objects.count()
    assert said in keeper.post(reverse("admin:stock_level_book"), booking(**change)).content.decode()
    assert (Movement.objects.count(), Level.objects.get().on_hand) == (before, 7)


def test_a_reason_is_retired_and_never_means_something_else(keeper, db):
    url = reverse("admin:stock_reason_change", args=["theft"])
    assert keeper.post(url, {"name": "Stolen", "place": "scrap"}).status_code == 302
    reason = Reason.objects.get(code="theft")
    assert (reason.is_active, reason.place) == (False, "lost")
    assert keeper.post(reverse("admin:stock_reason_delete", args=["theft"]), {"post": "yes"}).status_code == 403
