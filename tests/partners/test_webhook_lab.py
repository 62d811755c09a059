"""The lab: many events to eight endpoints of every temper. Who lives gets all, in order, signed, whatever the others do.

`LAB_EVENTS=20000 pytest tests/partners/test_webhook_lab.py` makes it as large as wanted.
"""

from __future__ import annotations

import os
import random
import socket
import time
from collections import Counter
from contextlib import ExitStack
from datetime import timedelta

import pytest
from django.utils import timezone

from partners import sending
from partners.models import Webhook, WebhookDelivery
from partners.operations import deliveries, feed
from tests import make
from tests.partners.receivers import Hours, Receiver, receiving, verify

EVENTS = int(os.environ.get("LAB_EVENTS", "150"))
SUBJECTS = max(10, EVENTS // 10)
CHANCE = random.Random(19)  # noqa: S311


def well(number, path):
    return 204


def failing(number, path):
    return 500 if CHANCE.random() < 0.3 else 200


def dropping(number, path):
    return None if CHANCE.random() < 0.3 else 204


def slow(number, path):
    time.sleep(0.02)
    return 204


def flapping(number, path):
    return 503 if number % 24 >= 18 else 204


def redirecting(number, path):
    return 302, {"Location": "/elsewhere"}


def gone(number, path):
    return 410


LIVING = {"well": well, "failing": failing, "dropping": dropping, "slow": slow, "flapping": flapping}
OTHERS = {"redirecting": redirecting, "gone": gone}


@pytest.mark.races
def test_every_living_endpoint_gets_all_in_order_and_signed(own_database, settings):
    settings.WEBHOOKS_TO_LOOPBACK = True
    partner = make.make_partner(code="RET-1")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        dead_port = closed.getsockname()[1]
    with ExitStack() as stack:
        receivers, keys = {}, {}
        for name, answer in (LIVING | OTHERS).items():
            receivers[name] = stack.enter_context(receiving(Receiver(answer)))
            _, keys[name] = make.make_webhook(partner=partner, url=f"{receivers[name].url}/{name}")
        dead, _ = make.make_webhook(partner=partner, url=f"http://127.0.0.1:{dead_port}/dead")
        for number in range(EVENTS):
            make.make_event(partner, subject=f"order/{number % SUBJECTS}", number=number)
        while feed.relay_events():
            pass
        while deliveries.fan_out(at=timezone.now()):
            pass
        clock = Hours()
        living = [receivers[name] for name in LIVING]
        for turn in range(200):
            sending.send_due(clock=clock, run_seconds=600)
            if turn == 0:
                # While the dead and the failing are waited for, who is well has everything.
                assert len(receivers["well"].accepted) == len(receivers["slow"].accepted) == EVENTS
            if all(len({event["id"] for event in one.accepted}) >= EVENTS for one in living):
                break
            clock.ahead += timedelta(minutes=20)
            while feed.relay_events() or deliveries.fan_out(at=clock()):
                pass
    for name in LIVING:
        mine = [event for event in receivers[name].accepted if event["type"] == "order.created"]
        assert set(Counter(event["id"] for event in mine).values()) == {1}, name
        assert len(mine) == EVENTS, name
        seen = Counter()
        for event in mine:
            assert event["version"] == seen[event["subject"]] + 1, (name, event)
            seen[event["subject"]] += 1
        assert all(
            verify(keys[name], got.headers, got.body, now=int(got.headers["webhook-timestamp"]))
            for got in receivers[name].got
        )
    assert len(receivers["gone"].got) == 1
    assert receivers["redirecting"].accepted == []
    assert "/elsewhere" not in receivers["redirecting"].paths
    states = dict(Webhook.objects.values_list("url", "status"))
    assert states[f"{receivers['gone'].url}/gone"] == "disabled"
    assert WebhookDelivery.objects.filter(webhook=dead, state="delivered").count() == 0
    # Once it is known to be dead it is left alone for longer and longer, and costs the others little.
    assert WebhookDelivery.objects.filter(webhook=dead, attempts__gt=0).count() < EVENTS
