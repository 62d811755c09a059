"""Letters: everybody gets every one of its own, in order for each subject, signed, whatever receivers do."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.utils import timezone

from partners import sending, webhooks
from partners.models import Feed, OutboxEvent, Partner, Webhook, WebhookDelivery
from partners.operations import deliveries, feed
from partners.operations import webhooks as endpoints
from stock.operations import movements
from tests import make
from tests.partners.receivers import Hours, Receiver, receiving, verify
from tests.races.crowd import all_at_once

STATE = WebhookDelivery.State
pytestmark = pytest.mark.races


@pytest.fixture
def loopback(settings):
    settings.WEBHOOKS_TO_LOOPBACK = True


@pytest.fixture
def partner(own_database, loopback):
    return make.make_partner(code="RET-1")


def relay_and_fan_out(at=None):
    while feed.relay_events():
        pass
    while deliveries.fan_out(at=at or timezone.now()):
        pass


def tell(partner, subjects, each):
    """`each` facts about each of so many subjects, their numbers in the payload, mixed but in order for each."""
    places = [subject for subject in range(subjects) for _ in range(each)]
    random.Random(7).shuffle(places)  # noqa: S311
    numbers = Counter()
    for subject in places:
        numbers[subject] += 1
        make.make_event(partner, subject=f"order/{subject}", number=numbers[subject])
    relay_and_fan_out()


def in_order(events):
    """Whether each subject's versions came rising."""
    seen = {}
    for event in events:
        if event["version"] <= seen.get(event["subject"], 0):
            return False
        seen[event["subject"]] = event["version"]
    return True


def go_on_until_quiet(clock, *, turns=40):
    """Send, and put the clock forward over each wait, until nothing is pending for who is served."""
    for _ in range(turns):
        sending.send_due(clock=clock, run_seconds=60)
        served = WebhookDelivery.objects.pending().filter(webhook__in=Webhook.objects.served())
        if not served.exists():
            return
        clock.ahead += timedelta(hours=3)


def test_a_letter_is_what_the_feed_shows_and_is_signed(partner, api):
    with receiving(Receiver()) as receiver:
        _, secret = make.make_webhook(partner=partner, url=receiver.url)
        make.make_event(partner, subject="order/1", orderId="SO-1", note="späť \u2028 ✓")
        relay_and_fan_out()
        assert sending.send_due() == 1
    [got] = receiver.got
    [shown] = api(partner).get("/events").json()["items"]
    assert got.event == shown
    assert got.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert got.headers["webhook-id"] == shown["id"]
    assert verify(secret, got.headers, got.body)
    assert not verify(secret, got.headers, got.body + b" ")
    assert not verify(webhooks.new_secret(), got.headers, got.body)
    assert not verify(secret, got.headers, got.body, now=time.time() + 301)
    assert sending.send_due() == 0
    assert len(receiver.got) == 1


def test_nobody_is_sent_what_it_may_not_see_at_the_feed(partner, api):
    """Also what it might see when the letter was made out, and may not any more."""
    make.make_event(make.make_partner(code="RET-2"), subject="order/2")
    hidden = make.make_partner(code="SHY", disclosure="yesNo")
    with receiving(Receiver()) as receiver:
        make.make_webhook(partner=partner, url=receiver.url + "/exact")
        make.make_webhook(partner=hidden, url=receiver.url + "/shy")
        level = make.make_level(variant=make.make_variant(sku="X"), warehouse=make.make_warehouse(code="W1"), on_hand=7)
        make.make_level(variant=level.variant, warehouse=make.make_warehouse(code="W2"), on_hand=9)
        relay_and_fan_out()
        Partner.objects.update(granted_warehouses=["W1"])
        sending.send_due()
    for path, who in (("/hooks/exact", partner), ("/hooks/shy", hidden)):
        sent = [got.event for got, to in zip(receiver.got, receiver.paths, strict=True) if to == path]
        shown = [event for event in api(who).get("/events").json()["items"] if event["type"] == "inventory.updated"]
        assert sent == shown
        assert len(sent) == 1
    assert WebhookDelivery.objects.filter(state=STATE.WITHHELD).count() == 2
    assert (
        b"7"
        not in next(got.body for got, to in zip(receiver.got, receiver.paths, strict=True) if to == "/hooks/shy").split(
            b'"data"'
        )[1]
    )


