"""What a flow records is what the catalogue of events promises."""

from __future__ import annotations

import pytest

from partners.models import OutboxEvent
from tests.document.schemas import misfits


@pytest.fixture(autouse=True)
def events_as_documented(request):
    for name in ("own_database", "db"):
        if name in request.fixturenames:
            request.getfixturevalue(name)  # so that it is still there when the flow is over
            break
    yield
    assert [fault for event in OutboxEvent.objects.order_by("id") for fault in misfits(event)] == []
