"""Goods between warehouses: what leaves is in transit until it arrives, and every unit is accounted for."""

from __future__ import annotations

from datetime import date

import pytest
from django.db import connection
from django.utils import timezone

from partners.models import OutboxEvent
from partners.problems import IllegalStep, InvalidInput
from stock import ledger, proof
from stock.models import Inbound, Level, Location, Movement, Serial, Transfer, TransferLine
from stock.operations import movements, reservations, transfers, warehouses
from stock.operations.promising import InsufficientStock, Wanted
from stock.operations.transfers import Arrival, Going, TransferChanged
from stock.serials import SerialNotThere, SerialsNeeded
from tests import make

ROAD = Location.VIRTUAL_IDS[Location.Kind.IN_TRANSIT]


def now():
    return {"actor": make.TESTER, "at": timezone.now()}


def book():
    """All that a refusal must leave alone."""
    return (
        sorted(Level.objects.values_list("id", "on_hand", "reserved")),
        Movement.objects.count(),
        list(TransferLine.objects.order_by("id").values_list("batch", "quantity", "dispatched", "arrived", "lost")),
        list(Transfer.objects.values_list("state", "version")),
        sorted(Inbound.objects.values_list("line", "quantity")),
        OutboxEvent.objects.exclude(type="inventory.updated").count(),
    )


def in_transit() -> int:
    arriving = sum(Movement.objects.filter(to_location=ROAD).values_list("quantity", flat=True))
    return arriving - sum(Movement.objects.filter(from_location=ROAD).values_list("quantity", flat=True))


def on_hand(warehouse, variant) -> int:
    rows = Level.objects.filter(location__warehouse=warehouse, variant=variant)
    return sum(rows.values_list("on_hand", flat=True))


def proves() -> bool:
    assert proof.prove_ledger().differences == []
    return True


@pytest.fixture
def operators(db):
    return make.make_partner(code="3PL-A", kind="logistics"), make.make_partner(code="3PL-B", kind="logistics")


@pytest.fixture
def north(operators):
    return make.make_warehouse(code="NORTH", operator=operators[0], time_zone="America/New_York")


@pytest.fixture
def south(operators):
    return make.make_warehouse(code="SOUTH", operator=operators[1], time_zone="Europe/Berlin")


@pytest.fixture
def sauce(north):
    """Ten that expire first, ten that expire later, and some that may not be sold."""
    variant = make.make_variant(sku="SAUCE", tracking="batch")
    for number, expires_on in (("LATE", date(2091, 1, 1)), ("EARLY", date(2090, 1, 1)), ("GONE", date(2020, 1, 1))):
        make.make_level(variant=variant, warehouse=north, batch_number=number, expires_on=expires_on)
    make.make_level(variant=variant, warehouse=north, batch_number="HELD", hold_state="quarantined")
    return variant


@pytest.fixture
def bolts(north):
    variant = make.make_variant(sku="BOLT")
    make.make_level(variant=variant, warehouse=north, on_hand=100)
    return variant


def planned(source, target, *going, **fields):
    rows = [Going(variant=variant, quantity=quantity, batch_number=batch) for variant, quantity, batch in going]
    return transfers.plan(source=source, target=target, going=rows, **fields, **now())


def sent(source, target, *going, **fields):
    return transfers.dispatch(transfer=planned(source, target, *going, **fields), **now())


def arrived(transfer, *rows, is_last=False):
    came = [row if isinstance(row, Arrival) else Arrival(sku=row[0], quantity=row[1]) for row in rows]
    return transfers.arrive(transfer=transfer, arrivals=came, is_last=is_last, **now())


def test_a_plan_moves_nothing_and_promises_nothing(north, south, bolts):
    transfer = planned(north, south, (bolts, 30, ""), reference="spring")
    assert (transfer.state, transfer.number[:3], transfer.lines.get().dispatched) == ("planned", "TR-", 0)
    assert (on_hand(north, bolts), Movement.objects.count(), Inbound.objects.count()) == (100, 1, 0)
    assert transfer.history.get().history_change_reason == "transfer planned"


@pytest.mark.parametrize("fault", ["batch", "warehouse"])
def test_a_plan_that_cannot_be_meant_is_refused_and_not_written(north, south, sauce, fault):
    batch, target = ("EARLY", north) if fault == "warehouse" else ("NONE", south)
    with pytest.raises(InvalidInput) as refused:
        planned(north, target, (sauce, 1, batch))
    field = {"batch": "lines[0].batchNumber", "warehouse": "targetWarehouse"}[fault]
    assert refused.value.data["errors"][0]["field"] == field
    assert Transfer.objects.count() == 0


