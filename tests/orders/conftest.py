"""The shop all orders are placed in."""

from __future__ import annotations

from datetime import date

import pytest

from tests import make


@pytest.fixture
def shop(supplier):
    """A sauce in two batches at W1 (5 early, 10 late) and one (20) at W2; a part at W1."""
    sauce = make.make_variant(sku="SAUCE", suppliers=[supplier], tracking="batch")
    rotor = make.make_variant(sku="ROTOR", suppliers=[make.make_partner(code="SUP-2", kind="supplier")])
    west, east = make.make_warehouse(code="W1"), make.make_warehouse(code="W2")
    for number, warehouse, on_hand, expires_on in [
        ("EARLY", west, 5, date(2090, 1, 1)),
        ("LATE", west, 10, date(2091, 1, 1)),
        ("EAST", east, 20, date(2092, 1, 1)),
    ]:
        make.make_level(variant=sauce, warehouse=warehouse, on_hand=on_hand, batch_number=number, expires_on=expires_on)
    make.make_level(variant=rotor, warehouse=west, on_hand=8)
    return sauce
