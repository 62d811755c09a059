# ruff: noqa: S311, S603, S608  (chance that needs no secrecy; our own programs and texts)
"""The benchmarks of the house: what we do beside what PostgreSQL gives without us, in one run, as a ratio.

Every measure runs in short turns, ours and the other by turns, on the same server and the same made-up stock,
so that whatever else the machine does falls on both; the figure is the median of the turns' ratios. Absolute
numbers belong to the machine of the day.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.db import connection, connections, transaction
from django.utils import timezone

from catalog.models import Variant
from inventory_site import bench_fitment, bench_orders, bench_promise
from partners import actors, prepared
from partners.problems import Problem
from partners.turnstile import Turnstile
from stock import availability, made_up
from stock.models import Warehouse
from stock.operations import promising, reservations
from stock.operations.imports import StockFile

ACTOR = actors.job("bench")


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much stock is measured on."""

    variants: int
    warehouses: int
    levels: int
    movements: int


FULL = Size(variants=100_000, warehouses=20, levels=1_000_000, movements=10_000_000)
SMALL = Size(variants=1_000, warehouses=10, levels=10_000, movements=10_000)
QUICK = Size(variants=1_000, warehouses=20, levels=10_000, movements=20_000)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One row of the table: ours and the other, in things per second mostly, the ratio, and what is to be reached."""

    name: str
    beside: str
    ours: float
    other: float
    ratio: float
    reach: str
    unit: str = "/s"


# -- The ground: databases of our own beside the one we were given


@contextmanager
def database(name: str) -> Iterator[None]:
    """Everything inside happens in this database."""
    before = connection.settings_dict["NAME"]
    connections.close_all()
    connection.settings_dict["NAME"] = name
    try:
        yield
    finally:
        connections.close_all()
        connection.settings_dict["NAME"] = before


def make(name: str, say: Callable[[str], None]) -> None:
    """An empty database, where there is none of this name yet."""
    with connection._nodb_cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_database WHERE datname = %s)", [name])
        if not cursor.fetchone()[0]:
            say(f"Making {name}")
            cursor.execute(f'CREATE DATABASE "{name}"')


def prepare(name: str, size: Size, say: Callable[[str], None]) -> None:
    """Make the database with its made-up stock, or take the one a run before has left."""
    make(name, say)
    with database(name):
        call_command("migrate", verbosity=0)
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM (SELECT FROM stock_level LIMIT 1) one")
            if not cursor.fetchone()[0]:
                say(f"Filling {name}: {size.levels:,} levels, {size.movements:,} movements")
                made_up.fill(**vars(size), at=timezone.now(), say=say)
            made_up.never_run_out()
            cursor.execute("VACUUM ANALYZE")


# -- Ours: processes that wait for the word, so that starting them is not measured


class Crew:
    """Processes with threads in them, each thread doing the same thing over and over for a turn."""

    def __init__(self, database_name: str, job: str, *, processes: int, threads: int = 1) -> None:
        connections.close_all()  # no child shares a connection with us
        context = multiprocessing.get_context("fork")
        self.pipes: list[Connection] = []
        self.members = []
        for seed in range(processes):
            ours, theirs = context.Pipe()
            member = context.Process(target=_member, args=(theirs, database_name, job, threads, seed), daemon=True)
            member.start()
            self.pipes.append(ours)
            self.members.append(member)
        for pipe in self.pipes:
            pipe.recv()

    def turn(self, seconds: float) -> float:
        """How many a second all of them did."""
        for pipe in self.pipes:
            pipe.send(seconds)
        done: int = sum(pipe.recv() for pipe in self.pipes)
        return done / seconds

    def dismiss(self) -> None:
        for pipe in self.pipes:
            pipe.send(None)
        for member in self.members:
            member.join(10)


def _member(pipe: Connection, database_name: str, job: str, threads: int, seed: int) -> None:
    """The main of one process of a crew."""
    connection.settings_dict["NAME"] = database_name
    once = JOBS[job](seed)
    once()
    pipe.send("ready")
    while (seconds := pipe.recv()) is not None:
        counts = [0] * threads
        end = time.monotonic() + seconds

        def work(place: int, end: float = end, counts: list[int] = counts) -> None:
            while time.monotonic() < end:
                once()
                counts[place] += 1
            if threads > 1:
                connections.close_all()

        if threads == 1:
            work(0)
        else:
            crowd = [threading.Thread(target=work, args=(place,)) for place in range(threads)]
            for one in crowd:
                one.start()
            for one in crowd:
                one.join()
        pipe.send(sum(counts))


def _skus() -> list[Variant]:
    """Products as a door would have found them."""
    return list(Variant.objects.stocked().filter(levels__condition="sellable").distinct().only("sku")[:100_000])


def _baskets(lines: int) -> Callable[[int], Callable[[], Any]]:
    def ready(seed: int) -> Callable[[], Any]:
        chance, variants = random.Random(seed), _skus()

        def once() -> None:
            reservations.reserve(
                reference=uuid.uuid4().hex,
                wanted=[promising.Wanted(variant=variant, quantity=1) for variant in chance.sample(variants, lines)],
                partner=None,
                actor=ACTOR,
                at=timezone.now(),
            )

        return once

    return ready


def _hot(seed: int) -> Callable[[], Any]:
    hottest = _skus()[0]
    turnstile: Turnstile[Any, Any] = Turnstile(
        lambda wishes: reservations.reserve_together(wishes=wishes), marks=lambda wish: {wish.header.reference}
    )

    def once() -> None:
        wish = reservations.wish_for(
            reference=uuid.uuid4().hex, wanted=[promising.Wanted(variant=hottest, quantity=1)], partner=None,
            actor=ACTOR, at=timezone.now(),
        )  # fmt: skip
        outcome = turnstile.pass_through(hottest.pk, wish)
        if isinstance(outcome, Problem):
            raise outcome

    return once


def _ask_availability(seed: int) -> Callable[[], Any]:
    chance, ids = random.Random(seed), [variant.pk for variant in _skus()]
    return lambda: availability.available(
        variant_ids=chance.sample(ids, 100), asker=availability.Asker(partner=None, channel="", at=timezone.now())
    )


def _read_bare(seed: int) -> Callable[[], Any]:
    chance, ids = random.Random(seed), [variant.pk for variant in _skus()]

    def once() -> None:
        at = timezone.now()
        chosen = prepared.bigints(sorted(chance.sample(ids, 100)))
        prepared.fetch(availability.SUPPLIES, [at.date(), at, chosen, None, None, None, None])
        prepared.fetch(availability.INBOUND, [chosen, None, None])

    return once


JOBS: dict[str, Callable[[int], Callable[[], Any]]] = {
    "reserve one": _baskets(1),
    "reserve five": _baskets(5),
    "reserve the hot one": _hot,
    "ask availability": _ask_availability,
    "read bare": _read_bare,
    "order five": lambda seed: bench_orders.orders(_skus(), seed),
}


# -- The other: the same rows by a transaction as one writes it by hand, driven by pgbench

HEADER = """
INSERT INTO stock_reservation (public_id, partner_id, reference, channel, fingerprint, state, expires_at, extensions,
    actor, version, created_at)
