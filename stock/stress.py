"""The stock book by force: random operations from many processes, some of which are killed in the middle.

Each worker does what people, partners and timetables do, through the real operations, on few products so that
they meet. What was acknowledged to it, it writes down in a file of its own right after the commit. Afterwards
the book has to prove itself, and to know everything that was acknowledged, once (stock/stressed.py).
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from django.db import OperationalError, connection, connections
from django.utils import timezone
from psycopg import errors as pg

from catalog.models import ProductType, Variant
from catalog.operations import kits
from partners import actors
from partners.models import Partner
from partners.problems import Conflict, Problem
from stock.models import (
    Batch,
    Count,
    CountLine,
    Movement,
    OwnerGrant,
    Recall,
    Reservation,
    ReservationLine,
    Transfer,
    Warehouse,
)
from stock.operations import (
    counting,
    holds,
    movements,
    moving,
    owning,
    reservations,
    sealing,
    snapshots,
    transfers,
    warehouses,
)
from stock.operations.counting import Found, Rules, Scope
from stock.operations.departures import Departure
from stock.operations.promising import Wanted
from stock.operations.transfers import Arrival, Going

PREFIX = "STRESS-"
WAREHOUSES = ("Etc/UTC", "America/New_York", "Pacific/Kiritimati")
BINS = ("MAIN", "A-01", "B-01")
# Of a product tracked by batch; the last one ran out long ago and is never to be promised.
BATCHES = {"LOT-1": None, "LOT-2": date(2090, 1, 1), "LOT-3": date(2080, 1, 1), "LOT-OLD": date(2020, 1, 1)}
LINES_MAX = 8
REMEMBERED = 200
# A worker that finds nothing to do this often in a row has nothing left to do.
TRIES_MAX = 50
ACTOR = actors.job("stress")


class RealStock(Conflict):
    """There is stock that is not of an earlier stress run; the ledger could never be cleaned of ours. Data: sku."""

    code = "real_stock"
    title = "There is real stock in this database"
    remedy = "Use a database of its own."


class NothingToDo(Exception):
    """The dice fell on a verb that has no object yet."""


@dataclass(frozen=True, kw_only=True)
class World:
    """What the operations are done to, as each worker reads it for itself."""

    name: str
    variants: list[Variant]
    kits: list[Variant]
    warehouses: list[Warehouse]
    shops: list[Partner | None]
    owner: Partner


def make_world(*, variants: int, seed: int) -> str:
    """Products, kits, warehouses and first stock of a run of their own; its name. Raises RealStock."""
    real = Variant.objects.filter(levels__isnull=False).exclude(sku__startswith=PREFIX).first()
    if real is not None:
        raise RealStock(
            f"{real.sku} is in stock here. What a stress run books can never be taken out of the ledger again, so it"
            " wants an empty database: createdb backstock_stress, and name it in DATABASE_URL.",
            sku=real.sku,
        )
    runs = Warehouse.objects.filter(code__startswith=PREFIX).count() // len(WAREHOUSES)
    name = f"{PREFIX}{runs + 1}"
    dice = random.Random(seed)  # noqa: S311  chance that can be had again
    kind, _ = ProductType.objects.get_or_create(code="general", defaults={"name": "General"})
    owner = Partner.objects.create(code=f"{name}-OWNER", name="Owner", kind=Partner.Kind.SUPPLIER)
    OwnerGrant.objects.create(owner=owner, partner=None)
    for number in range(2):
        Partner.objects.create(code=f"{name}-SHOP-{number}", name="Shop", kind=Partner.Kind.RETAILER)
    for number, zone in enumerate(WAREHOUSES, 1):
        hall = warehouses.open_warehouse(code=f"{name}-W{number}", name=name, time_zone=zone, actor=ACTOR)
        for code in BINS[1:]:
            warehouses.open_location(warehouse=hall, code=code, actor=ACTOR)
    Variant.objects.bulk_create(
        Variant(
            sku=f"{name}-{number:05}", name="Stress", product_type=kind,
            tracking=Variant.Tracking.BATCH if number % 5 == 0 else Variant.Tracking.NONE,
        )
        for number in range(variants)
    )  # fmt: skip
    Variant.objects.bulk_create(
        Variant(sku=f"{name}-KIT-{number:03}", name="Stress", product_type=kind) for number in range(variants // 10)
    )
    world = read_world(name)
    for kit in Variant.objects.filter(sku__startswith=f"{name}-KIT-").order_by("sku"):
        parts = dice.sample(world.variants, min(3, len(world.variants)))
        kits.compose(
            kit=kit, parts=[kits.Part(component=part, quantity=dice.randint(1, 2)) for part in parts], actor=ACTOR
        )
    worker = Worker(world=world, dice=dice)
    for variant in world.variants:
        for hall in world.warehouses[: dice.randint(1, 2)]:
            worker.book(Movement.Kind.RECEIPT, dice.randint(20, 60), variant=variant, warehouse=hall)
    return name


def read_world(name: str) -> World:
    mine = Variant.objects.filter(sku__startswith=f"{name}-").order_by("sku")
    shops = Partner.objects.filter(code__startswith=f"{name}-SHOP-").order_by("code")
    return World(
        name=name,
        variants=list(mine.exclude(sku__contains="-KIT-")),
        kits=list(mine.filter(sku__contains="-KIT-")),
        warehouses=list(Warehouse.objects.filter(code__startswith=f"{name}-W").order_by("code")),
        shops=[None, *shops],
        owner=Partner.objects.get(code=f"{name}-OWNER"),
    )


# What was acknowledged: a kind of fact and its numbers, as stock/stressed.py reads them.
Fact = tuple[Any, ...]


@dataclass(kw_only=True)
class Worker:
    """One who does random operations, mostly to what it knows, at times to what somebody else is at."""

    world: World
    dice: random.Random
    own: deque[Reservation] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    made: int = 0
    mark: str = ""

    @property
    def now(self) -> dict[str, Any]:
        return {"actor": ACTOR, "at": timezone.now()}

    def step(self) -> tuple[str, Fact]:
        """Do one operation; its verb and what was acknowledged. Whatever refuses comes with the verb as a note."""
        for _ in range(TRIES_MAX):
            [verb] = self.dice.choices(list(VERBS), list(WEIGHTS))
            try:
                return verb, VERBS[verb](self)
            except NothingToDo:
                continue
            except Exception as error:
                error.add_note(verb)
                raise
        raise NothingToDo

    # -- Chance

    def variant(self) -> Variant:
        """A tenth of the products get half of what is done."""
        few = max(1, len(self.world.variants) // 10)
        return self.dice.choice(self.world.variants[:few] if self.dice.random() < 0.5 else self.world.variants)

    def batch_number(self, variant: Variant) -> str:
        return self.dice.choice(list(BATCHES)) if variant.tracking == Variant.Tracking.BATCH else ""

    def batch(self) -> Batch:
        rows = Batch.objects.filter(variant=self.dice.choice(self.world.variants[::5]))
        chosen: Batch = self.one_of(list(rows))
        return chosen

    def one_of(self, rows: Sequence[Any]) -> Any:
        if not rows:
            raise NothingToDo
        return self.dice.choice(rows)

    def reservation(self, *, is_held: bool = False) -> Reservation:
        """One of ours or, one time in four, one of those that anybody made lately."""
        if self.own and not is_held and self.dice.random() < 0.75:
            at = self.dice.randrange(len(self.own))
            chosen = self.own[at]
            del self.own[at]
            return chosen
        living = Reservation.objects.open().filter(
            reference__startswith=f"{self.world.name}-", expires_at__isnull=is_held
        )
        at = self.dice.randrange(40)
        found: Reservation = self.one_of(list(living.order_by("-pk")[at : at + 1]))
        return found

    # -- Promises

    def reserve(self, lines: Sequence[Wanted], *, is_all_or_nothing: bool = True) -> Fact:
        """Now and then under a name that others use too, so that twins meet and names come again."""
        self.made += 1
        is_shared = self.dice.random() < 0.15
        own_name = f"{self.mark}-{self.made}"
        kept, is_new = reservations.reserve(
            reference=f"{self.world.name}-{f'shared-{self.dice.randrange(30)}' if is_shared else own_name}",
            wanted=lines,
            partner=self.dice.choice(self.world.shops),
            seconds=1 if is_shared or self.dice.random() < 0.1 else 900,
            is_all_or_nothing=is_all_or_nothing,
            **self.now,
        )
        self.own.append(kept)
        if not is_new:
            return ("reserved again", kept.pk)
        if not is_all_or_nothing:
            return ("reserved in part", kept.pk)
        return ("reserved", kept.pk, len(lines), sum(line.quantity for line in lines))

    def wanted(self, variant: Variant) -> Wanted:
        named = self.dice.choice(self.world.warehouses).code if self.dice.random() < 0.2 else ""
        return Wanted(variant=variant, quantity=self.dice.randint(1, 5), warehouse_code=named)

    def reserve_one(self) -> Fact:
        return self.reserve([self.wanted(self.variant())])

    def reserve_basket(self) -> Fact:
        lines = [self.wanted(self.variant()) for _ in range(self.dice.randint(2, LINES_MAX))]
        return self.reserve(lines, is_all_or_nothing=self.dice.random() < 0.7)

    def reserve_kit(self) -> Fact:
        lines = [self.wanted(self.one_of(self.world.kits)), self.wanted(self.variant())]
        return self.reserve(lines[: self.dice.randint(1, 2)])

    def extend(self) -> Fact:
        chosen = self.reservation()
        self.own.append(chosen)
        reservations.extend(reservation=chosen, seconds=self.dice.randint(1, 900), **self.now)
        return ("extended", chosen.pk)

    def commit(self) -> Fact:
        chosen = self.reservation()
        reservations.commit(reservation=chosen, reference=self.departure(chosen), **self.now)
        return ("committed", chosen.pk)

    def release(self) -> Fact:
        chosen = self.reservation()
        reservations.release(reservation=chosen, **self.now)
        return ("released", chosen.pk)

    def expire(self) -> Fact:
        return ("expired", reservations.expire_due(limit=self.dice.choice([1, 20, 200]), **self.now))

    def hold_for_order(self) -> Fact:
        chosen = self.reservation()
        reservations.hold_for_order(reservation=chosen, **self.now)
        return ("held for order", chosen.pk)

    def ship_part(self) -> Fact:
        """Some units of one line leave, as promised or from another warehouse."""
        chosen = self.reservation(is_held=True)
        line = self.one_of(list(ReservationLine.objects.filter(reservation=chosen, kit_line=None)))
        leaving = Departure(
            line=line, quantity=self.dice.randint(1, line.quantity), warehouse=self.one_of(self.world.warehouses)
        )
        reservations.consume(reservation=chosen, leaving=[leaving], reference=self.departure(chosen), **self.now)
        return ("shipped", chosen.pk)

    def cancel_order(self) -> Fact:
        chosen = self.reservation(is_held=True)
        reservations.release(reservation=chosen, by_order=True, **self.now)
        return ("released", chosen.pk)

    def departure(self, reservation: Reservation) -> str:
        """Written on all movements of one reservation, so that what left for it can be counted."""
        return f"{self.world.name}-SHIP-{reservation.pk}"

    # -- Facts of the shelf

    def book(
        self, kind: str, quantity: int, *, variant: Variant | None = None, warehouse: Warehouse | None = None
    ) -> Fact:
        variant = variant or self.variant()
        hall = warehouse or self.one_of(self.world.warehouses)
        number = self.batch_number(variant)
        owner = self.world.owner if self.dice.random() < 0.1 else None
        booked = movements.book(
            kind=kind, variant=variant, warehouse=hall, quantity=quantity, batch_number=number,
            expires_on=BATCHES.get(number), owner=owner, reference=self.world.name, **self.now,
        )  # fmt: skip
        return ("booked", *booked.movement_ids)

    def receive(self) -> Fact:
        return self.book(Movement.Kind.RECEIPT, self.dice.randint(5, 60))

    def adjust(self) -> Fact:
        return self.book(Movement.Kind.ADJUSTMENT, self.dice.choice([-3, -2, -1, 1, 2, 3]))

    def damage(self) -> Fact:
        return self.book(Movement.Kind.DAMAGE, self.dice.randint(1, 4))

    def write_off(self) -> Fact:
        return self.book(Movement.Kind.WRITE_OFF, self.dice.randint(1, 4))

    def set_aside(self) -> Fact:
        return self.book(self.dice.choice([Movement.Kind.QUARANTINE, Movement.Kind.LIFT]), self.dice.randint(1, 4))

    def set_level(self) -> Fact:
        variant = self.variant()
        number = self.batch_number(variant)
        booked = movements.set_level(
            variant=variant, warehouse=self.one_of(self.world.warehouses), on_hand=self.dice.randint(0, 60),
            batch_number=number, expires_on=BATCHES.get(number), reason="stress", reference=self.world.name, **self.now,
        )  # fmt: skip
        return ("booked", *booked.movement_ids)

    def move(self) -> Fact:
        variant = self.variant()
        from_code, to_code = self.dice.sample(BINS, 2)
        movement_id = moving.move(
            variant=variant, warehouse=self.one_of(self.world.warehouses), from_code=from_code, to_code=to_code,
            quantity=self.dice.randint(1, 10), batch_number=self.batch_number(variant), reference=self.world.name,
            **self.now,
        )  # fmt: skip
        return ("booked", movement_id)

    def change_hands(self) -> Fact:
        variant = self.variant()
        hand_over = self.dice.choice([owning.take_over, owning.consign])
        ids = hand_over(
            variant=variant, warehouse=self.one_of(self.world.warehouses), owner=self.world.owner,
            quantity=self.dice.randint(1, 5), batch_number=self.batch_number(variant), reference=self.world.name,
            **self.now,
        )  # fmt: skip
        return ("booked", *ids)

    # -- Documents

    def plan_transfer(self) -> Fact:
        source, target = self.dice.sample(self.world.warehouses, 2)
        going = [
            Going(variant=self.variant(), quantity=self.dice.randint(1, 6)) for _ in range(self.dice.randint(1, 4))
        ]
        planned = transfers.plan(source=source, target=target, going=going, **self.now)
        return ("planned", planned.pk)

    def transfer(self, state: str) -> Transfer:
        rows = Transfer.objects.filter(state=state, source__in=self.world.warehouses).order_by("-pk")
        chosen: Transfer = self.one_of(list(rows[:20]))
        return chosen

    def dispatch(self) -> Fact:
        chosen = self.transfer(Transfer.State.PLANNED)
        transfers.dispatch(transfer=chosen, **self.now)
        return ("dispatched", chosen.pk)

    def arrive(self) -> Fact:
        chosen = self.transfer(Transfer.State.DISPATCHED)
        arrivals = None
        if self.dice.random() < 0.5:
            line = self.one_of(list(chosen.lines.select_related("variant")))
            arrivals = [
                Arrival(
                    sku=line.variant.sku, quantity=self.dice.randint(1, 8), line_id=line.pk,
                    location_code=self.dice.choice(BINS),
                )
            ]  # fmt: skip
        transfers.arrive(transfer=chosen, arrivals=arrivals, is_last=self.dice.random() < 0.3, **self.now)
        return ("arrived", chosen.pk)

    def cancel_transfer(self) -> Fact:
        chosen = self.transfer(Transfer.State.PLANNED)
        transfers.cancel(transfer=chosen, **self.now)
        return ("transfer cancelled", chosen.pk)

    def open_count(self) -> Fact:
        count = counting.open(
            warehouse=self.one_of(self.world.warehouses), rules=Rules(tolerance_units=10_000),
            scope=Scope(skus=tuple({self.variant().sku for _ in range(3)})), **self.now,
        )  # fmt: skip
        return ("count opened", count.pk)

    def count(self) -> Count:
        rows = Count.objects.filter(state=Count.State.OPEN, warehouse__in=self.world.warehouses).order_by("-pk")
        chosen: Count = self.one_of(list(rows[:10]))
        return chosen

    def record_count(self) -> Fact:
        """Some places of it, near what the book says; at times one nobody expected, or of a batch not known yet."""
        chosen = self.count()
        there = CountLine.objects.filter(count=chosen).select_related("variant", "batch", "location", "owner")
        lines = list(there.order_by("pk"))
        found = [
            Found(
                variant=line.variant, counted=self.dice.randint(0, 40), place=line.location.code,
                batch_number=line.batch.number if line.batch else "", condition=line.condition, owner=line.owner,
            )
            for line in lines
            if self.dice.random() < 0.8
        ]  # fmt: skip
        seen = {(said.variant.pk, said.place, said.batch_number) for said in found}
        for variant in {self.variant(), self.variant()}:
            number = self.batch_number(variant)
            place = (variant.pk, self.dice.choice(BINS), number)
            if place not in seen and self.dice.random() < 0.3:
                found.append(
                    Found(
                        variant=variant, counted=self.dice.randint(0, 20), place=place[1], batch_number=number,
                        expires_on=BATCHES.get(number),
                    )
                )  # fmt: skip
        if not found:
            raise NothingToDo
        self.dice.shuffle(found)
        counting.record(count=chosen, found=found, **self.now)
        return ("recorded", chosen.pk)

    def post_count(self) -> Fact:
        chosen = self.count()
        posted = counting.post(count=chosen, close_uncounted=self.dice.random() < 0.7, **self.now)
        return ("sent back", chosen.pk) if posted.sent_back else ("posted", chosen.pk)

    def quarantine_batch(self) -> Fact:
        batch = holds.quarantine_batch(batch=self.batch(), reason="stress", **self.now)
        return ("batch held", batch.pk)

    def lift_batch(self) -> Fact:
        held = Batch.objects.filter(variant__in=self.world.variants).exclude(hold_state=Batch.HoldState.RELEASED)
        batch = self.one_of(list(held[:20]))
        holds.lift_batch(batch=batch, reason="stress", **self.now)
        return ("batch lifted", batch.pk)

    def recall_batch(self) -> Fact:
        return ("recalled", holds.recall_batch(batch=self.batch(), reason="stress", **self.now).pk)

    def close_recall(self) -> Fact:
        open_ones = Recall.objects.filter(state=Recall.State.OPEN, batch__variant__in=self.world.variants)
        chosen = self.one_of(list(open_ones[:20]))
        holds.close_recall(recall=chosen, **self.now)
        return ("recall closed", chosen.pk)

    def seal(self) -> Fact:
        sealing.seal(at=timezone.now())
        return ("sealed",)

    def take_snapshot(self) -> Fact:
        snapshots.take_snapshot(at=timezone.now())
        return ("snapshot taken",)


# verb → (how, how often in so many)
CHANCES: dict[str, tuple[Callable[[Worker], Fact], float]] = {
    "reserve": (Worker.reserve_one, 22),
    "reserve basket": (Worker.reserve_basket, 10),
    "reserve kit": (Worker.reserve_kit, 4),
    "extend": (Worker.extend, 3),
    "commit": (Worker.commit, 16),
    "release": (Worker.release, 8),
    "expire": (Worker.expire, 2),
    "hold for order": (Worker.hold_for_order, 4),
    "ship part": (Worker.ship_part, 6),
    "cancel order": (Worker.cancel_order, 1),
    "receive": (Worker.receive, 8),
    "adjust": (Worker.adjust, 4),
    "damage": (Worker.damage, 2),
    "write off": (Worker.write_off, 2),
    "set aside or lift": (Worker.set_aside, 2),
    "set level": (Worker.set_level, 3),
    "move": (Worker.move, 6),
    "change hands": (Worker.change_hands, 2),
    "plan transfer": (Worker.plan_transfer, 2),
    "dispatch": (Worker.dispatch, 2),
    "arrive": (Worker.arrive, 2),
    "cancel transfer": (Worker.cancel_transfer, 0.2),
    "open count": (Worker.open_count, 0.7),
    "record count": (Worker.record_count, 2),
    "post count": (Worker.post_count, 1),
    "quarantine batch": (Worker.quarantine_batch, 0.3),
    "lift batch": (Worker.lift_batch, 1),
    "recall batch": (Worker.recall_batch, 0.1),
    "close recall": (Worker.close_recall, 0.3),
    "seal": (Worker.seal, 0.02),
    "take snapshot": (Worker.take_snapshot, 0.01),
}
VERBS = {verb: how for verb, (how, _) in CHANCES.items()}
WEIGHTS = [often for _, often in CHANCES.values()]


# -- Many at once


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long, how many, and with how much violence; `operations` null: until the time is over."""

    seconds: float
    operations: int | None
    processes: int
    kills: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class Run:
    """What was done; what came of it is in the workers' files."""

    operations: int
    killed: int
    seconds: float
    deaths: list[str]