def test_dispatch_takes_what_expires_first_and_makes_a_line_for_each_batch(north, south, sauce):
    transfer = sent(north, south, (sauce, 14, ""), expected_on=date(2080, 5, 1))
    lines = transfer.lines.values_list("batch__number", "quantity", "dispatched")
    assert sorted(lines) == [("EARLY", 10, 10), ("LATE", 4, 4)]
    moved = Movement.objects.filter(kind="transferOut").values_list("batch__number", "quantity", "reference")
    assert sorted(moved) == [("EARLY", 10, transfer.number), ("LATE", 4, transfer.number)]
    expected = Inbound.objects.values_list("document", "warehouse__code", "batch__number", "quantity", "expected_on")
    day = date(2080, 5, 1)
    assert sorted(expected) == [
        (transfer.number, "SOUTH", "EARLY", 10, day),
        (transfer.number, "SOUTH", "LATE", 4, day),
    ]
    assert (transfer.state, transfer.version, in_transit(), proves()) == ("dispatched", 2, 14, True)


def test_lines_that_name_their_batch_come_before_those_that_do_not(north, south, sauce):
    transfer = sent(north, south, (sauce, 8, ""), (sauce, 5, "EARLY"))
    assert sorted(transfer.lines.values_list("batch__number", "dispatched")) == [
        ("EARLY", 5),
        ("EARLY", 5),
        ("LATE", 3),
    ]
    assert proves()


def test_without_a_day_it_is_expected_on_the_day_it_left_where_it_goes(north, south, bolts):
    late = timezone.now().replace(year=2030, month=3, day=1, hour=23, minute=30)
    transfers.dispatch(transfer=planned(north, south, (bolts, 1, "")), actor=make.TESTER, at=late)
    assert Inbound.objects.get().expected_on == date(2030, 3, 2)


def test_promised_units_stay_and_the_refusal_says_what_is_free(north, south, bolts):
    reservations.reserve(reference="cart", wanted=[Wanted(variant=bolts, quantity=60)], partner=None, **now())
    transfer = planned(north, south, (bolts, 41, ""))
    before = book()
    with pytest.raises(InsufficientStock) as refused:
        transfers.dispatch(transfer=transfer, **now())
    assert refused.value.data["shortages"] == [{"productId": "BOLT", "requested": 41, "available": 40}]
    assert book() == before
    sent(north, south, (bolts, 40, ""))
    assert (Level.objects.get(location__warehouse=north).reserved, in_transit(), proves()) == (60, 40, True)


@pytest.mark.parametrize("batch", ["GONE", "HELD"])
def test_what_may_not_be_sold_is_not_sent(north, south, sauce, batch):
    transfer = planned(north, south, (sauce, 1, batch), (sauce, 1, ""))
    before = book()
    with pytest.raises(InsufficientStock) as refused:
        transfers.dispatch(transfer=transfer, **now())
    shortage = {"productId": "SAUCE", "batchNumber": batch, "requested": 1, "available": 0}
    assert refused.value.data["shortages"] == [shortage]
    assert book() == before


def test_two_lines_never_count_on_the_same_units(north, south, bolts):
    transfer = planned(north, south, (bolts, 60, ""), (bolts, 60, ""))
    before = book()
    with pytest.raises(InsufficientStock):
        transfers.dispatch(transfer=transfer, **now())
    assert book() == before


def test_goods_of_others_go_only_when_their_owner_is_named(north, south, bolts, supplier):
    bin_ = warehouses.default_location(north)
    ledger.post(
        [
            ledger.Posting(
                variant_id=bolts.pk, batch_id=None, quantity=5, owner_id=supplier.pk, kind=Movement.Kind.RECEIPT,
                source=ledger.virtual(Location.Kind.SUPPLIER),
                target=ledger.Place(location_id=bin_.pk, condition="sellable"),
            )
        ],
        **now(),
    )  # fmt: skip
    with pytest.raises(InsufficientStock):
        sent(north, south, (bolts, 101, ""))
    going = [Going(variant=bolts, quantity=5, owner=supplier)]
    transfer = transfers.plan(source=north, target=south, going=going, **now())
    transfers.dispatch(transfer=transfer, **now())
    assert not Inbound.objects.exists(), "availability would promise it as ours"
    transfers.arrive(transfer=transfer, **now())
    assert Level.objects.get(location__warehouse=south, on_hand=5).owner == supplier
    assert proves()


