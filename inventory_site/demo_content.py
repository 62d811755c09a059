"""The demo's content: real products, invented companies, and sixty days of a warehouse's life.

Everything is done by the operations people and partners use, dated back, so that the ledger, the levels and
the feed are what they would be. The same seed makes the same sixty days.
"""

from __future__ import annotations

import contextlib
import csv
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.contrib.auth.models import Group, User
from django.db import transaction
from django.utils import timezone

from catalog.models import Variant
from catalog.operations import imports
from inventory_site import demo_access, demo_buying, roles
from orders import place_files
from orders.models import Order, OrderLine, SsccSeries
from orders.operations import fulfilment, ordering, places, returning
from orders.operations.fulfilment import Leaving
from orders.operations.judging import Verdict
from orders.operations.ordering import Asked
from orders.operations.returnable import ComingBack
from partners import actors
from partners.models import Partner
from partners.operations import feed, partners
from stock import queries
from stock.models import Batch, Warehouse
from stock.operations import holds, movements, reservations, warehouses
from stock.operations.promising import InsufficientStock, Wanted

ACTOR = actors.job("demo")
DATA = Path(__file__).parent / "demo_data"
DAYS = 60
RETAILERS = ("RET-HEARTLAND", "RET-BELLAMY", "MKT-BRIGHTCART")
PEOPLE = (("Administrator", "admin"), ("Warehouse", "wanda"), ("Merchandising", "mel"), ("Auditor", "ada"))


def load(report: Callable[[str], None]) -> None:
    """Into an empty database; `report` is called with the name of each step as it begins."""
    today = timezone.now().replace(minute=0, second=0, microsecond=0)
    with actors.acting(ACTOR):
        report("Staff and partners")
        add_people()
        add_partners()
        report("Warehouses and products")
        add_warehouses()
        for name in ("products.csv", "fitments.csv"):
            imports.loader_for(DATA / name, actor=ACTOR).load(DATA / name)
        demo_buying.price(actor=ACTOR)
        places.load(places=place_files.read(DATA / "postal_codes.csv"), actor=ACTOR)
        report("Opening stock")
        receive_opening_stock(today - timedelta(days=DAYS))
        report(f"{DAYS} days of orders, shipments and returns")
        live(today)
        report("Purchase orders and receipts")
        demo_buying.buy(today, actor=ACTOR)
        while feed.relay_events():
            pass


def access() -> demo_access.DemoAccess:
    own = Variant.objects.filter(supplier_items__supplier__code="SUP-HEATHOUSE", sku__startswith="SAUCE")
    offers = queries.candidates(variant_ids=own.values_list("pk", flat=True), partner=None, at=timezone.now())
    best = max(offers, key=lambda offer: offer.available, default=None)
    variant = own.filter(pk=best.variant_id).first() if best else None
    with demo_access.cabinet() as cabinet:
        return demo_access.DemoAccess(
            people=[cabinet.person(role=role, username=name) for role, name in PEOPLE],
            retailer=cabinet.client(code="RET-HEARTLAND", actor=ACTOR),
            supplier=cabinet.client(code="SUP-HEATHOUSE", actor=ACTOR),
            supplier_id="SUP-HEATHOUSE",
            product_id=variant.sku if variant else "SAUCE",
        )


def rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def add_people() -> None:
    roles.ensure_roles()
    for role, name in PEOPLE:
        user = User.objects.create_user(name, f"{name}@example.test", is_staff=True, is_superuser=name == "admin")
        if name != "admin":
            user.groups.add(Group.objects.get(name=role))


def add_partners() -> None:
    for row in rows("partners.csv"):
        partners.onboard(
            code=row["code"], name=row["name"], kind=row["kind"], contact_email=row["contactEmail"], gln=row["gln"],
            actor=ACTOR,
        )  # fmt: skip


def add_warehouses() -> None:
    for row in rows("warehouses.csv"):
        warehouses.open_warehouse(
            code=row["code"],
            name=row["name"],
            street=row["street"],
            city=row["city"],
            region=row["region"],
            postal_code=row["postalCode"],
            country=row["country"],
            latitude=Decimal(row["latitude"]).quantize(Decimal("0.000001")),
            longitude=Decimal(row["longitude"]).quantize(Decimal("0.000001")),
            time_zone=row["timeZone"],
            gln=row["gln"],
            operator=Partner.objects.filter(code=row["operator"]).first(),
            actor=ACTOR,
        )
    # 952 is what GS1 keeps for demonstrations: no package in the world has such a number.
    SsccSeries.objects.create(company_prefix="9521234")


@transaction.atomic
def receive_opening_stock(first_day: datetime) -> None:
    by_code = {warehouse.code: warehouse for warehouse in Warehouse.objects.all()}
    variants = {variant.sku: variant for variant in Variant.objects.all()}
    for row in rows("stock.csv"):
        expires_on = (first_day + timedelta(days=int(row["expirationDays"]))).date() if row["expirationDays"] else None
        booked = movements.book(
            kind="receipt",
            variant=variants[row["productId"]],
            warehouse=by_code[row["warehouseLocation"]],
            quantity=int(row["quantity"]),
            batch_number=row["batchNumber"],
            expires_on=expires_on,
            reason="opening stock",
            actor=ACTOR,
            at=first_day,
        )
        if booked.batch and row["holdState"]:
            hold = holds.recall_batch if row["holdState"] == Batch.HoldState.RECALLED else holds.quarantine_batch
            hold(batch=booked.batch, reason="opening stock", actor=ACTOR, at=first_day)


