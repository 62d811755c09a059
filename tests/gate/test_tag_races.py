"""Many who change what they have all seen alike: one is taken, and nothing is lost."""

from __future__ import annotations

import pytest

from catalog.models import Variant
from partners.models import Partner
from stock import proof
from stock.models import Level
from tests import make
from tests.conftest import api_of
from tests.races.crowd import all_at_once


@pytest.fixture
def shelf(own_database):
    """A supplier's product, for real connections."""
    supplier = make.make_partner(code="SUP", kind="supplier")
    variant = make.make_variant(sku="PLAIN", suppliers=[supplier], shelf_life_days=1)
    make.make_level(variant=variant, warehouse=make.make_warehouse(code="HALL"), on_hand=10)
    return api_of(supplier)


CHANGES = {
    "/products/PLAIN": lambda number: {"name": f"Name {number}"},
    "/suppliers/SUP": lambda number: {"name": f"Name {number}"},
    "/inventory/SUP/PLAIN": lambda number: {
        "warehouseLocation": "HALL", "inventoryLevel": 100 + number, "reason": "counted",
    },
}  # fmt: skip


@pytest.mark.races
@pytest.mark.parametrize("path", CHANGES)
def test_of_fifty_changes_made_from_one_version_one_is_taken(shelf, path):
    tag = shelf.get(path)["ETag"]

    def five(place: int) -> list[tuple[int, int]]:
        return [
            (number, shelf.patch(path, CHANGES[path](number), headers={"If-Match": tag}).status_code)
            for number in range(place * 5, place * 5 + 5)
        ]

    answers = [answer for found in all_at_once(10, five) for answer in found]
    assert sorted(status for _, status in answers) == [200, *[412] * 49]
    [taken] = [number for number, status in answers if status == 200]
    written = {
        "/products/PLAIN": Variant.objects.get().name == f"Name {taken}",
        "/suppliers/SUP": Partner.objects.get().name == f"Name {taken}",
        "/inventory/SUP/PLAIN": Level.objects.get(condition="sellable").on_hand == 100 + taken,
    }
    assert written[path]
    assert proof.prove_ledger().differences == []


@pytest.mark.races
def test_a_counter_that_is_read_raised_and_written_by_many_loses_nothing(shelf):
    """32 read-modify-writes from eight clients, each until it is taken."""

    def raise_it(place: int) -> int:
        lost = 0
        for _ in range(4):
            while True:
                read = shelf.get("/products/PLAIN")
                more = {"shelfLifeDays": read.json()["shelfLifeDays"] + 1}
                if shelf.patch("/products/PLAIN", more, headers={"If-Match": read["ETag"]}).status_code == 200:
                    break
                lost += 1
        return lost

    lost = all_at_once(8, raise_it, patience_seconds=300)
    assert all(isinstance(number, int) for number in lost), lost
    assert Variant.objects.get().shelf_life_days == 1 + 32
    assert sum(lost) > 0, "nobody met anybody: it proves nothing"