FORK = multiprocessing.get_context("fork")
POLL_SECONDS = 0.02


def run(*, world: str, plan: Plan, folder: Path, progress: Callable[[int], Any] = lambda done: None) -> Run:
    """Let the workers at it, kill some and replace them, until all is done; they have ended when this returns."""
    dice = random.Random(f"{plan.seed} kills")  # noqa: S311  chance that can be had again
    done = FORK.RawArray("Q", plan.processes + plan.kills)
    stop = FORK.RawValue("b", 0)
    connections.close_all()  # a child must not speak on its parent's

    def start(place: int) -> Any:
        target = FORK.Process(
            target=_work, args=(world, f"{plan.seed}-{place}", folder, done, place, stop), daemon=True
        )
        target.start()
        return target

    living = [start(place) for place in range(plan.processes)]
    killed, reported, deaths = 0, 0, []
    began = time.monotonic()
    try:
        while True:
            time.sleep(POLL_SECONDS)
            total, elapsed = sum(done), time.monotonic() - began
            progress(total - reported)
            reported = total
            share = max(elapsed / plan.seconds if plan.operations is None else 0.0, total / (plan.operations or 2**62))
            if killed < plan.kills and share >= (killed + 1) / (plan.kills + 1):
                place = dice.randrange(len(living))
                os.kill(living[place].pid, signal.SIGKILL)
                living[place].join()
                killed += 1
                living[place] = start(plan.processes + killed - 1)
            deaths += [f"a worker ended by itself with {one.exitcode}" for one in living if one.exitcode is not None]
            if share >= 1 or deaths:
                break
    except KeyboardInterrupt:
        pass  # what was done until now is proved all the same
    finally:
        stop.value = 1
        for one in living:
            one.join(timeout=60)
    seconds = time.monotonic() - began
    _wait_for_servers(world)
    return Run(operations=sum(done), killed=killed, seconds=seconds, deaths=deaths)