def test_all_that_was_sent_arrives_in_one_step(north, south, sauce, bolts):
    transfer = sent(north, south, (sauce, 14, ""), (bolts, 7, ""))
    done = transfers.arrive(transfer=transfer, **now())
    assert (done.state, in_transit(), Inbound.objects.count()) == ("arrived", 0, 0)
    assert (on_hand(south, sauce), on_hand(south, bolts), on_hand(north, bolts)) == (14, 7, 93)
    assert set(Movement.objects.filter(from_location=ROAD).values_list("kind", "reference")) == {
        ("transferIn", transfer.number)
    }
    assert proves()


def test_what_comes_short_stays_on_the_road_until_it_comes(north, south, bolts):
    transfer = sent(north, south, (bolts, 10, ""))
    for came, left in ((4, 6), (5, 1)):
        assert arrived(transfer, ("BOLT", came)).state == "dispatched"
        assert (in_transit(), Inbound.objects.get().quantity) == (left, left)
        assert proves()
    assert arrived(transfer, ("BOLT", 1)).state == "arrived"
    assert (on_hand(south, bolts), in_transit(), Inbound.objects.count()) == (10, 0, 0)


def test_with_the_last_arrival_what_is_missing_is_lost(north, south, bolts, sauce):
    transfer = sent(north, south, (bolts, 10, ""), (sauce, 2, "EARLY"))
    done = arrived(transfer, ("BOLT", 7), is_last=True)
    assert done.state == "arrived"
    assert sorted(done.lines.values_list("arrived", "lost")) == [(0, 2), (7, 3)]
    lost = Movement.objects.filter(to_location=Location.VIRTUAL_IDS["lost"])
    assert sorted(lost.values_list("quantity", "kind", "reason")) == [
        (2, "adjustment", "missing"),
        (3, "adjustment", "missing"),
    ]
    assert (in_transit(), on_hand(south, bolts), Inbound.objects.count(), proves()) == (0, 7, 0, True)


def test_nothing_at_all_may_be_said_to_have_come_but_only_as_the_last_word(north, south, bolts):
    transfer = sent(north, south, (bolts, 10, ""))
    before = book()
    with pytest.raises(InvalidInput):
        arrived(transfer)
    assert book() == before
    assert arrived(transfer, is_last=True).lines.get().lost == 10
    assert proves()


def test_what_came_and_was_not_sent_is_found_and_kept_on_the_line(north, south, bolts):
    transfer = sent(north, south, (bolts, 10, ""))
    done = arrived(transfer, ("BOLT", 12), is_last=True)
    line = done.lines.get()
    assert (done.state, line.dispatched, line.arrived, line.lost, line.on_the_road) == ("arrived", 10, 12, 0, 0)
    found = Movement.objects.get(from_location=Location.VIRTUAL_IDS["found"])
    assert (found.quantity, found.reason, found.reference) == (2, "over arrival", transfer.number)
    assert (on_hand(south, bolts), in_transit(), proves()) == (12, 0, True)


def test_goods_are_put_into_the_bin_that_is_named(north, south, bolts):
    warehouses.open_location(warehouse=south, code="A-01", actor=make.TESTER)
    transfer = sent(north, south, (bolts, 10, ""))
    before = book()
    with pytest.raises(InvalidInput) as refused:
        arrived(transfer, Arrival(sku="BOLT", quantity=3, location_code="Z-99"))
    assert refused.value.data["errors"][0]["field"] == "lines[0].location"
    assert book() == before
    arrived(transfer, Arrival(sku="BOLT", quantity=3, location_code="A-01"), ("BOLT", 7))
    assert sorted(Level.objects.filter(location__warehouse=south).values_list("location__code", "on_hand")) == [
        ("A-01", 3),
        ("MAIN", 7),
    ]


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (Arrival(sku="OTHER", quantity=1), "lines[0].productId"),
        (Arrival(sku="SAUCE", quantity=1), "lines[0].batchNumber"),
        (Arrival(sku="SAUCE", quantity=1, batch_number="GONE"), "lines[0].productId"),
    ],
)
def test_an_arrival_that_says_too_little_or_was_not_sent_is_refused(north, south, sauce, row, field):
    transfer = sent(north, south, (sauce, 14, ""))
    before = book()
    with pytest.raises(InvalidInput) as refused:
        arrived(transfer, row)
    assert refused.value.data["errors"][0]["field"] == field
    assert book() == before
    assert arrived(transfer, Arrival(sku="SAUCE", quantity=10, batch_number="EARLY")).state == "dispatched"
    assert proves()


