"""A plan never overwrites what somebody changed after it was made, whenever that is."""

from __future__ import annotations

import pytest

from catalog.models import Variant
from catalog.operations import plan_moved, plans, products
from catalog.operations.plan_moved import PlanOutdated
from partners.files import Row
from tests import make
from tests.races import pauses


@pytest.fixture
def planned(own_database):
    variant = make.make_variant(sku="SAUCE")
    rows = [Row(2, {"productId": "SAUCE", "name": "Hot sauce"})]
    return variant, plans.plan(rows=rows, kind="products", title="Spring", actor=make.TESTER)


def meet(variant, plan, step):
    return pauses.meet(
        lambda: plans.apply(plan=plan, actor=make.TESTER),
        lambda: products.revise(variant=variant, fields={"name": "Sauce of the house"}, actor=make.TESTER),
        step=step,
    )


@pytest.mark.races
@pytest.mark.parametrize("step", [2, 4, 6, 8, 10, 12])
def test_a_change_at_any_moment_comes_before_the_plan_or_after_it(planned, step):
    """Before: the plan is outdated. After: the change stands on top of it. Never is it lost."""
    variant, plan = planned
    results = meet(variant, plan, step)
    assert results is not None
    assert Variant.objects.get().name == "Sauce of the house"
    applied, _ = results
    plan.refresh_from_db()
    if isinstance(applied, PlanOutdated):
        assert (plan.state, Variant.objects.get().version) == ("outdated", 2)
    else:
        assert (plan.state, Variant.objects.get().version) == ("applied", 3)


@pytest.mark.races
def test_without_the_second_look_a_change_is_overwritten(planned, monkeypatch):
    """The negative control."""
    variant, plan = planned
    monkeypatch.setattr(plan_moved, "look_again", lambda *, plan: None)
    products.revise(variant=variant, fields={"name": "Sauce of the house"}, actor=make.TESTER)
    plans.apply(plan=plan, actor=make.TESTER)
    assert Variant.objects.get().name == "Hot sauce"
