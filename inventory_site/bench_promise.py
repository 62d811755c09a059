# ruff: noqa: S311  (chance that needs no secrecy)
"""Delivery dates of carts of ten lines over all warehouses, beside availability of the same products alone, by the
slowest of twenty."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from django.utils import timezone

from catalog.models import Variant
from inventory_site import bench_fitment
from orders.network import Destination
from orders.operations import delivering
from orders.operations.delivering import Wanted
from partners.models import Partner
from stock import availability
from stock.availability import Asker

LINES = 10
PARTNER = "BENCH-PROMISE"
THERE = Destination.of("US", "38103")


def ask(seconds: float) -> float:
    """Carts dated a second by one asker, were each as slow as the slowest of twenty."""
    partner = asker()

    def once(cart: Sequence[Variant]) -> None:
        now = timezone.now()
        wanted = [Wanted(variant=variant, quantity=1) for variant in cart]
        delivering.work_out(wanted=wanted, destination=THERE, partner=partner, at=now, now=now)

    return 1 / p95(seconds, once)


def look(seconds: float) -> float:
    """The same carts' availability a second, without dates."""
    partner = asker()

    def once(cart: Sequence[Variant]) -> None:
        asks = Asker(partner=partner, channel="", at=timezone.now())
        availability.available(variant_ids=[variant.pk for variant in cart], asker=asks)

    return 1 / p95(seconds, once)


def asker() -> Partner:
    return Partner.objects.get_or_create(code=PARTNER, defaults={"name": PARTNER, "kind": Partner.Kind.RETAILER})[0]


def p95(seconds: float, once: Callable[[Sequence[Variant]], object]) -> float:
    """How long the slowest of twenty carts takes, in seconds."""
    variants = list(Variant.objects.stocked().order_by("id")[:1_000])

    def cart(chance: random.Random) -> list[Variant]:
        return chance.sample(variants, LINES)

    once(cart(random.Random(0)))  # what is prepared and read once is not measured
    return bench_fitment.p95(seconds, cart, once)
