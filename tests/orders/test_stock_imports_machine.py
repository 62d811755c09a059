"""Imports, orders, departures and refusals in any order, against a model that one can read."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from orders.models import FulfilmentRequest, WarehouseClock
from stock import proof, queries
from stock.operations.stating import RangeGap, StaleSnapshot
from tests import make
from tests.orders import stating

_codes = itertools.count(1)


class Model:
    """One place: what lies there, what is promised, and what left and is in nobody's numbers."""

    def __init__(self) -> None:
        self.on_hand, self.promised, self.through = 20, 0, 0
        self.left: dict[int, int] = {}

    def refusal(self, starts: int | None, ends: int) -> type[Exception] | None:
        if ends < self.through:
            return StaleSnapshot
        is_left_out = any(self.through < stamp < (starts or 1) for stamp in self.left)
        return RangeGap if is_left_out and (starts or 1) > self.through + 1 else None

    def rest(self, starts: int | None, ends: int) -> dict[int, int]:
        return {stamp: units for stamp, units in self.left.items() if not (starts or 1) <= stamp <= ends}


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.model, self.code = Model(), next(_codes)
        self.hall, self.sku = stating.external(f"DC-{self.code}"), f"P-{self.code}"
        self.buyer = make.make_partner(granted_warehouses=[self.hall.code])
        make.make_level(variant=make.make_variant(sku=self.sku), warehouse=self.hall, on_hand=20)
        self.open: list[FulfilmentRequest] = []
        self.orders = 0

    def head(self) -> int:
        return last_of(self.hall)

    @precondition(lambda self: self.model.on_hand - self.model.promised >= 3)
    @rule(units=st.integers(1, 3))
    def order(self, units):
        self.orders += 1
        self.open.append(stating.assigned(self.buyer, self.sku, f"O-{self.orders}", units))
        self.model.promised += units

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def leave(self, data):
        request = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        units = request.items.get().quantity
        self.model.left[stating.completed(request)] = units
        self.model.on_hand -= units
        self.model.promised -= units

    @precondition(lambda self: self.open)
    @rule()
    def refuse(self):
        request = self.open.pop()
        self.model.promised -= request.items.get().quantity
        stating.failed(request)

    @precondition(lambda self: self.head())
    @rule(data=st.data(), more=st.integers(0, 9))
    def state(self, data, more):
        ends = data.draw(st.integers(1, self.head()))
        starts = data.draw(st.none() | st.integers(1, ends))
        rest = self.model.rest(starts, ends)
        counted = self.model.promised + sum(rest.values()) + more
        if refusal := self.model.refusal(starts, ends):
            with pytest.raises(refusal):
                stating.said(self.hall, {self.sku: counted}, starts, ends)
            return
        stating.said(self.hall, {self.sku: counted}, starts, ends)
        self.model.left, self.model.through = rest, ends
        self.model.on_hand = counted - sum(rest.values())

    @rule(came=st.integers(0, 9))
    def add(self, came):
        stating.said(self.hall, {self.sku: came}, mode="delta")
        self.model.on_hand += came

    @invariant()
    def the_book_is_the_model(self):
        model = self.model
        assert stating.book(self.sku, self.hall) == (model.on_hand, model.on_hand - model.promised)
        behind = [stamp for stamp in model.left if stamp <= model.through]
        told = queries.acknowledged_through(warehouse_id=self.hall.pk, partner=None)
        assert told == (min(behind) - 1 if behind else model.through)


def last_of(hall) -> int:
    clock = WarehouseClock.objects.filter(warehouse=hall).first()
    return clock.last if clock else 0


def test_whatever_comes_when_the_book_is_counted_and_later(db):
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=12, stateful_step_count=12, deadline=None, phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
    assert proof.prove_ledger().differences == []
