# ruff: noqa: S311  (chance that needs no secrecy)
"""The API over HTTP, through the whole gate, beside a bare program under the same server, and beside the usual way.

Three sites on the same stock, each under granian with the same workers and threads: ours; a WSGI program that does
one statement through psycopg and nothing else (bench_http_bare.py); and DRF as one usually writes it
(bench_http_usual.py). The calls come from a process of its own, over connections that stay open and from bytes that
are ready, at some 20 µs of its CPU a call; they are spread over all products.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import secrets
import select
import socket
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.conf import settings
from django.db import connection, connections
from django.utils import timezone
from oauth2_provider.models import get_access_token_model

from inventory_site import bench, supervisor
from inventory_site.bench import Figure, Size
from partners.limits import LIMIT_MAX
from partners.models import Application, Partner

WORKERS = 2
CONNECTIONS = 8
TOKEN_HOURS = 12
START_SECONDS_MAX = 60
SITES = {
    "ours": "inventory_site.wsgi:application",
    "bare": "inventory_site.bench_http_bare:application",
    "usual": "inventory_site.bench_http_usual:application",
}
Make = Callable[[random.Random], tuple[str, dict[str, Any]]]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One kind of call: how its body is made, and how far we are to reach beside the bare program."""

    name: str
    reach: str
    make: Make


def _asking(count: int, skus: Sequence[str]) -> Make:
    def make(chance: random.Random) -> tuple[str, dict[str, Any]]:
        return "/api/v1/availability", {"lines": [{"productId": sku} for sku in chance.sample(skus, count)]}

    return make


def _reserving(skus: Sequence[str]) -> Make:
    def make(chance: random.Random) -> tuple[str, dict[str, Any]]:
        lines = [{"productId": chance.choice(skus), "quantity": 1}]
        return "/api/v1/reservations", {"reference": f"{chance.getrandbits(96):x}", "lines": lines}

    return make


# -- The sites


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def command(target: str, port: int) -> list[str]:
    options = f"--interface wsgi --host 127.0.0.1 --workers {WORKERS} --blocking-threads {settings.WEB_THREADS}"
    return [sys.executable, "-m", "granian", *options.split(), "--port", str(port), target]


def answers(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=2):
            return ""
    except OSError as problem:
        return f"port {port} does not answer ({problem})"


def token_for_all() -> str:
    """A retailer's token that may do everything, without end to its minute or its holds."""
    Partner.objects.filter(code="MU-SHOP").update(holds_max=10_000_000, held_units_max=10**12)
    scopes = ["inventory:read", "reservations:read", "reservations:write"]
    application, _ = Application.objects.update_or_create(
        client_id="bench",
        defaults={
            "partner": Partner.objects.get(code="MU-SHOP"), "name": "bench", "scopes": scopes,
            "client_type": Application.CLIENT_CONFIDENTIAL, "reads_per_minute": LIMIT_MAX,
            "authorization_grant_type": Application.GRANT_CLIENT_CREDENTIALS, "writes_per_minute": LIMIT_MAX,
        },
    )  # fmt: skip
    token = secrets.token_urlsafe(24)
    expires = timezone.now() + timedelta(hours=TOKEN_HOURS)
    get_access_token_model().objects.create(
        application=application, token=token, scope=" ".join(scopes), expires=expires
    )
    return token


# -- The calls


def drive(pipe: Any, port: int, token: str, make: Make, seconds: float, seed: int) -> None:
    """The main of the calling process: how many were answered well, and what the first bad answer was."""
    chance = random.Random(seed)
    head = f"Host: localhost\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nAccept: */*\r\n"

    def request() -> bytes:
        path, body = make(chance)
        sent = json.dumps(body).encode()
        key = f"Idempotency-Key: {chance.getrandbits(96):x}\r\n"
        return f"POST {path} HTTP/1.1\r\n{head}{key}Content-Length: {len(sent)}\r\n\r\n".encode() + sent

    lines = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
    by_number = {line.fileno(): line for line in lines}
    # Made before the clock starts where they may be sent twice; a write has to be new each time.
    ready = [request() for _ in range(2_000)]
    given, good, bad = 0, 0, ""
    waiting = select.poll()
    for line in lines:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        waiting.register(line, select.POLLIN)
        line.sendall(ready[given])
        given += 1
    got = dict.fromkeys(by_number, b"")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for number, _ in waiting.poll(1_000):
            got[number] += by_number[number].recv(1 << 20)
            if not is_whole(got[number]):
                continue
            if got[number][9:11] == b"20":
                good += 1
            else:
                bad = bad or got[number][:600].decode(errors="replace")
            got[number] = b""
            by_number[number].sendall(ready[given] if given < len(ready) else request())
            given += 1
    for line in lines:
        line.close()
    pipe.send((good, bad))


