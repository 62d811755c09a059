"""`manage.py demo`: from an empty folder to a running site with real content, in one command."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, connections

from inventory_site import demo_access, demo_content, demo_database, queue, supervisor

FREE_MB_MIN = 500
START_SECONDS_MAX = 90
# What a killed demo left behind needs a moment to go away.
PORT_SECONDS_MAX = 3


class Command(BaseCommand):
    help = "Run the whole of Backstock on this machine, with demo content: site, worker and timetable."
    requires_system_checks: list[str] = []  # migrate checks

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--reset", action="store_true", help="throw the demo content away and load it anew")

    def handle(self, *, port: int, reset: bool, **options: Any) -> None:
        if settings.MODE != "development":
            raise CommandError(f"BACKSTOCK_MODE is {settings.MODE}: the demo runs in development mode only.")
        try:
            with supervisor.stoppable(), only_one():
                check_room()
                check_port(port)
                run(port=port, reset=reset, progress=Progress())
        except KeyboardInterrupt:
            print("\nStopped.", flush=True)
        except (supervisor.ProgramDied, supervisor.NotReady, queue.QueueNotPrepared) as problem:
            raise CommandError(f"\n{problem}") from problem


class Progress:
    """One line for each step, with its time once the next begins."""

    def __init__(self) -> None:
        self.began_at: float | None = None

    def __call__(self, step: str) -> None:
        self.done()
        print(f"{step} … ", end="", flush=True)
        self.began_at = time.monotonic()

    def done(self) -> None:
        if self.began_at is not None:
            print(f"{time.monotonic() - self.began_at:.1f} s", flush=True)
            self.began_at = None


def run(*, port: int, reset: bool, progress: Progress) -> None:
    """Until somebody asks to stop (KeyboardInterrupt) or a part of it dies (ProgramDied)."""
    url = f"http://127.0.0.1:{port}"
    prepare_database(progress, reset=reset)
    access = demo_content.access()
    connections.close_all()
    with supervisor.Supervisor(settings.STATE_DIR / "logs") as programs:
        progress("Starting site, worker and timetable")
        for name, command in programs_of(port).items():
            programs.start(name, command)
        programs.wait_while(lambda: missing(url, programs), seconds_max=START_SECONDS_MAX)
        progress.done()
        print(demo_access.instructions(access, url=url), flush=True)
        print(f"Logs are in {programs.logs}. Ctrl-C stops everything; the content stays.", flush=True)
        programs.watch()


def prepare_database(progress: Progress, *, reset: bool) -> None:
    """Tables, queue and content are there afterwards; the demo's own content is kept unless `reset`.

    CommandError for a database with anybody else's content, which is not touched.
    """
    found = demo_database.state()
    if found == demo_database.State.FOREIGN:
        name = connection.settings_dict["NAME"]
        raise CommandError(f"The database {name} holds what the demo did not load. Name an empty one in DATABASE_URL.")
    if found == demo_database.State.PARTIAL or (reset and found == demo_database.State.LOADED):
        progress("Emptying the database")
        demo_database.empty()
        found = demo_database.State.EMPTY
    progress("Migrating the database")
    call_command("migrate", verbosity=0, interactive=False)
    if settings.CELERY_BROKER_URL == "pgmq://":
        progress("Preparing the queue")
        queue.prepare()
    if found == demo_database.State.EMPTY:
        demo_database.mark(demo_database.State.PARTIAL)
        demo_content.load(progress)
        demo_database.mark(demo_database.State.LOADED)
    progress.done()


def programs_of(port: int) -> dict[str, list[str]]:
    python = [sys.executable, "-m"]
    site = "granian --interface wsgi inventory_site.wsgi:application --host 127.0.0.1 --workers 2 --blocking-threads"
    worker = "celery -A inventory_site worker --pool threads --concurrency 2 --without-mingle --without-gossip -l INFO"
    return {
        "web": [*python, *site.split(), str(settings.WEB_THREADS), "--port", str(port), "--workers-kill-timeout", "5"],
        "worker": [*python, *worker.split()],
        "beat": [*python, "celery", "-A", "inventory_site", "beat", "-l", "INFO"],
    }


def missing(url: str, programs: supervisor.Supervisor) -> str:
    """What still keeps the demo from being ready; nothing once the site and the worker are."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5):  # noqa: S310  our own address
            pass
    except urllib.error.HTTPError as refusal:
        return f"the site says {refusal.read().decode()}"
    except OSError as problem:
        return f"the site does not answer ({problem})"
    return "" if b" ready." in programs.log("worker").read_bytes() else "the worker does not listen yet"


def check_room() -> None:
    free_mb = shutil.disk_usage(settings.BASE_DIR).free // 1_000_000
    if free_mb < FREE_MB_MIN:
        raise CommandError(f"Only {free_mb} MB are free on this disk; the demo wants {FREE_MB_MIN} MB.")


def check_port(port: int) -> None:
    """CommandError naming the next free port, unless `port` is free or becomes free in a moment."""
    until = time.monotonic() + PORT_SECONDS_MAX
    while not is_free(port):
        if time.monotonic() > until:
            other = next(other for other in range(port + 1, port + 100) if is_free(other))
            raise CommandError(f"Port {port} is taken; use --port {other}.")
        time.sleep(0.2)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Two demos of one folder would share logs, queue and timetable."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    settings.STATE_DIR.mkdir(exist_ok=True)
    with (settings.STATE_DIR / "demo.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            raise CommandError(f"The demo of this folder runs already ({lock.read()}); stop it there first.") from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()}")
        lock.flush()
        yield
