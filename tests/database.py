"""Gives the tests a real PostgreSQL before Django reads its settings (loaded by `-p tests.database`).

DATABASE_URL is used where it is set; else a throw-away cluster of the project's own, shared by the xdist
workers, which inherit the variable.
"""

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

os.environ["BACKSTOCK_MODE"] = "test"
os.environ.setdefault("CELERY_TASK_ALWAYS_EAGER", "1")
# Tests of something else change partners between two calls, and make more calls than a partner does.
os.environ.setdefault("CALLERS_KEPT_SECONDS", "0")
os.environ.setdefault("RATE_LIMIT_READS", "10000000")
os.environ.setdefault("RATE_LIMIT_WRITES", "10000000")
cluster = ExitStack()

if "DATABASE_URL" not in os.environ:
    from inventory_site import postgres

    home = Path(__file__).resolve().parent.parent / ".backstock" / "test-postgres"
    try:
        os.environ["DATABASE_URL"] = cluster.enter_context(postgres.running(home, durable=False))
    except postgres.Unavailable as problem:
        pytest.exit(f"No PostgreSQL: {problem}", returncode=3)


def pytest_unconfigure() -> None:
    cluster.close()
