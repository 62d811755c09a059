"""The catalogue of events: what it says of each type is what is recorded."""

from __future__ import annotations

import pytest

from partners import outbox
from partners.api import event_types
from partners.models import OutboxEvent
from tests.document.schemas import faults_of, misfits
from tests.test_house import FLOORS


def test_each_type_is_told_of_with_who_hears_it_and_an_example_that_fits(document):
    assert set(event_types.payloads()) == set(outbox.TYPES)
    faults = []
    for row in event_types.types():
        faults += [f"{row['type']}: {fault}" for fault in faults_of(document, row["schema"], row["example"])]
        faults += [
            f"{row['type']}.{name} says nothing"
            for name, field in row["schema"]["properties"].items()
            if not field.get("description")
        ]
        assert row["toldTo"], row["type"]
    assert faults == []


def test_what_the_story_records_fits_its_types(told):
    events = OutboxEvent.objects.order_by("id")
    assert len({event.type for event in events}) > 20
    assert [fault for event in events for fault in misfits(event)] == []


def test_a_payload_that_does_not_fit_is_found(told):
    """Else the test above could pass because nothing is compared."""
    event = OutboxEvent.objects.filter(type="order.created").first()
    event.payload = {name: value for name, value in event.payload.items() if name != "status"} | {"secret": 1}
    assert misfits(event) == ["order.created $: 'status' is a required property", "order.created carries secret, too"]


def test_the_door_answers_the_same_catalogue(api, retailer):
    items = api(retailer).get("/events/types").json()["items"]
    assert items == event_types.types()


@pytest.mark.parametrize("floor", FLOORS[:-1])
def test_a_floor_documents_its_own_events_alone(floor):
    mine = event_types.payloads_of(floor)
    others = {name for other in FLOORS[:-1] if other != floor for name in event_types.payloads_of(other)}
    assert set(mine) & others == set()
