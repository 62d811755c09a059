"""The guide's workflow from end to end, over real HTTP and with real commits."""

from __future__ import annotations

import io
import json

import pytest
from django.core.management import call_command
from django.test.testcases import LiveServerThread, QuietWSGIRequestHandler

from partners import tasks
from partners.models import Partner
from tests import make
from tests.flows import guide_workflow


class QuietServer(LiveServerThread):
    def _create_server(self, connections_override=None):
        return self.server_class((self.host, self.port), QuietWSGIRequestHandler, allow_reuse_address=False)


@pytest.fixture
def site(own_database):
    """The site on a free port of this machine."""
    server = QuietServer("127.0.0.1", lambda handler: handler)
    server.start()
    server.is_ready.wait(30)
    yield f"http://127.0.0.1:{server.port}"
    server.terminate()


def create(code: str, kind: str) -> str:
    out = io.StringIO()
    call_command("create_partner", code, name=code.title(), kind=kind, stdout=out)
    made = json.loads(out.getvalue())
    return f"{made['clientId']}:{made['clientSecret']}"


@pytest.mark.races
def test_the_guides_workflow_ends_with_every_quantity_as_arithmetic_says(site):
    retailer, supplier = create("RETAIL456", "retailer"), create("SUP123", "supplier")
    keeper = create("THREEPL", "logistics")
    variant = make.make_variant(sku="HOTSAUCE789", suppliers=[Partner.objects.get(code="SUP123")], tracking="batch")
    warehouse = make.make_warehouse(code="Warehouse_A")
    make.make_level(variant=variant, warehouse=warehouse, on_hand=500, batch_number="BATCH202406")
    guide_workflow.run(
        retailer=guide_workflow.Caller(site, retailer),
        supplier=guide_workflow.Caller(site, supplier),
        keeper=guide_workflow.Caller(site, keeper),
        product="SUP123/HOTSAUCE789",
        warehouse="Warehouse_A",
        batch="BATCH202406",
        relay=tasks.relay_events,
        say=lambda line: None,
    )
    out = io.StringIO()
    call_command("verify_ledger", "--json", stdout=out)
    assert json.loads(out.getvalue())["ok"] is True