def test_a_secret_that_was_changed_signs_beside_the_new_one_for_a_day(partner):
    clock = Hours()
    with receiving(Receiver()) as receiver:
        webhook, old = make.make_webhook(partner=partner, url=receiver.url)
        webhook, new = endpoints.rotate_secret(webhook=webhook, actor=make.TESTER, at=timezone.now())
        for hours in (0, 23, 25):
            clock.ahead = timedelta(hours=hours)
            make.make_event(partner)
            relay_and_fan_out()
            sending.send_due(clock=clock)
    fits = [
        tuple(verify(secret, got.headers, got.body, now=int(got.headers["webhook-timestamp"])) for secret in (old, new))
        for got in receiver.got
    ]
    assert fits == [(True, True), (True, True), (False, True)]


def test_secrets_are_closed_in_the_database_and_open_after_a_change_of_key(partner, settings):
    webhook, secret = make.make_webhook(partner=partner)
    with connection.cursor() as cursor:
        cursor.execute("SELECT w::text FROM partners_webhook w")
        [text] = cursor.fetchone()
    assert secret not in text
    assert secret.removeprefix("whsec_").encode().hex() not in text
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another" * 10
    webhook.refresh_from_db()
    assert endpoints.secrets_of(webhook=webhook, at=timezone.now()) == [secret]
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(Exception, match="another SECRET_KEY"):
        endpoints.secrets_of(webhook=webhook, at=timezone.now())


def test_an_older_letter_holds_back_its_own_subject_and_no_other(partner):
    clock = Hours()
    broken = [True]
    with receiving(Receiver()) as receiver:
        receiver.refuses = lambda event: broken[0] and event["subject"] == "order/0"
        make.make_webhook(partner=partner, url=receiver.url)
        tell(partner, subjects=3, each=3)
        sending.send_due(clock=clock)
        assert Counter(event["subject"] for event in receiver.accepted) == {"order/1": 3, "order/2": 3}
        broken[0] = False
        go_on_until_quiet(clock)
    assert Counter(event["subject"] for event in receiver.accepted) == {"order/0": 3, "order/1": 3, "order/2": 3}
    assert in_order(receiver.accepted)


def test_the_waits_grow_over_three_days_and_then_the_letter_is_parked(partner):
    clock = Hours()
    with receiving(Receiver(lambda number, path: 500)) as receiver:
        webhook, _ = make.make_webhook(partner=partner, url=receiver.url)
        make.make_event(partner)
        relay_and_fan_out()
        began, waited = clock(), []
        for _ in range(webhooks.ATTEMPTS_MAX):
            assert sending.send_due(clock=clock) == 1
            row = WebhookDelivery.objects.get()
            waited.append((row.next_attempt_at - clock()).total_seconds())
            assert sending.send_due(clock=clock) == 0
            Webhook.objects.update(rests_until=None)
            clock.ahead += row.next_attempt_at - clock()
    assert (row.state, row.attempts, row.last_status) == (STATE.FAILED, webhooks.ATTEMPTS_MAX, 500)
    for wait, scheduled in zip(waited, webhooks.WAITS, strict=False):
        assert 0.85 * scheduled - 3 <= wait <= 1.15 * scheduled
    assert timedelta(days=2.5) < clock() - began < timedelta(days=4)
    assert len(receiver.got) == webhooks.ATTEMPTS_MAX
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1
    assert len({got.headers["webhook-timestamp"] for got in receiver.got}) == webhooks.ATTEMPTS_MAX
    endpoints.replay_failed(webhook=webhook, actor=make.TESTER, at=clock())
    receiver.answer = lambda number, path: 204
    assert WebhookDelivery.objects.get().state == STATE.PENDING


@pytest.mark.parametrize("status", [429, 503])
def test_who_says_when_to_come_again_is_not_asked_before(partner, status):
    clock = Hours()
    with receiving(
        Receiver(lambda number, path: (status, {"Retry-After": "7200"}) if number == 0 else 204)
    ) as receiver:
        make.make_webhook(partner=partner, url=receiver.url)
        tell(partner, subjects=2, each=1)
        assert sending.send_due(clock=clock) == 1
        clock.ahead = timedelta(minutes=110)
        assert sending.send_due(clock=clock) == 0
        clock.ahead = timedelta(minutes=121)
        assert sending.send_due(clock=clock) == 2
    assert len(receiver.accepted) == 2


