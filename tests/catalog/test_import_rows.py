"""Imports that are over give up their rows; what can still be undone keeps them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from catalog.models import CatalogImport, CatalogImportRow, Variant
from catalog.operations import plan_sweeping, plan_work, plans
from catalog.operations.plans import RowsForgotten
from catalog.queries import KEPT_DAYS, UNDONE_DAYS
from partners.problems import IllegalStep
from tests import make
from tests.catalog.test_plans import apply, planned, undo

NOW = timezone.now()
KEPT, UNDONE = timedelta(days=KEPT_DAYS, hours=1), timedelta(days=UNDONE_DAYS, hours=1)


@pytest.fixture
def ended(db) -> dict[str, CatalogImport]:
    """One import for each way to end, by how."""
    made = {name: planned({"productId": name, "name": name}, {"productId": f"{name}-2", "name": ""})
            for name in ("planned", "applied", "undone")}  # fmt: skip
    apply(made["applied"])
    apply(made["undone"])
    undo(made["undone"])
    return {name: CatalogImport.objects.get(pk=plan.pk) for name, plan in made.items()}


def sweep(after: timedelta) -> int:
    return plan_sweeping.forget_rows(at=NOW + after)


def left(ended) -> dict[str, int]:
    return {name: CatalogImportRow.objects.filter(plan=plan).count() for name, plan in ended.items()}


def test_what_was_not_applied_or_is_taken_back_gives_up_its_rows_and_what_can_be_undone_keeps_them(ended):
    assert sweep(timedelta(days=KEPT_DAYS - 1)) == 0
    assert left(ended) == {"planned": 2, "applied": 2, "undone": 2}
    assert sweep(KEPT) == 4
    assert left(ended) == {"planned": 0, "applied": 2, "undone": 0}
    waited = CatalogImport.objects.get(pk=ended["planned"].pk)
    assert (waited.state, waited.new_count, waited.refused_count) == ("outdated", 1, 1), "its counts stay"
    with pytest.raises(IllegalStep):
        plans.start(plan=waited, actor=make.TESTER)
    assert sweep(UNDONE - timedelta(days=2)) == 0
    assert undo(ended["applied"]).state == "undone"
    assert not Variant.objects.filter(sku="applied").exists()


def test_an_applied_import_is_undone_for_a_year_and_not_after(ended):
    assert sweep(UNDONE) == 6
    with pytest.raises(RowsForgotten) as refused:
        undo(ended["applied"])
    kept = CatalogImport.objects.get(pk=ended["applied"].pk)
    assert refused.value.data == {"forgottenAt": kept.forgotten_at.isoformat()}
    assert kept.state == "applied"
    assert Variant.objects.filter(sku="applied", status="active").exists()
    with pytest.raises(RowsForgotten):
        plan_work.open_again(plan=kept, actor=make.TESTER)
    assert CatalogImport.objects.count() == 3


def test_rows_another_plan_is_being_made_from_wait_until_it_is_made(ended):
    again = plan_work.open_again(plan=ended["undone"], actor=make.TESTER)
    CatalogImport.objects.filter(pk=again.pk).update(touched_at=NOW + KEPT)
    sweep(KEPT)
    assert left(ended)["undone"] == 2
    made = plan_work.work_on(plan=again)
    assert (made.state, made.new_count) == ("planned", 1)
    sweep(KEPT)
    assert left(ended)["undone"] == 0


def test_a_run_is_bounded_and_the_next_goes_on(ended, monkeypatch):
    monkeypatch.setattr(plan_sweeping, "ROWS_MAX", 3)
    monkeypatch.setattr(plan_sweeping, "STATEMENT_ROWS", 2)
    assert [sweep(KEPT) for _ in range(3)] == [3, 1, 0]


def test_what_has_given_up_its_rows_offers_neither_undo_nor_another_plan(ended, client, staff, api):
    client.force_login(staff)
    page = reverse("admin:catalog_catalogimport_change", args=[ended["applied"].pk])
    undoing = reverse("admin:catalog_catalogimport_undo_this", args=[ended["applied"].pk])
    assert undoing in client.get(page).content.decode()
    sweep(UNDONE)
    assert undoing not in client.get(page).content.decode()
    told = api(make.make_partner(code="SHOP", kind="channel")).get(f"/imports/{ended['applied'].number}").json()
    assert told["forgottenAt"] is not None