def test_no_step_has_its_effect_twice(north, south, bolts):
    transfer = planned(north, south, (bolts, 10, ""))
    with pytest.raises(IllegalStep):
        transfers.arrive(transfer=transfer, **now())
    transfers.dispatch(transfer=transfer, **now())
    before = book()
    assert transfers.dispatch(transfer=transfer, **now()).state == "dispatched"
    with pytest.raises(IllegalStep):
        transfers.cancel(transfer=transfer, **now())
    assert book() == before
    transfers.arrive(transfer=transfer, **now())
    before = book()
    for step in (transfers.arrive, transfers.dispatch, transfers.cancel):
        with pytest.raises(IllegalStep) as refused:
            step(transfer=transfer, **now())
        assert refused.value.data["currentStatus"] == "arrived"
    assert book() == before


def test_who_counted_before_somebody_else_booked_looks_again(north, south, bolts):
    transfer = sent(north, south, (bolts, 10, ""))
    came = {"transfer": transfer, "arrivals": [Arrival(sku="BOLT", quantity=4)], "seen_version": transfer.version}
    transfers.arrive(**came, **now())
    before = book()
    with pytest.raises(TransferChanged) as refused:
        transfers.arrive(**came, **now())
    assert (refused.value.data, book()) == ({"version": 3}, before)
    transfers.arrive(**came | {"seen_version": 3}, **now())
    assert in_transit() == 2


def test_a_plan_is_cancelled_once_and_goes_nowhere_after(north, south, bolts):
    transfer = planned(north, south, (bolts, 10, ""))
    assert transfers.cancel(transfer=transfer, **now()).version == 2
    assert transfers.cancel(transfer=transfer, **now()).version == 2
    with pytest.raises(IllegalStep):
        transfers.dispatch(transfer=transfer, **now())
    assert on_hand(north, bolts) == 100


def test_both_operators_are_told_what_left_and_what_came(north, south, bolts, operators):
    transfer = sent(north, south, (bolts, 10, ""))
    arrived(transfer, ("BOLT", 7), is_last=True)
    left, came = OutboxEvent.objects.filter(subject=f"transfer/{transfer.number}").order_by("id")
    assert (left.type, came.type) == ("transfer.dispatched", "transfer.arrived")
    assert left.addressee_ids == came.addressee_ids == sorted(partner.pk for partner in operators)
    assert (came.payload["status"], came.payload["lines"]) == (
        "arrived",
        [
            {
                "productId": "BOLT", "batchNumber": None, "dispatchedQuantity": 10, "arrivedQuantity": 7,
                "lostQuantity": 3, "onTheRoad": 0,
            }
        ],
    )  # fmt: skip


def test_the_proof_names_a_transfer_whose_line_disagrees_with_the_ledger(north, south, sauce):
    transfer = sent(north, south, (sauce, 5, "EARLY"))
    assert proves()
    TransferLine.objects.update(arrived=1)
    [difference] = proof.prove_ledger().differences
    assert difference == f"transfer {transfer.number} (SAUCE, batch EARLY): 4 on the road, ledger 5"


def test_movements_booked_by_hand_are_no_part_of_a_transfer_and_may_not_pretend_to_be(north, south, bolts):
    transfer = sent(north, south, (bolts, 10, ""))
    by_hand = {"kind": "transferIn", "variant": bolts, "warehouse": south, "quantity": 4, **now()}
    before = book()
    with pytest.raises(InvalidInput):
        movements.book(**by_hand, reference=transfer.number)
    assert book() == before
    movements.book(**by_hand, reference="a lorry of ours")
    assert proves()


@pytest.fixture
def drills(north):
    variant = make.make_variant(sku="DRILL", tracking="serial")
    bin_ = warehouses.default_location(north)
    ledger.post(
        [
            ledger.Posting(
                variant_id=variant.pk, batch_id=None, quantity=4, kind=Movement.Kind.RECEIPT,
                source=ledger.virtual(Location.Kind.SUPPLIER),
                target=ledger.Place(location_id=bin_.pk, condition="sellable"), serials=("S1", "S2", "S3", "S4"),
            )
        ],
        **now(),
    )  # fmt: skip
    return variant