VALUES (gen_random_uuid(), NULL, CAST(gen_random_uuid() AS text), '', repeat('f', 64), 'open',
    clock_timestamp() + interval '15 minutes', 0, 'job-bench', 1, now()) RETURNING id \\gset r_
"""
LINE = """
INSERT INTO stock_reservationline (reservation_id, variant_id, warehouse_code, quantity)
VALUES (:r_id, :level{n}, '', 1) RETURNING id \\gset line{n}_
INSERT INTO stock_allocation (line_id, level_id, quantity, consumed, freed) VALUES (:line{n}_id, :level{n}, 1, 0, 0);
UPDATE stock_level SET reserved = reserved + 1, version = version + 1, updated_at = clock_timestamp()
 WHERE id = :level{n};
INSERT INTO partners_outboxevent (event_id, type, subject, payload, occurred_at, recorded_at, actor, request_id,
    addressee_ids, is_about_stock, supplier_ids, warehouse_code)
VALUES (gen_random_uuid(), 'inventory.updated', 'inventory/MU-W01/MU-0000000', jsonb_build_object(
    'levels', jsonb_build_array(jsonb_build_object('version', 2, 'condition', 'sellable', 'batchNumber', NULL,
        'expirationDate', NULL, 'inventoryLevel', 1000000, 'availableQuantity', 999999, 'reservedQuantity', 1)),
    'ownerId', NULL, 'productId', 'MU-0000000', 'warehouseLocation', 'MU-W01'),
    now(), clock_timestamp(), 'job-bench', '', '{{}}', true, '{{}}', 'MU-W01');