def is_whole(answer: bytes) -> bool:
    head, found, body = answer.partition(b"\r\n\r\n")
    if not found:
        return False
    [length] = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return len(body) >= length


class Site:
    """A running site, and what its processes and the database's have used."""

    def __init__(self, port: int, token: str, pid: int) -> None:
        self.port, self.token, self.pid = port, token, pid
        self.calls, self.cpu_seconds = 0, 0.0

    def turn(self, make: Make, seconds: float) -> float:
        """Good answers a second. Raises RuntimeError with the first that was not."""
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe()
        arguments = (theirs, self.port, self.token, make, seconds, secrets.randbits(32))
        caller = context.Process(target=drive, args=arguments, daemon=True)
        before = cpu_of(self.pid)
        caller.start()
        good, bad = ours.recv()
        caller.join(10)
        if bad:
            raise RuntimeError(f"A call was refused: {bad}")
        self.calls += good
        self.cpu_seconds += cpu_of(self.pid) - before
        return float(good / seconds)

    def cpu_ms(self) -> float:
        """CPU of the site's processes for one call since it was asked last."""
        found = 1_000 * self.cpu_seconds / max(1, self.calls)
        self.calls, self.cpu_seconds = 0, 0.0
        return found


def cpu_of(pid: int) -> float:
    """Seconds a process and its children have run."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return seconds + sum(cpu_of(int(child)) for child in children)


def run(*, size: Size, seconds: float, turns: int, only: Sequence[str], say: Callable[[str], None]) -> Iterator[Figure]:
    """Each kind of call beside the bare program, then beside the usual way."""
    database = f"{connection.settings_dict['NAME']}_bench"
    names = ["http availability of 1", "http availability of 100", "http reserve"]
    if only and not any(word in name for word in only for name in names):
        return
    bench.prepare(database, size, say)
    with bench.database(database):
        skus = [variant.sku for variant in bench._skus()]
        token = token_for_all()
    jobs = [
        Job(name=names[0], reach="0.45", make=_asking(1, skus)),
        Job(name=names[1], reach="0.6", make=_asking(100, skus)),
        Job(name=names[2], reach="0.5", make=_reserving(skus)),
    ]
    connections.close_all()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        programs = stack.enter_context(supervisor.Supervisor(folder))
        sites = start(programs, database, token)
        for job in jobs:
            if only and not any(word in job.name for word in only):
                continue
            for beside, reach in (("bare", job.reach), ("usual", "4")):
                ours, other = sites["ours"], sites[beside]
                yield bench.measure(
                    name=job.name, beside="a bare program" if beside == "bare" else "the usual way", reach=reach,
                    turns=turns, ours=partial(ours.turn, job.make, seconds), other=partial(other.turn, job.make, seconds),
                )  # fmt: skip
                say(f"          CPU of the site a call: ours {ours.cpu_ms():.3f} ms, {beside} {other.cpu_ms():.3f} ms")


def start(programs: supervisor.Supervisor, database: str, token: str) -> dict[str, Site]:
    url = connection.settings_dict | {"NAME": database}
    host, port = url["HOST"] or "127.0.0.1", url["PORT"] or 5432
    secret = f":{url['PASSWORD']}" if url["PASSWORD"] else ""
    os.environ["DATABASE_URL"] = f"postgres://{url['USER']}{secret}@{host}:{port}/{database}"
    os.environ.update(WEB_THREADS=str(settings.WEB_THREADS), REQUEST_LOG="1")
    ports = {name: free_port() for name in SITES}
    for name, target in SITES.items():
        programs.start(name, command(target, ports[name]))
    programs.wait_while(lambda: next(filter(None, map(answers, ports.values())), ""), seconds_max=START_SECONDS_MAX)
    return {name: Site(ports[name], token, programs.programs[name].pid) for name in SITES}
