"""The site under its real server: several processes, many calls at once."""

from __future__ import annotations

import http.client
import json
import secrets
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection

from partners.models import Application, Partner
from stock.models import Reservation
from tests import make
from tests.conftest import api_of
from tests.inventory_site.conftest import BASE_DIR, environment, server, url_of, wait_until

LINE = {"productId": "SAUCE", "quantity": 1}


@contextmanager
def site(state: Path, *, workers: int, threads: int) -> Iterator[tuple[int, Path]]:
    """The site on the tests' database; its port, and what it writes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = f"--interface wsgi --workers {workers} --blocking-threads {threads} --port {port}"
    log = state / "web.log"
    known = environment(
        DATABASE_URL=url_of(str(connection.settings_dict["NAME"])), BACKSTOCK_STATE_DIR=str(state),
        WEB_THREADS=str(threads), REQUEST_LOG="1", CALLERS_KEPT_SECONDS="1", BACKSTOCK_MODE="development",
    )  # fmt: skip
    with log.open("wb") as output:
        program = subprocess.Popen(
            [sys.executable, "-m", "granian", *options.split(), "inventory_site.wsgi:application"],
            cwd=BASE_DIR, env=known, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        wait_until(lambda: answers(port), seconds_max=120, says=log.read_text)
        yield port, log
    finally:
        program.terminate()
        program.wait(60)


def answers(port: int) -> bool:
    try:
        return ask(port, "GET", "/livez")[0] == 200
    except OSError:
        return False


def ask(port: int, method: str, path: str, body: Any = None, token: str = "") -> tuple[int, dict[str, str], bytes]:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": secrets.token_hex(8)}
    sent = None if body is None else json.dumps(body)
    line.request(method, path, sent, headers | {"Content-Type": "application/json"})
    answer = line.getresponse()
    found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    line.close()
    return found


@pytest.fixture
def shop(own_database: None) -> tuple[Partner, Callable[..., str]]:
    partner = make.make_partner(code="RET-1")
    make.make_level(variant=make.make_variant(sku="SAUCE"), warehouse=make.make_warehouse(code="W1"), on_hand=5_000)

    def token(**limits: int) -> str:
        client = api_of(partner)
        newest = Application.objects.order_by("-pk").values("pk")[:1]
        Application.objects.filter(pk__in=newest).update(**limits or {"reads_per_minute": None})
        return str(client.token)

    return partner, token


@pytest.mark.races
def test_of_a_thousand_calls_at_once_over_two_processes_exactly_a_hundred_pass(shop, tmp_path):
    _, token = shop
    reading = token(reads_per_minute=100)
    with site(tmp_path, workers=2, threads=8) as (port, log):
        body = {"lines": [LINE]}
        with ThreadPoolExecutor(40) as crowd:
            asked = [crowd.submit(ask, port, "POST", "/api/v1/availability", body, reading) for _ in range(1_000)]
            found = [call.result() for call in asked]
        statuses = Counter(status for status, _, _ in found)
        refused = next(row for row in found if row[0] == 429)
        crowded = statuses.pop(503, 0)
        # Where the readers' places are taken nothing is counted; so the hundred are given out all the same.
        assert statuses == {200: 100, 429: 900 - crowded}
        assert 0 < int(refused[1]["retry-after"]) <= 60
        assert json.loads(refused[2])["code"] == "rate_limited"
        lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith('{"at"')]
        assert Counter(line["status"] for line in lines)[200] == 100
        assert reading not in log.read_text()
    # The site starts anew, and nothing is forgotten.
    with site(tmp_path, workers=1, threads=8) as (port, _):
        assert ask(port, "POST", "/api/v1/availability", body, reading)[0] == 429


@pytest.mark.races
def test_reads_that_hang_leave_room_for_writes(shop, tmp_path):
    """Thirty reads wait for a table that is locked; eight threads could hold only eight of them."""
    _, token = shop
    reading, writing = token(), token()
    with site(tmp_path, workers=1, threads=8) as (port, _), server_of_tests() as holder:
        ask(port, "POST", "/api/v1/reservations", {"reference": "WARM", "lines": [LINE]}, writing)
        holder.execute("BEGIN")
        holder.execute("LOCK TABLE orders_return IN ACCESS EXCLUSIVE MODE")
        over: list[int] = []
        with ThreadPoolExecutor(30) as crowd:
            hung = [crowd.submit(ask, port, "GET", "/api/v1/returns", None, reading) for _ in range(30)]
            wait_until(lambda: waiting(holder) >= 1, seconds_max=30)
            for number in range(5):
                body = {"reference": f"R-{number}", "lines": [LINE]}
                assert ask(port, "POST", "/api/v1/reservations", body, writing)[0] == 201
                over.append(sum(call.done() and call.result()[0] == 200 for call in hung))
            assert over == [0] * 5, "the reads did not hang: this proves nothing"
            holder.execute("ROLLBACK")
            statuses = Counter(call.result()[0] for call in hung)
        assert statuses.keys() <= {200, 503}
        assert Reservation.objects.count() == 6


@contextmanager
def server_of_tests() -> Iterator[Any]:
    with server() as postgres:
        parameters = dict(postgres.info.get_parameters(), password=postgres.info.password)
    own = {name: parameters[name] for name in ("host", "port", "user", "password") if parameters.get(name)}
    with psycopg.connect(**own, dbname=connection.settings_dict["NAME"], autocommit=True) as line:
        yield line


def waiting(holder: Any) -> int:
    """How many wait for a lock."""
    [count] = holder.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
    return int(count)


@pytest.mark.races
def test_what_is_too_large_is_refused_before_it_is_sent(shop, tmp_path):
    _, token = shop
    sent = f"Authorization: Bearer {token()}\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with site(tmp_path, workers=1, threads=4) as (port, _):
        for path in ("availability", "reservations"):
            for more, status in (("Content-Length: 2000000", b"413"), ("Transfer-Encoding: chunked", b"411")):
                with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
                    line.sendall(f"POST /api/v1/{path} HTTP/1.1\r\n{sent}{more}\r\n\r\n".encode())
                    assert line.recv(4096).split(b" ", 2)[1] == status, (path, more)