def test_units_with_numbers_are_named_when_they_leave_and_known_when_they_come(north, south, drills):
    transfer = planned(north, south, (drills, 3, ""))
    before = book()
    for named, refusal in (((), SerialsNeeded), (("S1", "S2"), SerialsNeeded), (("S1", "S2", "S9"), SerialNotThere)):
        with pytest.raises(refusal):
            transfers.dispatch(transfer=transfer, serials=named, **now())
    assert book() == before
    transfers.dispatch(transfer=transfer, serials=("S1", "S2", "S4"), **now())
    assert list(Serial.objects.filter(level=None).values_list("number", flat=True)) == ["S1", "S2", "S4"]
    before = book()
    for row, refusal in (
        (Arrival(sku="DRILL", quantity=1), SerialsNeeded),
        (Arrival(sku="DRILL", quantity=1, serials=("S3",)), SerialNotThere),
    ):
        with pytest.raises(refusal):
            arrived(transfer, row)
    assert book() == before
    arrived(transfer, Arrival(sku="DRILL", quantity=1, serials=("S2",)))
    assert proves()
    done = arrived(transfer, Arrival(sku="DRILL", quantity=1, serials=("S4",)), is_last=True)
    assert (done.state, done.lines.get().lost, proves()) == ("arrived", 1, True)
    here = Serial.objects.filter(level__location__warehouse=south)
    assert list(here.values_list("number", flat=True)) == ["S2", "S4"]
    assert Serial.objects.get(number="S1").level_id is None


def test_units_with_numbers_need_not_be_named_again_when_all_of_them_came(north, south, drills):
    transfer = planned(north, south, (drills, 2, ""))
    transfers.dispatch(transfer=transfer, serials=("S1", "S2"), **now())
    assert transfers.arrive(transfer=transfer, **now()).state == "arrived"
    assert Serial.objects.filter(level__location__warehouse=south).count() == 2
    assert proves()


def test_a_long_transfer_costs_hardly_more_queries_than_a_short_one(north, south):
    def cost(count: int) -> tuple[int, int]:
        going = []
        for _ in range(count):
            variant = make.make_variant()
            make.make_level(variant=variant, warehouse=north)
            going.append((variant, 5, ""))
        transfer = planned(north, south, *going)
        before = len(connection.queries_log)
        transfers.dispatch(transfer=transfer, **now())
        middle = len(connection.queries_log)
        transfers.arrive(transfer=transfer, **now())
        return middle - before, len(connection.queries_log) - middle

    connection.force_debug_cursor = True
    try:
        assert cost(2) == cost(40)
    finally:
        connection.force_debug_cursor = False


# -- Over the API


LINES = [{"productId": "BOLT", "quantity": 10}]
PLAN = {"sourceWarehouse": "NORTH", "targetWarehouse": "SOUTH", "lines": LINES}


def test_a_transfer_from_plan_to_arrival(api, north, south, bolts):
    client = api(make.make_partner(kind="logistics"))
    answer = client.post("/transfers", PLAN | {"expectedDate": "2080-05-01", "reference": "R"})
    body = answer.json()
    assert (answer.status_code, answer["Location"]) == (201, f"/api/v1/transfers/{body['transferId']}")
    assert body["lines"] == [
        {
            "productId": "BOLT", "batchNumber": None, "quantity": 10, "dispatchedQuantity": 0, "arrivedQuantity": 0,
            "lostQuantity": 0, "onTheRoad": 0,
        }
    ]  # fmt: skip
    assert (body["status"], body["expectedDate"], body["reference"], body["version"]) == (
        "planned", "2080-05-01", "R", 1,
    )  # fmt: skip
    path = f"/transfers/{body['transferId']}"
    dispatched = client.post(f"{path}/dispatch")
    assert (dispatched.status_code, dispatched["ETag"], dispatched.json()["lines"][0]["onTheRoad"]) == (200, '"2"', 10)
    part = client.post(f"{path}/arrive", {"lines": [{"productId": "BOLT", "quantity": 4}]}).json()
    assert (part["status"], part["lines"][0]["onTheRoad"], part["arrivedAt"]) == ("dispatched", 6, None)
    rest = client.post(f"{path}/arrive").json()
    assert (rest["status"], rest["lines"][0]["arrivedQuantity"]) == ("arrived", 10)
    again = client.post(f"{path}/arrive")
    assert (again.status_code, again.json()["code"], again.json()["currentStatus"]) == (409, "illegal_step", "arrived")
    assert client.get(path, headers={"If-None-Match": '"4"'}).status_code == 304
    assert [row["transferId"] for row in client.get("/transfers?status=arrived").json()["items"]] == [
        body["transferId"]
    ]
    assert client.get("/transfers?status=planned").json()["items"] == []
    assert proves()


