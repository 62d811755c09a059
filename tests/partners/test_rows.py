"""Rows written by the hot path's own statements are the rows the ORM would have written."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction

from orders.models import SendingCost
from partners import actors, rows
from partners.models import OutboxEvent, Partner
from tests import make

AT = datetime(2026, 11, 23, 10, 0, 0, 123456, tzinfo=UTC)
ODD = {"text": 'a "quote", a back\\slash, é, 😀 and %s', "none": None, "number": 1.25, "list": [1, {"deep": True}]}


def letter(subject: str) -> OutboxEvent:
    return OutboxEvent(
        event_id=uuid4(), type="order.created", subject=subject, payload=ODD, occurred_at=AT, actor="job:tests",
        addressee_ids=[3, 1], supplier_ids=[],
    )  # fmt: skip


def values(row, *left_out: str) -> dict[str, object]:
    read = type(row).objects.get(pk=row.pk)
    return {
        field.name: getattr(read, field.attname) for field in row._meta.concrete_fields if field.name not in left_out
    }


def test_what_is_inserted_is_what_the_orm_inserts(db):
    [ours] = rows.insert([letter("order/1")])
    theirs = OutboxEvent.objects.create(**{**values(ours, "id", "recorded_at"), "event_id": uuid4()})
    assert values(ours, "id", "event_id", "recorded_at") == values(theirs, "id", "event_id", "recorded_at")
    assert ours.payload == values(ours)["payload"] == ODD


def test_rows_get_their_ids_in_their_order(db):
    made = rows.insert([letter(f"order/{number}") for number in range(50)])
    assert [row.pk for row in made] == sorted(row.pk for row in made)
    assert list(OutboxEvent.objects.order_by("id").values_list("subject", flat=True)) == [row.subject for row in made]
    assert not made[0]._state.adding


def test_nothing_is_written_for_nothing(db):
    assert rows.insert([]) == []
    rows.trace([], kind="+")
    assert OutboxEvent.objects.count() == 0


def test_what_is_claimed_twice_is_there_once_and_as_it_was_first(db):
    first, second = (Partner(code="ONE", name=name, kind="retailer") for name in ("first", "second"))
    assert rows.claim(first, columns="code")
    assert not rows.claim(second, columns="code")
    assert (second.pk, [row.name for row in Partner.objects.all()]) == (None, ["first"])


def test_a_row_the_database_refuses_is_refused(db):
    make.make_partner(code="ONE", kind="retailer")
    with pytest.raises(IntegrityError), transaction.atomic():
        rows.insert([Partner(code="ONE", name="again", kind="retailer")])
    assert Partner.objects.count() == 1


@pytest.mark.parametrize(("kind", "reason"), [("+", "made"), ("~", "renamed")])
def test_a_history_says_what_saving_would_have_said(db, staff, kind, reason):
    partner = make.make_partner(code="ONE", kind="retailer")
    partner._history_user = staff
    with actors.acting(make.TESTER), actors.answering("request-1"):
        if kind == "~":
            partner._change_reason = reason
            partner.save()
        else:
            Partner.history.bulk_history_create([partner], default_change_reason=reason)
        rows.trace([partner], kind=kind, reason=reason)
    ours, theirs = partner.history.order_by("-history_id")[:2]
    hidden = {"history_id", "history_date"}
    ours, theirs = (
        {field.name: getattr(row, field.attname) for field in row._meta.concrete_fields if field.name not in hidden}
        for row in (ours, theirs)
    )
    assert ours == theirs
    assert (ours["actor"], ours["request_id"], ours["history_user"]) == ("job:tests", "request-1", staff.pk)


def test_rows_are_read_as_the_orm_reads_them(db):
    kept = SendingCost.objects.create(country="US", per_parcel=Decimal("1.2500"))
    rows.insert([letter("order/1")])
    assert [values(row) for row in rows.read(SendingCost, "WHERE country = %s", ["US"])] == [values(kept)]
    [read] = rows.read(OutboxEvent, "WHERE subject = %s", ["order/1"])
    assert (read.payload, read.addressee_ids, read.occurred_at) == (ODD, [3, 1], AT)
    assert rows.read(SendingCost, "WHERE country = %s", ["FR"]) == []