"""


def classic(lines: int, first: int, last: int) -> str:
    """A reservation as a hand-written transaction: lock the levels in order, insert, update, commit."""
    return "".join([_chosen(lines, first, last), "BEGIN;\n", _reserved(lines), "COMMIT;\n"])


def classic_order(first: int, last: int, *, warehouses: Sequence[int]) -> str:
    lines = bench_orders.LINES
    return _chosen(lines, first, last) + bench_orders.classic(_reserved(lines), warehouses=warehouses)


def _chosen(lines: int, first: int, last: int) -> str:
    share = (last - first + 1) // lines
    levels = [(first + share * n, first + share * (n + 1) - 1) for n in range(lines)]
    return "".join(f"\\set level{n} random({low}, {high})\n" for n, (low, high) in enumerate(levels))


def _reserved(lines: int) -> str:
    locks = [f"SELECT on_hand, reserved FROM stock_level WHERE id = :level{n} FOR UPDATE;\n" for n in range(lines)]
    return "".join([*locks, HEADER, *(LINE.format(n=n) for n in range(lines))])


def pgbench(script: str, *, database_name: str, clients: int, seconds: float) -> float:
    """Transactions a second of a script in prepared mode."""
    params = connection.get_connection_params()
    environment = os.environ | {
        name: str(params[key])
        for name, key in (("PGHOST", "host"), ("PGPORT", "port"), ("PGUSER", "user"), ("PGPASSWORD", "password"))
        if params.get(key)
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "script.sql"
        file.write_text(script)
        done = subprocess.run(
            [find_pgbench(), "-n", "-M", "prepared", "-c", str(clients), "-j", "2", "-T", str(max(1, round(seconds))),
             "-f", str(file), database_name],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
    rates = [line.split()[2] for line in done.stdout.splitlines() if line.startswith("tps")]
    if done.returncode or not rates:
        raise RuntimeError(f"pgbench: {done.stderr.strip()[-400:]}")
    return float(rates[-1])


def find_pgbench() -> str:
    """The one beside the server's programs, or the one on the path. Raises RuntimeError where there is none."""
    found = shutil.which("pgbench") or next((str(path) for path in sorted(Path(sys.prefix).rglob("bin/pgbench"))), None)
    if not found:
        raise RuntimeError("pgbench is not here; it comes with PostgreSQL's programs (Debian: postgresql-contrib).")
    return found


# -- Loading: a file of counted stock, against one COPY and one merge