def test_a_retry_of_an_arrival_is_one_arrival(api, north, south, bolts):
    client = api(make.make_partner(kind="logistics"))
    path = f"/transfers/{sent(north, south, (bolts, 10, '')).number}/arrive"
    came = {"lines": [{"productId": "BOLT", "quantity": 4}]}
    answers = [client.post(path, came, headers={"Idempotency-Key": "dock"}) for _ in range(3)]
    assert {answer.content for answer in answers} == {answers[0].content}
    assert (on_hand(south, bolts), in_transit()) == (4, 6)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"sourceWarehouse": "NOWHERE"}, "sourceWarehouse"),
        ({"targetWarehouse": "NORTH"}, "targetWarehouse"),
        ({"lines": []}, "lines"),
        ({"lines": [{"productId": "NONE", "quantity": 1}]}, "lines[0].productId"),
        ({"lines": [{"productId": "BOLT", "quantity": 0}]}, "lines[0].quantity"),
        ({"lines": [{"productId": "BOLT", "quantity": 1, "batchNumber": "X"}]}, "lines[0].batchNumber"),
        ({"expectedDate": "soon"}, "expectedDate"),
    ],
)
def test_a_plan_that_cannot_be_understood_names_the_field(api, north, south, bolts, change, field):
    answer = api(make.make_partner(kind="logistics")).post("/transfers", PLAN | change)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert Transfer.objects.count() == 0


@pytest.mark.parametrize(
    ("granted", "plan", "see", "dispatch", "arrive"),
    [
        (["NORTH", "SOUTH"], 201, 200, 200, 200),
        (["NORTH"], 422, 200, 403, 403),
        (["SOUTH"], 422, 200, 403, 200),
        (["ELSEWHERE"], 422, 404, 404, 404),
    ],
)
def test_who_is_granted_what_may_do_what(api, north, south, bolts, granted, plan, see, dispatch, arrive):
    client = api(make.make_partner(kind="logistics", granted_warehouses=granted))
    assert client.post("/transfers", PLAN).status_code == plan
    waiting, travelling = planned(north, south, (bolts, 1, "")), sent(north, south, (bolts, 1, ""))
    assert client.get(f"/transfers/{waiting.number}").status_code == see
    assert client.post(f"/transfers/{waiting.number}/dispatch").status_code == dispatch
    assert client.post(f"/transfers/{planned(north, south, (bolts, 1, '')).number}/cancel").status_code == dispatch
    assert client.post(f"/transfers/{travelling.number}/arrive").status_code == arrive


def test_a_supplier_sends_and_sees_only_what_is_in_its_assortment(api, north, south, bolts, supplier):
    mine = make.make_variant(sku="MINE", suppliers=[supplier])
    make.make_level(variant=mine, warehouse=north)
    client = api(supplier)
    assert client.post("/transfers", PLAN).json()["errors"][0]["field"] == "lines[0].productId"
    both = planned(north, south, (bolts, 1, ""), (mine, 1, ""))
    assert client.get(f"/transfers/{both.number}").status_code == 404
    body = client.post("/transfers", PLAN | {"lines": [{"productId": "MINE", "quantity": 1}]}).json()
    assert [row["transferId"] for row in client.get("/transfers").json()["items"]] == [body["transferId"]]


def test_who_is_not_told_quantities_exactly_sees_no_transfers(api, north, south, bolts):
    transfer = planned(north, south, (bolts, 1, ""))
    client = api(make.make_partner(disclosure="yesNo"))
    assert client.get("/transfers").json()["items"] == []
    assert client.get(f"/transfers/{transfer.number}").status_code == 404
    refused = client.post("/transfers", PLAN)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "sourceWarehouse")
    assert Transfer.objects.count() == 1


def test_a_page_of_transfers_costs_the_same_few_queries_however_long(
    api, north, south, bolts, django_assert_num_queries
):
    client = api(make.make_partner(kind="logistics"))
    for _ in range(12):
        planned(north, south, (bolts, 1, ""), (bolts, 2, ""))
    client.get("/transfers")
    with django_assert_num_queries(3):
        assert len(client.get("/transfers").json()["items"]) == 12
