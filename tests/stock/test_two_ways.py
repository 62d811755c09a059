"""The statement that reserves at once decides what the long way would decide, or leaves it to the long way."""

from __future__ import annotations

import random
from datetime import date, timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from stock import allocation, queries
from stock.models import Allocation
from stock.operations import reservations
from stock.operations.promising import Wanted
from tests import make

SHELVES = 60


def fill_at_random(dice: random.Random):
    """One product in up to three warehouses, in batches that expire on few days, so that ties come up."""
    variant = make.make_variant(tracking="batch")
    today = timezone.now().date()
    for code in dice.sample(["B", "a", "C"], dice.randint(1, 3)):
        warehouse = make.make_warehouse(code=f"{code}{variant.pk}")
        for number in range(dice.randint(1, 3)):
            day = dice.choice([None, today - timedelta(days=2), today + timedelta(days=9), date(2090, 1, 1)])
            make.make_level(
                variant=variant, warehouse=warehouse, on_hand=dice.randint(1, 5), batch_number=f"{code}{number}",
                expires_on=day,
            )  # fmt: skip
    return variant


def picked_at_once(variant, quantity: int) -> list[tuple[int, int]] | None:
    """What the one statement picks, taken back again; None where it leaves the wish to the long way."""
    wish = reservations.wish_for(
        reference="x", wanted=[Wanted(variant=variant, quantity=quantity)], partner=None, actor=make.TESTER,
        at=timezone.now(),
    )  # fmt: skip
    with transaction.atomic():
        made = reservations._reserve_at_once(wish)
        rows = (
            list(Allocation.objects.filter(line__reservation=made).values_list("level", "quantity")) if made else None
        )
        transaction.set_rollback(True)
    return rows


@pytest.mark.parametrize("seed", range(4))
def test_the_short_way_picks_what_the_long_way_picks(db, seed):
    dice = random.Random(seed)  # noqa: S311
    short = 0
    for _ in range(SHELVES // 4):
        variant, quantity = fill_at_random(dice), dice.randint(1, 7)
        offers = queries.candidates(variant_ids=[variant.pk], partner=None, at=timezone.now())
        [plan] = allocation.allocate([allocation.Demand(variant_id=variant.pk, quantity=quantity)], offers)
        picked = picked_at_once(variant, quantity)
        if picked is not None:
            short += 1
            assert picked == [(pick.level_id, pick.quantity) for pick in plan.picks]
    assert short > SHELVES // 16, "the short way was hardly ever taken: the test proves nothing"