def _wait_for_servers(world: str) -> None:
    """A killed worker's server process goes on to the end of its statement; what it did must be over."""
    with connection.cursor() as cursor:
        while True:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", [world])
            if cursor.fetchone() == (0,):
                return
            time.sleep(POLL_SECONDS)


def _work(world: str, mark: str, folder: Path, done: Any, place: int, stop: Any) -> None:
    """The life of one worker: operate, then write down what was acknowledged, one line for each operation."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('application_name', %s, false)", [world])
    worker = Worker(world=read_world(world), dice=random.Random(mark), mark=mark)  # noqa: S311  chance that can be had again
    with suppress(NothingToDo), open(folder / f"{mark}.jsonl", "ab", buffering=0) as file:
        while not stop.value:
            try:
                line: list[Any] = ["done", *_flat(worker.step())]
            except Problem as refusal:
                line = ["refused", *refusal.__notes__, refusal.code]
            except OperationalError as error:
                line = _database_said(error)
            except NothingToDo:
                raise
            except Exception as error:  # noqa: BLE001  whatever else comes is a fault, and is told
                line = ["fault", *error.__notes__, f"{type(error).__name__}: {error}"[:500]]
            file.write(json.dumps(line).encode() + b"\n")
            done[place] += 1
    connections.close_all()


def _flat(outcome: tuple[str, Fact]) -> list[Any]:
    return [outcome[0], *outcome[1]]


def _database_said(error: OperationalError) -> list[Any]:
    """Who waits too long is refused and may come again; who is in a deadlock has found a fault of ours."""
    if isinstance(error.__cause__, pg.LockNotAvailable):
        return ["refused", *error.__notes__, "lock_timeout"]
    return ["fault", *error.__notes__, f"{type(error.__cause__).__name__}: {error}"[:500]]