STAGED = """
CREATE TEMP TABLE staged (sku text, warehouse text, on_hand bigint) ON COMMIT DROP
"""
MERGE = """
WITH stated AS (
    SELECT level.id, level.variant_id, level.location_id, staged.on_hand, level.on_hand AS before
      FROM staged JOIN catalog_variant variant ON variant.sku = staged.sku
      JOIN stock_warehouse warehouse ON warehouse.code = staged.warehouse
      JOIN stock_location location ON location.warehouse_id = warehouse.id AND location.is_default
      JOIN stock_level level ON level.variant_id = variant.id AND level.location_id = location.id
       AND level.batch_id IS NULL AND level.condition = 'sellable' AND level.owner_id IS NULL
), booked AS (
    INSERT INTO stock_movement (variant_id, quantity, from_location_id, from_condition, to_location_id, to_condition,
        kind, reason, reference, actor, request_id, occurred_at, recorded_at)
    SELECT variant_id, abs(on_hand - before), -3, '', location_id, 'sellable', 'adjustment', 'stock file', '', 'job:bench',
           '', now(), now() FROM stated WHERE on_hand <> before
)
UPDATE stock_level level SET on_hand = stated.on_hand, version = version + 1, updated_at = now()
  FROM stated WHERE level.id = stated.id AND level.on_hand <> stated.on_hand
"""


def write_stock_file(path: Path, rows: int, add: int) -> int:
    """A file that finds `add` units more on the default bins of untracked products; how many rows it has."""
    with connection.cursor() as cursor, path.open("w") as handle:
        handle.write("productId,warehouseLocation,inventoryLevel\n")
        cursor.execute(
            """
            SELECT variant.sku || ',' || warehouse.code || ',' || level.on_hand + %s
              FROM stock_level level JOIN catalog_variant variant ON variant.id = level.variant_id
              JOIN stock_location location ON location.id = level.location_id AND location.is_default
              JOIN stock_warehouse warehouse ON warehouse.id = location.warehouse_id
             WHERE level.batch_id IS NULL AND level.condition = 'sellable' AND variant.tracking = 'none'
             ORDER BY level.id LIMIT %s
            """,
            [add, rows],
        )
        lines = [row[0] for row in cursor.fetchall()]
        handle.write("\n".join(lines) + "\n")
    return len(lines)


def load_ours(path: Path) -> None:
    report = StockFile(actor=ACTOR, at=timezone.now()).load(path)
    if report.refusals:
        raise RuntimeError(report.refusals[0])


def load_bare(path: Path) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(STAGED)
        with cursor.cursor.copy("COPY staged FROM STDIN (FORMAT csv, HEADER)") as copy:
            copy.write(path.read_bytes())
        cursor.execute("ANALYZE staged")
        cursor.execute(MERGE)


def timed_load(load: Callable[[Path], None], rows: int) -> float:
    """Rows a second of one file in which every row changes its level."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stock.csv"
        count = write_stock_file(path, rows, add=1)
        began = time.monotonic()
        load(path)
        return count / (time.monotonic() - began)


# -- The measures


def measure(
    *, name: str, beside: str, reach: str, ours: Callable[[], float], other: Callable[[], float], turns: int
) -> Figure:
    """Ours and the other by turns; the medians, and the median of the turns' ratios."""
    ours()
    rates = []
    for turn in range(turns):
        # Who goes first alternates: a checkpoint or a warm cache favours nobody.
        pair = (ours(), other()) if turn % 2 == 0 else tuple(reversed((other(), ours())))
        rates.append(pair)
    return Figure(
        name=name,
        beside=beside,
        reach=reach,
        ours=statistics.median(rate for rate, _ in rates),
        other=statistics.median(rate for _, rate in rates),
        ratio=statistics.median(one / other for one, other in rates),
    )


