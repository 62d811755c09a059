"""All verbs of the stock book in any order, against a model that one can read: what lies where, and for whom."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date, timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from catalog.operations import kits
from partners.problems import Problem
from stock import ledger, proof
from stock.models import Allocation, Batch, Level, Location, Movement, Recall, Reservation
from stock.operations import (
    counting,
    holds,
    movements,
    moving,
    owning,
    reservations,
    shortages,
    transfers,
    warehouses,
)
from stock.operations.counting import Found, Rules, Scope
from stock.operations.promising import Wanted
from stock.operations.transfers import Arrival, Going
from tests import make

SELLABLE, QUARANTINE, DAMAGED = "sellable", "quarantine", "damaged"
KIT = {"PLAIN": 1, "BATCHED": 2}
DAYS = {"B1": date(2080, 1, 1), "B2": date(2090, 1, 1)}
GOODS = [("PLAIN", ""), ("BATCHED", "B1"), ("BATCHED", "B2")]
# Mostly in one place, so that one step meets what another did.
ITEMS = st.sampled_from([GOODS[0], *GOODS])
HALLS, OWNERS = st.sampled_from(["W1", "W1", "W1", "W2"]), st.sampled_from(["", "", "", "OWNER"])
UNITS = st.integers(1, 12)
# kind → where from and where to; None is outside.
ROUTES = {
    "receipt": (None, SELLABLE), "return": (None, QUARANTINE), "damage": (SELLABLE, DAMAGED),
    "quarantine": (SELLABLE, QUARANTINE), "lift": (QUARANTINE, SELLABLE), "writeOff": (SELLABLE, None),
}  # fmt: skip
Key = tuple[str, str, str, str, str]  # sku, bin, batch, condition, owner


class Shelf:
    """The model: units by place, and promised units by line and place."""

    def __init__(self) -> None:
        self.units: Counter[Key] = Counter()
        self.promised: dict[tuple[int, Key], int] = defaultdict(int)
        self.held: set[str] = set()
        self.corrected: set[Key] = set()

    def reserved(self, key: Key) -> int:
        return sum(units for (_, place), units in self.promised.items() if place == key)

    def free(self, key: Key) -> int:
        return self.units[key] - self.reserved(key)

    def may_be_promised(self, key: Key) -> bool:
        return key[3] == SELLABLE and key[4] == "" and key[2] not in self.held

    def sellable(self, sku: str, hall: str = "") -> int:
        """Free units that may be promised, in one building or in all."""
        return sum(
            self.free(key)
            for key in self.units
            if key[0] == sku and key[1].startswith(hall) and self.may_be_promised(key)
        )

    def youngest(self, key: Key, units: int) -> list[tuple[int, int]]:
        """Whose promises so many promised units are, the youngest first."""
        found = []
        for line, place in sorted(self.promised, reverse=True):
            if place == key and (taken := min(units, self.promised[line, place])):
                found.append((line, taken))
                units -= taken
        return found

    def take(self, key: Key, units: int) -> None:
        """A fact: these units are gone, whoever they were promised to."""
        for line, broken in self.youngest(key, max(0, units - self.free(key))):
            self.promised[line, key] -= broken
        self.units[key] -= units


class Book(RuleBasedStateMachine):
    """Does each verb to the book and to the model; refusals are foretold by the model."""

    def __init__(self) -> None:
        super().__init__()
        self.undo = transaction.atomic()
        self.undo.__enter__()
        self.halls = {code: make.make_warehouse(code=code) for code in ("W1", "W2")}
        warehouses.open_location(warehouse=self.halls["W1"], code="A-01", actor=make.TESTER)
        self.skus = {
            "PLAIN": make.make_variant(sku="PLAIN"),
            "BATCHED": make.make_variant(sku="BATCHED", tracking="batch"),
            "KIT": make.make_variant(sku="KIT"),
        }
        parts = [kits.Part(component=self.skus[sku], quantity=quantity) for sku, quantity in KIT.items()]
        kits.compose(kit=self.skus["KIT"], parts=parts, actor=make.TESTER)
        for number, day in DAYS.items():
            warehouses.know_batch(variant=self.skus["BATCHED"], number=number, expires_on=day, actor=make.TESTER)
        self.owner = make.make_partner(code="OWNER", kind="supplier")
        self.shelf = Shelf()
        self.reservations: dict[int, Reservation] = {}
        self.lines: dict[int, int] = {}
        self.carts = 0
        self.transfer = self.count = None
        self.road: dict[int, tuple[str, str, int]] = {}
        self.counted: dict[Key, tuple[int, int]] = {}
        for sku, number in GOODS:
            self.book_by_hand("receipt", (sku, number), "W1", 12, "")

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.undo.__exit__(None, None, None)

    @property
    def now(self):
        return {"actor": make.TESTER, "at": timezone.now()}

    def attempt(self, call, *, is_possible: bool):
        """What `call` answers, None where it refuses; and it refuses when the model says so."""
        try:
            answer = call()
        except Problem:
            if is_possible:
                raise
            return None
        assert is_possible, "it should have been refused"
        return answer

    def key(self, item, place, condition=SELLABLE, owner="") -> Key:
        return item[0], place, item[1], condition, owner

    def named(self, item):
        return {"variant": self.skus[item[0]], "batch_number": item[1]}

    # -- Facts of the shelf

    @rule(item=ITEMS, hall=HALLS, units=st.integers(5, 30), owner=OWNERS)
    def receive(self, item, hall, units, owner):
        self.book_by_hand("receipt", item, hall, units, owner)

    @rule(kind=st.sampled_from(list(ROUTES)), item=ITEMS, hall=HALLS, units=UNITS, owner=OWNERS)
    def book(self, kind, item, hall, units, owner):
        self.book_by_hand(kind, item, hall, units, owner)

    def book_by_hand(self, kind, item, hall, units, owner):
        source, target = (
            self.key(item, f"{hall}/MAIN", condition, owner) if condition else None for condition in ROUTES[kind]
        )
        is_possible = (source is None or units <= self.shelf.units[source]) and (
            kind != "lift" or item[1] not in self.shelf.held
        )
        booked = self.attempt(
            lambda: movements.book(
                kind=kind, warehouse=self.halls[hall], quantity=units, owner=self.owner if owner else None,
                **self.named(item), **self.now,
            ),
            is_possible=is_possible,
        )  # fmt: skip
        if booked:
            if source:
                self.shelf.take(source, units)
            if target:
                self.shelf.units[target] += units

    @rule(item=ITEMS, hall=HALLS, difference=st.integers(-12, 12).filter(bool))
    def adjust(self, item, hall, difference):
        key = self.key(item, f"{hall}/MAIN")
        if self.attempt(
            lambda: movements.book(
                kind="adjustment", warehouse=self.halls[hall], quantity=difference, **self.named(item), **self.now
            ),
            is_possible=self.shelf.units[key] + difference >= 0,
        ):
            self.correct(key, difference)

    @rule(item=ITEMS, hall=HALLS, on_hand=st.integers(0, 20))
    def set_level(self, item, hall, on_hand):
        movements.set_level(warehouse=self.halls[hall], on_hand=on_hand, reason="seen", **self.named(item), **self.now)
        key = self.key(item, f"{hall}/MAIN")
        self.correct(key, on_hand - self.shelf.units[key])

    def correct(self, key, difference):
        """Units are found or lost; a count that looked before does not know."""
        if difference < 0:
            self.shelf.take(key, -difference)
        else:
            self.shelf.units[key] += difference
        if difference:
            self.shelf.corrected.add(key)

    @rule(item=ITEMS, bins=st.permutations(["MAIN", "A-01"]), units=UNITS)
    def move(self, item, bins, units):
        here, there = (self.key(item, f"W1/{code}") for code in bins)
        if self.attempt(
            lambda: moving.move(
                warehouse=self.halls["W1"], from_code=bins[0], to_code=bins[1], quantity=units, **self.named(item),
                **self.now,
            ),
            is_possible=units <= self.shelf.units[here],
        ):  # fmt: skip
            for line, carried in self.shelf.youngest(here, max(0, units - self.shelf.free(here))):
                self.shelf.promised[line, here] -= carried
                self.shelf.promised[line, there] += carried
            self.shelf.units[here] -= units
            self.shelf.units[there] += units

    @rule(item=ITEMS, hall=HALLS, units=UNITS, is_bought=st.booleans())
    def change_hands(self, item, hall, units, is_bought):
        ours, theirs = (self.key(item, f"{hall}/MAIN", SELLABLE, owner) for owner in ("", "OWNER"))
        giver, taker = (theirs, ours) if is_bought else (ours, theirs)
        hand_over = owning.take_over if is_bought else owning.consign
        if self.attempt(
            lambda: hand_over(
                warehouse=self.halls[hall],
                owner=self.owner,
                quantity=units,
                reference="C",
                **self.named(item),
                **self.now,
            ),
            is_possible=units <= self.shelf.free(giver),
        ):
            self.shelf.units[giver] -= units
            self.shelf.units[taker] += units

    # -- Promises

    @rule(
        wanted=st.lists(
            st.tuples(st.sampled_from(["PLAIN", "PLAIN", "BATCHED", "KIT"]), st.integers(1, 6)), min_size=1, max_size=3
        )
    )
    def reserve(self, wanted):
        demand: Counter[str] = Counter()
        for sku, units in wanted:
            for part, per_kit in KIT.items() if sku == "KIT" else [(sku, 1)]:
                demand[part] += per_kit * units
        self.carts += 1
        answer = self.attempt(
            lambda: self.ask(f"cart-{self.carts}", wanted),
            is_possible=all(self.shelf.sellable(sku) >= units for sku, units in demand.items()),
        )
        if answer:
            made, is_new = answer
            assert is_new
            self.reservations[made.pk] = made
            made.wanted = wanted
            rows = Allocation.objects.filter(line__reservation=made).select_related(*WHERE, "line")
            for row in rows.order_by("id"):
                key = key_of(row.level)
                assert self.shelf.may_be_promised(key)
                assert row.quantity <= self.shelf.free(key)
                self.shelf.promised[row.line_id, key] += row.quantity
                self.lines[row.line_id] = made.pk
                demand[key[0]] -= row.quantity
            assert set(demand.values()) == {0}

    def ask(self, reference, wanted):
        lines = [Wanted(variant=self.skus[sku], quantity=units) for sku, units in wanted]
        return reservations.reserve(reference=reference, wanted=lines, partner=None, **self.now)

    @precondition(lambda self: self.reservations)
    @rule(data=st.data())
    def reserve_again(self, data):
        held = self.any_reservation(data)
        if held.state in {"open", "committed"}:
            again, is_new = self.ask(held.reference, held.wanted)
            assert (again.pk, is_new) == (held.pk, False)

    @precondition(lambda self: self.reservations)
    @rule(data=st.data(), verb=st.sampled_from(["extend", "commit", "release", "expire"]))
    def end(self, data, verb):
        held = self.any_reservation(data)
        mine = {at: units for at, units in self.shelf.promised.items() if self.lines[at[0]] == held.pk and units}
        if verb == "extend":
            is_possible = held.state == "open" and held.extensions < reservations.EXTENSIONS_MAX
            if self.attempt(
                lambda: reservations.extend(reservation=held, seconds=900, **self.now), is_possible=is_possible
            ):
                held.extensions += 1
            return
        if verb == "expire":
            soon = Reservation.objects.open().filter(pk=held.pk)
            is_over = soon.update(expires_at=timezone.now() - timedelta(seconds=1))
            assert reservations.expire_due(**self.now) == is_over
            is_done = bool(is_over)
        elif verb == "commit":
            is_blocked = any(key[2] in self.shelf.held for _, key in mine)
            is_possible = held.state == "committed" or (held.state == "open" and not is_blocked)
            done = self.attempt(
                lambda: reservations.commit(reservation=held, reference="", **self.now), is_possible=is_possible
            )
            is_done = done is not None and held.state == "open"
        else:
            done = self.attempt(
                lambda: reservations.release(reservation=held, **self.now), is_possible=held.state != "committed"
            )
            is_done = done is not None and held.state == "open"
        if is_done:
            held.state = {"commit": "committed", "release": "released", "expire": "expired"}[verb]
            for at, units in mine.items():
                self.shelf.promised[at] = 0
                self.shelf.units[at[1]] -= units if verb == "commit" else 0

    def any_reservation(self, data):
        return self.reservations[data.draw(st.sampled_from(sorted(self.reservations)))]

    # -- Documents

    @precondition(lambda self: self.transfer is None)
    @rule(
        halls=st.permutations(["W1", "W2"]),
        going=st.lists(st.tuples(st.sampled_from(list(KIT)), UNITS), min_size=1, max_size=2),
    )
    def send(self, halls, going):
        lines = [Going(variant=self.skus[sku], quantity=units) for sku, units in going]
        planned = transfers.plan(source=self.halls[halls[0]], target=self.halls[halls[1]], going=lines, **self.now)
        demand: Counter[str] = Counter()
        for sku, units in going:
            demand[sku] += units
        if self.attempt(
            lambda: transfers.dispatch(transfer=planned, **self.now),
            is_possible=all(self.shelf.sellable(sku, halls[0]) >= units for sku, units in demand.items()),
        ):
            places = dict(Location.objects.values_list("pk", "code"))
            for row in Movement.objects.filter(reference=planned.number).select_related("variant", "batch"):
                item = row.variant.sku, row.batch.number if row.batch else ""
                key = self.key(item, f"{halls[0]}/{places[row.from_location_id]}")
                assert self.shelf.may_be_promised(key)
                assert row.quantity <= self.shelf.free(key)
                self.shelf.units[key] -= row.quantity
                demand[item[0]] -= row.quantity
            assert set(demand.values()) == {0}
            self.transfer = planned
            self.road = {
                line.pk: (line.variant.sku, line.batch.number if line.batch else "", line.dispatched)
                for line in planned.lines.select_related("variant", "batch")
            }

    @precondition(lambda self: self.transfer is not None)
    @rule(data=st.data(), units=UNITS, is_last=st.booleans())
    def arrive(self, data, units, is_last):
        line = data.draw(st.sampled_from(sorted(self.road)))
        sku, batch, left = self.road[line]
        came = [Arrival(sku=sku, quantity=units, line_id=line)]
        done = transfers.arrive(transfer=self.transfer, arrivals=came, is_last=is_last, **self.now)
        key = self.key((sku, batch), f"{self.transfer.target.code}/MAIN")
        self.shelf.units[key] += min(units, left)
        self.correct(key, max(0, units - left))
        self.road[line] = (sku, batch, max(0, left - units))
        is_over = is_last or not any(left for _, _, left in self.road.values())
        assert done.state == ("arrived" if is_over else "dispatched")
        if is_over:
            self.transfer = None

    @precondition(lambda self: self.count is None)
    @rule()
    def open_count(self):
        rules = Rules(tolerance_units=1_000)
        self.count = counting.open(warehouse=self.halls["W1"], scope=Scope(), rules=rules, **self.now)
        self.counted = {}

    @precondition(lambda self: self.count is not None)
    @rule(item=ITEMS, place=st.sampled_from(["MAIN", "A-01"]), units=st.integers(0, 20))
    def record(self, item, place, units):
        found = Found(variant=self.skus[item[0]], batch_number=item[1], place=place, counted=units)
        counting.record(count=self.count, found=[found], **self.now)
        key = self.key(item, f"W1/{place}")
        self.counted[key] = (units, self.shelf.units[key])
        self.shelf.corrected.discard(key)

    @precondition(lambda self: self.count is not None)
    @rule()
    def post(self):
        posted = counting.post(count=self.count, close_uncounted=True, **self.now)
        outdated = self.shelf.corrected & self.counted.keys()
        assert len(posted.sent_back) == len(outdated)
        if outdated:
            for key in outdated:
                del self.counted[key]
            return
        for key, (units, balance) in self.counted.items():
            lost = min(max(0, balance - units), self.shelf.units[key])
            self.shelf.take(key, lost)
            self.shelf.units[key] += max(0, units - balance)
        self.count = None

    # -- Batches

    @rule(
        number=st.sampled_from(list(DAYS)),
        verb=st.sampled_from(["hold", "lift", "lift", "lift", "recall", "close", "close"]),
    )
    def decide_on_batch(self, number, verb):
        batch = Batch.objects.get(number=number)
        is_open = Recall.objects.filter(batch=batch, state="open").exists()
        if verb == "hold":
            call, is_possible = holds.quarantine_batch, batch.hold_state != "recalled"
        elif verb == "lift":
            call, is_possible = holds.lift_batch, batch.hold_state == "released" or not is_open
        elif verb == "recall":
            call, is_possible = holds.recall_batch, True
        else:
            for recall in Recall.objects.filter(batch=batch):
                holds.close_recall(recall=recall, **self.now)
            return
        if self.attempt(lambda: call(batch=batch, reason="seen", **self.now), is_possible=is_possible):
            (self.shelf.held.discard if verb == "lift" else self.shelf.held.add)(number)
            if verb == "recall" and not is_open:
                for at in self.shelf.promised:
                    self.shelf.promised[at] *= at[1][2] != number

    # -- After each step

    @invariant()
    def the_book_is_the_model(self):
        rows = Level.objects.select_related(*(path.removeprefix("level__") for path in WHERE))
        book = {key_of(row): (row.on_hand, row.reserved) for row in rows if row.on_hand}
        assert book == {key: (units, self.shelf.reserved(key)) for key, units in self.shelf.units.items() if units}

    @invariant()
    def each_reservation_holds_what_the_model_says(self):
        held: Counter[int] = Counter()
        for row in Allocation.objects.select_related("line"):
            held[row.line.reservation_id] += row.open_quantity
        said: Counter[int] = Counter()
        for (line, _), units in self.shelf.promised.items():
            said[self.lines[line]] += units
        assert +held == +said
        states = dict(Reservation.objects.values_list("pk", "state"))
        assert states == {key: row.state for key, row in self.reservations.items()}

    @invariant()
    def the_book_agrees_with_itself(self):
        assert proof.prove_ledger().differences == []


WHERE = ("level__variant", "level__location__warehouse", "level__batch", "level__owner")


def key_of(level) -> Key:
    place = f"{level.location.warehouse.code}/{level.location.code}"
    batch, owner = level.batch.number if level.batch else "", level.owner.code if level.owner else ""
    return level.variant.sku, place, batch, level.condition, owner


FAST = settings(
    derandomize=True, database=None, deadline=None, stateful_step_count=30, max_examples=10, report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck), phases=[Phase.generate],
)  # fmt: skip


def test_any_verbs_in_any_order_leave_the_book_as_the_model_says(db):
    run_state_machine_as_test(Book, settings=FAST)


def nothing_comes_in(monkeypatch):
    apply = ledger._apply
    monkeypatch.setattr(
        ledger,
        "_apply",
        lambda changes, **said: apply({at: (min(units, 0), kept) for at, (units, kept) in changes.items()}, **said),
    )


def the_oldest_promise_is_broken_first(monkeypatch):
    order_by = shortages.Allocation.objects.none().__class__.order_by

    def turned(rows, *names):
        return order_by(rows, *(["line_id", "id"] if names == ("-line_id", "-id") else names))

    monkeypatch.setattr(shortages.Allocation.objects.none().__class__, "order_by", turned)


def promises_stay_where_the_goods_were(monkeypatch):
    monkeypatch.setattr(moving, "_carry_promises", lambda here, there, units: None)


def a_release_forgets_the_level(monkeypatch):
    monkeypatch.setattr(ledger, "promise", lambda changes, **said: None)


@pytest.mark.parametrize(
    "break_it",
    [
        nothing_comes_in,
        the_oldest_promise_is_broken_first,
        promises_stay_where_the_goods_were,
        a_release_forgets_the_level,
    ],
)
def test_a_book_that_is_broken_is_found_out(db, monkeypatch, break_it):
    """The negative controls."""
    break_it(monkeypatch)
    with pytest.raises((AssertionError, IntegrityError, Problem)):
        run_state_machine_as_test(Book, settings=settings(FAST, max_examples=40))
