from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from django.conf import settings

BASE_DIR = Path(settings.BASE_DIR)
PYTHON = sys.executable


def url_of(database: str) -> str:
    """The test server's URL, with another database's name."""
    return urlsplit(os.environ.get("DATABASE_URL", settings.DATABASE_URL))._replace(path=f"/{database}").geturl()


@pytest.fixture(scope="module")
def empty_database() -> Iterator[str]:
    """The URL of a database of its own, for programs that must not meet the tests' one."""
    name = f"backstock_{uuid.uuid4().hex[:12]}"
    with server() as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    yield url_of(name)
    with server() as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def server() -> psycopg.Connection:
    """The server's own database; the tests' one may not be made yet, or be in use."""
    from django.db import connections

    parameters = connections["default"].get_connection_params()
    return psycopg.connect(**{**parameters, "dbname": "postgres"}, autocommit=True)


def environment(**more: str) -> dict[str, str]:
    """Of a program started by hand: nothing of the tests' own mode."""
    mine = {
        name: value for name, value in os.environ.items() if not name.startswith(("BACKSTOCK_", "CELERY_", "PYTEST"))
    }
    return {**mine, "PYTHONPATH": str(BASE_DIR), **more}


def wait_until(is_so: Callable[[], bool], *, seconds_max: float, says: Callable[[], str] = str) -> None:
    until = time.monotonic() + seconds_max
    while not is_so():
        if time.monotonic() > until:
            pytest.fail(f"not so after {seconds_max} s: {says()}")
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    """Running, and not merely waiting to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def can_connect(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def stop(program: subprocess.Popen[bytes]) -> None:
    if program.poll() is None:
        program.kill()
    program.wait()
