"""The world of two strangers, built once for each module and gone back to after each test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction

from tests.gate import world as worlds
from tests.partners.receivers import all_answering


@pytest.fixture(scope="module")
def _built(django_db_setup: None, django_db_blocker: Any) -> Iterator[worlds.World]:
    with django_db_blocker.unblock(), transaction.atomic():
        connection.atomic_blocks[-1]._from_testcase = True  # so that durable operations run inside it
        yield worlds.build()
        transaction.set_rollback(True)


@pytest.fixture
def world(_built: worlds.World, db: None) -> Iterator[worlds.World]:
    with all_answering():
        yield _built