def test_410_disables_at_once_and_its_partner_is_told(partner):
    with receiving(Receiver(lambda number, path: 410)) as receiver:
        webhook, _ = make.make_webhook(partner=partner, url=receiver.url)
        tell(partner, subjects=3, each=1)
        sending.send_due()
        assert len(receiver.got) == 1
        webhook.refresh_from_db()
        assert (webhook.status, webhook.status_reason) == ("disabled", "It answered 410 Gone.")
        told = OutboxEvent.objects.get(type="webhook.stopped")
        assert told.payload == {
            "webhookId": str(webhook.webhook_id), "status": "disabled", "statusReason": "It answered 410 Gone.",
        }  # fmt: skip
        assert told.addressee_ids == [partner.pk]
        receiver.answer = lambda number, path: 204
        endpoints.resume(webhook=webhook, actor=make.TESTER, at=timezone.now())
        relay_and_fan_out()
        sending.send_due()
        assert {event["type"] for event in receiver.accepted} == {"order.created", "webhook.stopped"}
        assert len(receiver.accepted) == 3


def test_days_of_nothing_but_failures_pause_an_endpoint_and_nothing_is_lost(partner, settings):
    clock = Hours()
    with receiving(Receiver(lambda number, path: 500)) as receiver:
        webhook, _ = make.make_webhook(partner=partner, url=receiver.url)
        tell(partner, subjects=40, each=1)
        for _ in range(60):
            sending.send_due(clock=clock)
            clock.ahead += timedelta(hours=2.5)
        webhook.refresh_from_db()
        assert webhook.status == "paused"
        assert webhook.failing_since is not None
        assert OutboxEvent.objects.filter(type="webhook.stopped").count() == 1
        make.make_event(partner, subject="order/99")
        relay_and_fan_out(clock())
        tried = len(receiver.got)
        assert sending.send_due(clock=clock) == 0
        receiver.answer = lambda number, path: 204
        endpoints.resume(webhook=webhook, actor=make.TESTER, at=clock())
        endpoints.replay_failed(webhook=webhook, actor=make.TESTER, at=clock())
        relay_and_fan_out(clock())
        go_on_until_quiet(clock)
    assert len(receiver.got) > tried
    assert {event["subject"] for event in receiver.accepted} >= {f"order/{n}" for n in (*range(40), 99)}


def test_a_burst_of_states_is_told_by_its_newest_and_orders_are_all_told(partner):
    clock = Hours()
    with receiving(Receiver()) as receiver:
        make.make_webhook(partner=partner, url=receiver.url, min_interval_seconds=600)
        variant, warehouse = make.make_variant(sku="X"), make.make_warehouse(code="W1")
        make.make_level(variant=variant, warehouse=warehouse, on_hand=1)
        relay_and_fan_out(clock())
        sending.send_due(clock=clock)
        for turn in range(5):
            clock.ahead = timedelta(seconds=60 * turn)
            make.make_level(variant=variant, warehouse=warehouse, on_hand=1)
            make.make_event(partner, subject="order/1", turn=turn)
            relay_and_fan_out(clock())
            sending.send_due(clock=clock)
        states = [event for event in receiver.accepted if event["type"] == "inventory.updated"]
        assert [state["data"]["levels"][0]["inventoryLevel"] for state in states] == [1]
        assert sum(event["type"] == "order.created" for event in receiver.accepted) == 5
        clock.ahead = timedelta(seconds=601)
        sending.send_due(clock=clock)
    states = [event for event in receiver.accepted if event["type"] == "inventory.updated"]
    assert [state["data"]["levels"][0]["inventoryLevel"] for state in states] == [1, 6]
    assert WebhookDelivery.objects.filter(state=STATE.COALESCED).count() == 4


def test_a_state_of_another_batch_takes_nobodys_place(partner):
    with receiving(Receiver()) as receiver:
        make.make_webhook(partner=partner, url=receiver.url, min_interval_seconds=600)
        variant, warehouse = make.make_variant(sku="X", tracking="batch"), make.make_warehouse(code="W1")
        for batch in ("A", "B", "A"):
            make.make_level(variant=variant, warehouse=warehouse, on_hand=1, batch_number=batch)
        relay_and_fan_out()
        sending.send_due()
    told = [
        (row["batchNumber"], row["inventoryLevel"]) for event in receiver.accepted for row in event["data"]["levels"]
    ]
    assert told == [("B", 1), ("A", 2)]


