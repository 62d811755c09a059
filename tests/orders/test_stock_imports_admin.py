"""Staff look at what other systems said of stock, start it, and take the rejects along."""

from __future__ import annotations

import pytest
from django.urls import reverse

from stock.models import StockImport
from tests import make
from tests.orders import stating


@pytest.fixture
def made(db):
    hall = stating.external()
    make.make_level(variant=make.make_variant(sku="P"), warehouse=hall, on_hand=10)
    return stating.opened(hall, {"P": 17, "=NOBODY": 1}, snapshot_id="S-1")


@pytest.fixture
def keeper(client, staff):
    client.force_login(staff)
    return client


def test_the_list_and_the_page_tell_how_far_it_is_and_what_was_refused(keeper, made):
    assert "S-1" in keeper.get(reverse("admin:stock_stockimport_changelist")).content.decode()
    page = keeper.get(reverse("admin:stock_stockimport_change", args=[made.pk])).content.decode()
    assert "1 of 2" in page
    assert "there is no product =NOBODY" in page


def test_rejects_are_downloaded_as_a_table_no_spreadsheet_runs(keeper, made):
    answer = keeper.get(reverse("admin:stock_stockimport_download_rejects", args=[made.pk]))
    header, row = answer.content.decode().splitlines()
    assert header == "row,productId,batchNumber,quantity,reason"
    assert row.startswith("2,'=NOBODY,,0,productId: ")


def test_it_is_started_by_a_button(keeper, made):
    address = reverse("admin:stock_stockimport_start_this", args=[made.pk])
    assert keeper.post(address, {"_form_submitted": "True"}).status_code == 302
    assert StockImport.objects.get(pk=made.pk).state in ("running", "applied")