def live(today: datetime) -> None:
    """Each day some partners order, some goods are received, some are found damaged; later days ship and return."""
    chance = random.Random(20_26)  # noqa: S311  the same days each time
    stocked = list(Variant.objects.stocked().filter(levels__on_hand__gt=20).distinct().order_by("sku"))
    addresses = rows("postal_codes.csv")
    buyers = list(Partner.objects.filter(code__in=RETAILERS).order_by("code"))
    for days_ago in range(DAYS - 1, -1, -1):
        morning = today - timedelta(days=days_ago)
        with transaction.atomic():
            for turn in range(chance.randint(1, 3)):
                place_order(
                    chance, buyers, stocked, addresses, at=morning + timedelta(minutes=7 * turn), days_ago=days_ago
                )
            replenish(chance, stocked, at=morning)
    hold(chance, buyers, stocked, at=today)


def place_order(
    chance: random.Random, buyers: list[Partner], stocked: list[Variant], addresses: list[dict[str, str]], *,
    at: datetime, days_ago: int,
) -> None:  # fmt: skip
    chosen = chance.sample(stocked, chance.randint(1, 4))
    address = chance.choice(addresses)
    asked = [
        Asked(line_id=str(number), variant=variant, quantity=chance.randint(1, 12))
        for number, variant in enumerate(chosen, start=1)
    ]
    try:
        order, _ = ordering.place(
            partner=chance.choice(buyers),
            external_reference=f"PO-{chance.randrange(10**9):09}",
            asked=asked,
            ship_to={
                "name": f"Store {chance.randint(1, 80)}",
                "city": address["city"],
                "region": address["region"],
                "postalCode": address["postalCode"],
                "country": address["country"],
            },
            actor=ACTOR,
            at=at,
        )
        if days_ago == 0:
            return
        ordering.confirm(order=order, actor=ACTOR, at=at + timedelta(minutes=20))
        if days_ago > 1:
            ship_all(chance, order, at=at + timedelta(hours=3), is_old=days_ago > 4)
    except InsufficientStock:
        return  # not enough of it that day: the shop moves on


def ship_all(chance: random.Random, order: Order, *, at: datetime, is_old: bool) -> None:
    """Every line leaves from where it is promised; older orders have arrived, a few came back in part."""
    by_place: dict[Warehouse, list[Leaving]] = {}
    lines = order.lines.select_related("variant", "reservation_line__variant")
    for line in lines.prefetch_related("reservation_line__allocations__level__location__warehouse"):
        for kept in line.reservation_line.allocations.all() if line.reservation_line else []:
            if place := kept.level.location.warehouse:
                by_place.setdefault(place, []).append(Leaving(line=line, quantity=kept.quantity))
    for warehouse, leaving in by_place.items():
        tracking = f"1Z{chance.randrange(10**12):012}"
        shipment = fulfilment.ship(
            order=order, warehouse=warehouse, leaving=leaving, carrier=chance.choice(["UPS", "DHL", "FedEx"]),
            tracking_number=tracking, actor=ACTOR, at=at,
        )  # fmt: skip
        if is_old:
            fulfilment.deliver(shipment=shipment, actor=ACTOR, at=at + timedelta(days=2))
    if is_old and chance.random() < 0.12:
        take_back(chance, order, at=at + timedelta(days=3))


def take_back(chance: random.Random, order: Order, *, at: datetime) -> None:
    line: OrderLine = order.lines.select_related("variant").order_by("id")[0]
    shipment: Any = order.shipments.select_related("warehouse").order_by("id").first()
    returned = returning.announce(
        order=order,
        coming=[ComingBack(line=line, quantity=1, reason=chance.choice(["wrong item", "damaged box", "not wanted"]))],
        actor=ACTOR,
        at=at,
    )
    returning.receive(returned=returned, warehouse=shipment.warehouse, actor=ACTOR, at=at)
    if chance.random() < 0.7:
        verdict = Verdict(sku=line.variant.sku, disposition=chance.choice(["quarantine", "damaged", "scrap"]))
        returning.inspect(returned=returned, verdicts=[verdict], actor=ACTOR, at=at)


def replenish(chance: random.Random, stocked: list[Variant], *, at: datetime) -> None:
    for variant in chance.sample(stocked, 3):
        level = variant.levels.select_related("location__warehouse", "batch").filter(condition="sellable").first()
        if level is None or level.location.warehouse is None:
            continue
        number = level.batch.number if level.batch else ""
        movements.book(
            kind="receipt", variant=variant, warehouse=level.location.warehouse, quantity=chance.randint(12, 60),
            batch_number=number, reason="replenishment", actor=ACTOR, at=at,
        )  # fmt: skip
        if chance.random() < 0.15:
            movements.book(
                kind="damage", variant=variant, warehouse=level.location.warehouse, quantity=chance.randint(1, 3),
                batch_number=number, reason="broken in handling", actor=ACTOR, at=at + timedelta(hours=1),
            )  # fmt: skip


def hold(chance: random.Random, buyers: list[Partner], stocked: list[Variant], *, at: datetime) -> None:
    """A few carts are being filled right now."""
    for number, variant in enumerate(chance.sample(stocked, 4), start=1):
        with contextlib.suppress(InsufficientStock):
            reservations.reserve(
                reference=f"cart-{number}", wanted=[Wanted(variant=variant, quantity=2)], partner=buyers[0],
                seconds=1_800, channel="web", actor=ACTOR, at=at,
            )  # fmt: skip