def test_a_threshold_is_told_when_it_is_crossed_and_not_when_it_is_trembled_about(partner):
    with receiving(Receiver()) as receiver:
        make.make_webhook(partner=partner, url=receiver.url, below_quantity=10, above_quantity=20)
        variant, warehouse = make.make_variant(sku="X"), make.make_warehouse(code="W1")
        heard = []
        for units in (15, -6, 2, -4, 9, 4, -3, -10):  # 15 9 11 7 16 20 17 7
            if units > 0:
                make.make_level(variant=variant, warehouse=warehouse, on_hand=units)
            else:
                write_off(variant, warehouse, -units)
            relay_and_fan_out()
            sending.send_due()
            heard.append(len(receiver.accepted))
        make.make_event(partner)
        relay_and_fan_out()
        sending.send_due()
    assert heard == [0, 1, 1, 1, 1, 2, 2, 3]
    assert [event["data"]["levels"][0]["inventoryLevel"] for event in receiver.accepted[:3]] == [9, 20, 7]
    assert receiver.accepted[3]["type"] == "order.created"


def test_only_events_that_name_a_wanted_product_or_none_are_sent(partner):
    with receiving(Receiver()) as receiver:
        make.make_webhook(partner=partner, url=receiver.url, product_ids=["A"], event_types=["order.created"])
        make.make_event(partner, subject="order/1", lines=[{"productId": "B"}, {"productId": "A"}])
        make.make_event(partner, subject="order/2", lines=[{"productId": "B"}])
        make.make_event(partner, subject="order/3", externalReference="x")
        make.make_event(partner, subject="order/4", kind="order.shipped", productId="A")
        relay_and_fan_out()
        sending.send_due()
    assert [event["subject"] for event in receiver.accepted] == ["order/1", "order/3"]


def test_what_was_sent_is_sent_again_by_position_and_by_time(partner):
    make.make_event(partner, subject="order/before")
    relay_and_fan_out()
    with receiving(Receiver()) as receiver:
        webhook, _ = make.make_webhook(partner=partner, url=receiver.url)
        tell(partner, subjects=4, each=1)
        sending.send_due()
        asked = {"webhook": webhook, "actor": make.TESTER, "at": timezone.now()}
        assert endpoints.replay(since=2, until=3, **asked).count == 2
        sending.send_due()
        assert endpoints.replay(since=1, until=None, **asked) == endpoints.Replayed(count=5, next_position=None)
        assert endpoints.replay(since=1, until=None, **asked).count == 0
        sending.send_due()
        assert endpoints.replay(since=timezone.now() + timedelta(hours=1), until=None, **asked).count == 0
        assert endpoints.replay(since=timezone.now() - timedelta(hours=1), until=None, **asked).count == 5
    by_id = Counter(got.headers["webhook-id"] for got in receiver.got)
    assert sorted(by_id.values()) == [1, 2, 2, 3, 3]
    assert WebhookDelivery.objects.count() == 5


def test_more_waits_in_the_feed_than_beside_an_endpoint(partner, monkeypatch):
    monkeypatch.setattr(deliveries, "BACKLOG_MAX", 10)
    monkeypatch.setattr(deliveries, "WINDOW", 5)
    with receiving(Receiver()) as receiver:
        make.make_webhook(partner=partner, url=receiver.url)
        tell(partner, subjects=5, each=6)
        assert WebhookDelivery.objects.count() == 10
        for _ in range(5):
            sending.send_due()
            relay_and_fan_out()
        sending.send_due()
    assert len(receiver.accepted) == 30
    assert in_order(receiver.accepted)


def stumbling(number, path):
    """Now and then a letter is refused, and has to be sent again behind others."""
    return 500 if number % 50 == 3 else 204


def race(partner, receiver, *, senders=3):
    make.make_webhook(partner=partner, url=receiver.url)
    Webhook.objects.update(last_success_at=timezone.now())
    for number in range(240):
        make.make_event(partner, subject=f"order/{number % 8}", number=number)
    while feed.relay_events():
        pass
    head = Feed.objects.get().head

    def work(place):
        behind = Webhook.objects.filter(cursor__lt=head)
        if place < 2:
            while behind.exists():
                deliveries.fan_out(at=timezone.now())
            return 0
        tries = 0
        while behind.exists() or WebhookDelivery.objects.pending().exists():
            tries += sending.send_due(run_seconds=5)
        return tries

    return all_at_once(2 + senders, work, patience_seconds=120)


def test_two_that_make_out_letters_and_three_that_send_deliver_each_once_and_in_order(partner, monkeypatch):
    monkeypatch.setattr(deliveries, "WINDOW", 20)
    monkeypatch.setattr(webhooks, "WAITS", (1,) * 9)
    with receiving(Receiver(stumbling)) as receiver:
        results = race(partner, receiver)
    assert not [result for result in results if isinstance(result, Exception)], results
    ids = Counter(event["id"] for event in receiver.accepted)
    assert len(ids) == 240
    assert set(ids.values()) == {1}
    assert in_order(receiver.accepted)


