"""The pages of the documentation are there, and lead where they say."""

from __future__ import annotations

import pytest

from partners import outbox
from partners.api import catalogue


@pytest.mark.parametrize(
    "path", ["", "/quickstart", "/problems", "/events", "/changelog"], ids=lambda path: path or "reference"
)
def test_each_page_is_served(client, path):
    assert client.get(f"/api/docs{path}").status_code == 200


def test_every_code_and_every_type_of_event_has_its_place(client):
    problems = client.get("/api/docs/problems").content.decode()
    assert [code for code in catalogue.entries() if f'id="{code}"' not in problems] == []
    events = client.get("/api/docs/events").content.decode()
    assert [name for name in outbox.TYPES if f'id="{name}"' not in events] == []
