"""The quick start works as it is written: its calls are cut out of the served page and run by bash."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import urllib.request
from html.parser import HTMLParser

import pytest
from django.db import connections

from partners import tasks
from tests import make
from tests.flows.test_guide_workflow import create, site  # noqa: F401  a fixture


class Calls(HTMLParser):
    """The text of each <code class="run">."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.is_within = False

    def handle_starttag(self, tag, attrs):
        if tag == "code" and ("class", "run") in attrs:
            self.found.append("")
            self.is_within = True

    def handle_endtag(self, tag):
        self.is_within = self.is_within and tag != "code"

    def handle_data(self, data):
        if self.is_within:
            self.found[-1] += data


@pytest.mark.races
@pytest.mark.skipif(not shutil.which("curl") or not shutil.which("bash"), reason="curl or bash is not here")
def test_a_new_partner_is_through_by_pasting_the_page(site):  # noqa: F811
    client_id, secret = create("RET456", "retailer").split(":")
    make.make_level(variant=make.make_variant(sku="HOTSAUCE789"), warehouse=make.make_warehouse(code="W1"))
    page = Calls()
    page.feed(urllib.request.urlopen(f"{site}/api/docs/quickstart", timeout=60).read().decode())
    assert len(page.found) == 8
    filled = [
        call.replace("YOUR-CLIENT-ID", client_id)
        .replace("YOUR-CLIENT-SECRET", secret)
        .replace("YOUR-SKU", "HOTSAUCE789")
        for call in page.found
    ]
    script = "\necho; echo ==\n".join(filled)
    stop = threading.Event()
    relay = threading.Thread(target=relaying, args=[stop])
    relay.start()
    try:
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, timeout=240)
    finally:
        stop.set()
        relay.join()
    assert (done.returncode, done.stderr) == (0, "")
    _, token, products, availability, reservation, order, confirmed, events = (
        part.strip() for part in done.stdout.split("\n==\n")
    )
    assert token.endswith("…")
    assert [row["productId"] for row in json.loads(products)["items"]] == ["HOTSAUCE789"]
    assert json.loads(availability)["lines"][0]["availableQuantity"] == 10
    assert json.loads(reservation)["status"] == "open"
    assert json.loads(order)["reservationId"] == json.loads(reservation)["reservationId"]
    assert json.loads(confirmed)["status"] == "confirmed"
    assert {row["type"] for row in json.loads(events)["items"]} == {"order.created", "order.confirmed"}


def relaying(stop: threading.Event) -> None:
    while not stop.wait(0.2):
        tasks.relay_events()
    connections.close_all()