def test_without_its_guard_the_race_above_breaks_the_order(partner, monkeypatch):
    """The negative control: letters taken without a look at the older ones of their subject."""
    guard = deliveries.DUE[deliveries.DUE.index("AND NOT EXISTS") : deliveries.DUE.index("ORDER BY d.next")]
    monkeypatch.setattr(deliveries, "DUE", deliveries.DUE.replace(guard, ""))
    monkeypatch.setattr(webhooks, "WAITS", (1,) * 9)
    with receiving(Receiver(stumbling)) as receiver:
        race(partner, receiver)
    assert len(receiver.accepted) == 240
    assert not in_order(receiver.accepted)


def test_without_its_mark_in_flight_the_race_above_sends_twice(partner, monkeypatch):
    """The other negative control: a letter is taken, and nothing says so."""
    monkeypatch.setattr(deliveries, "IN_FLIGHT_SECONDS", -100)
    monkeypatch.setattr(webhooks, "wait_after", lambda attempts, **kwargs: timedelta())
    monkeypatch.setattr(webhooks, "ATTEMPTS_MAX", 10_000)
    with receiving(Receiver(lambda number, path: time.sleep(0.02) or 204)) as receiver:
        race(partner, receiver)
    assert max(Counter(event["id"] for event in receiver.accepted).values()) > 1


def test_a_sender_killed_in_the_middle_of_a_try_costs_the_letter_its_turn_only(partner):
    clock = Hours()
    reached = threading.Event()
    with receiving(Receiver()) as receiver:
        make.make_webhook(partner=partner, url=receiver.url)
        tell(partner, subjects=1, each=3)
        over = threading.Event()
        receiver.answer = lambda number, path: (reached.set(), over.wait(20), 204)[2] if number == 0 else 204
        connections.close_all()
        child = os.fork()
        if child == 0:
            sending.send_due()
            os._exit(0)
        assert reached.wait(20)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        over.set()
        row = WebhookDelivery.objects.earliest("position")
        assert (row.state, row.attempts, row.last_status) == (STATE.PENDING, 1, None)
        assert sending.send_due(clock=clock) == 0
        clock.ahead = timedelta(seconds=deliveries.IN_FLIGHT_SECONDS + 1)
        assert sending.send_due(clock=clock) == 3
    assert [event["version"] for event in receiver.accepted] == [1, 1, 2, 3]
    assert receiver.got[0].headers["webhook-id"] == receiver.got[1].headers["webhook-id"]


def test_a_letter_that_kills_every_sender_is_parked_and_the_others_go_on(partner, monkeypatch):
    clock = Hours()
    with receiving(Receiver()) as receiver:
        make.make_webhook(partner=partner, url=receiver.url)
        make.make_event(partner, subject="order/poison")
        relay_and_fan_out()
        for _ in range(webhooks.ATTEMPTS_MAX):
            assert len(deliveries.take(at=clock(), limit=5, shaky_limit=5)) == 1  # and then it dies
            clock.ahead += timedelta(hours=30)
        make.make_event(partner, subject="order/good")
        make.make_event(partner, subject="order/poison")
        relay_and_fan_out(clock())
        sending.send_due(clock=clock)
        sending.send_due(clock=clock)
    assert [(row.subject, row.state, row.last_error) for row in WebhookDelivery.objects.order_by("position")] == [
        ("order/poison", "failed", "sender_died"),
        ("order/good", "delivered", ""),
        ("order/poison", "delivered", ""),
    ]


def test_the_log_is_forgotten_in_its_time_and_what_waits_never(partner):
    with receiving(Receiver()) as receiver:
        make.make_webhook(partner=partner, url=receiver.url)
        tell(partner, subjects=2, each=1)
        assert sending.send_due() == 2
        make.make_event(partner, subject="order/9")
        relay_and_fan_out()
    at = timezone.now()
    assert deliveries.forget(at=at + timedelta(days=6)) == 0
    assert deliveries.forget(at=at + timedelta(days=8)) == 2
    assert [row.state for row in WebhookDelivery.objects.all()] == ["pending"]
    webhook = Webhook.objects.get()
    endpoints.remove(webhook=webhook, actor=make.TESTER, at=at)
    assert deliveries.forget(at=at) == 1
    assert not Webhook.objects.exists()


def write_off(variant, warehouse, units):
    movements.book(
        kind="writeOff", variant=variant, warehouse=warehouse, quantity=units, actor=make.TESTER, at=timezone.now()
    )