def run(*, size: Size, seconds: float, turns: int, only: Sequence[str], say: Callable[[str], None]) -> Iterator[Figure]:
    """All the measures, one after the other; `only` picks some by a word of their names."""
    base = str(connection.settings_dict["NAME"])
    large, small = f"{base}_bench", f"{base}_bench_small"
    prepare(large, size, say)
    with database(large), connection.cursor() as cursor:
        cursor.execute("SELECT min(id), max(id) FROM stock_level")
        first, last = cursor.fetchone()
        cursor.execute(
            "SELECT level.id FROM stock_level level WHERE level.variant_id = %s AND condition = 'sellable' LIMIT 1",
            [_skus()[0].pk],
        )
        [hot] = cursor.fetchone()

    def wanted(name: str) -> bool:
        return not only or any(word in name for word in only)

    def against_pgbench(name: str, job: str, script: str, reach: str, *, clients: int, threads: int) -> Figure:
        crew = Crew(large, job, processes=clients // threads, threads=threads)
        try:
            return measure(
                name=name, beside="pgbench, classic transaction", reach=reach, turns=turns,
                ours=lambda: crew.turn(seconds),
                other=lambda: pgbench(script, database_name=large, clients=clients, seconds=seconds),
            )  # fmt: skip
        finally:
            crew.dismiss()

    if wanted(name := "reserve 1 line, 8 processes"):
        yield against_pgbench(name, "reserve one", classic(1, first, last), "0.9", clients=8, threads=1)
    if wanted(name := "reserve 5 lines, 8 processes"):
        yield against_pgbench(name, "reserve five", classic(5, first, last), "0.9", clients=8, threads=1)
    if wanted(name := "reserve one hot product, 32 clients"):
        yield against_pgbench(name, "reserve the hot one", classic(1, hot, hot), "3", clients=32, threads=16)
    if wanted(name := "place and confirm an order of 5 lines"):
        with database(large):
            asked = bench_orders.requests_asked(bench_orders.orders(_skus(), seed=0))
            warehouses = list(Warehouse.objects.order_by("id").values_list("pk", flat=True)[:asked])
            script = classic_order(first, last, warehouses=warehouses)
        yield against_pgbench(name, "order five", script, "0.4", clients=1, threads=1)
    if wanted(name := "availability of 100 products"):
        asking = Crew(large, "ask availability", processes=1)
        reading = Crew(large, "read bare", processes=1)
        yield measure(
            name=name, beside="its SQL through psycopg", reach="0.5", turns=turns,
            ours=lambda: asking.turn(seconds), other=lambda: reading.turn(seconds),
        )  # fmt: skip
        asking.dismiss()
        reading.dismiss()
    if wanted(name := "fitments of a vehicle, the slowest of twenty"):
        with database(large):
            bench_fitment.fill(10 * size.variants, say=say)
            yield measure(
                name=name, beside="its SQL, prepared, through psycopg", reach="0.5", turns=turns,
                ours=lambda: bench_fitment.ask(seconds), other=lambda: bench_fitment.read_bare(seconds),
            )  # fmt: skip
    if wanted(name := "delivery date of a cart of 10, the slowest of twenty"):
        with database(large):
            yield measure(
                name=name, beside="availability of the same 10 alone", reach="0.33", turns=turns,
                ours=lambda: bench_promise.ask(seconds), other=lambda: bench_promise.look(seconds),
            )  # fmt: skip
    rows = min(size.levels, 200_000)
    if wanted(name := f"load a file of up to {rows:,} counted places"):
        with database(large):
            yield measure(
                name=name, beside="one COPY and one merge with ledger rows, without events", reach="0.8",
                turns=max(1, turns // 2), ours=lambda: timed_load(load_ours, rows),
                other=lambda: timed_load(load_bare, rows),
            )  # fmt: skip
    if wanted(name := f"reserve at {size.levels:,} levels"):
        prepare(small, SMALL, say)
        here, there = Crew(large, "reserve one", processes=1), Crew(small, "reserve one", processes=1)
        yield measure(
            name=name, beside=f"at {SMALL.levels:,} levels", reach="0.77", turns=turns,
            ours=lambda: here.turn(seconds), other=lambda: there.turn(seconds),
        )  # fmt: skip
        here.dismiss()
        there.dismiss()
