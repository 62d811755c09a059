"""manage.py make_stock: a large made-up stock book, to measure with."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.utils import timezone

from stock import made_up


class Command(BaseCommand):
    help = (
        "Fills an empty database with made-up products, warehouses, batches, levels, movements and reservations that "
        "add up. Refuses where there are movements already; a failure leaves nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--variants", type=int, default=100_000)
        parser.add_argument("--warehouses", type=int, default=20)
        parser.add_argument("--levels", type=int, default=1_000_000)
        parser.add_argument("--movements", type=int, default=10_000_000)
        parser.add_argument("--seed", type=int, default=1, help="another number makes another stock")

    def handle(self, *args: Any, **options: Any) -> None:
        amounts = {name: options[name] for name in ("variants", "warehouses", "levels", "movements")}
        if min(amounts.values()) < 1:
            raise CommandError("Every amount is at least 1.")
        began = time.monotonic()

        def say(step: str) -> None:
            self.stdout.write(f"{time.monotonic() - began:6.1f} s  {step}")
            self.stdout.flush()

        try:
            made_up.fill(**amounts, seed=options["seed"], at=timezone.now(), say=say)
        except made_up.NotEmpty as refusal:
            raise CommandError(str(refusal)) from refusal
        if not connection.in_atomic_block:
            with connection.cursor() as cursor:
                cursor.execute("VACUUM stock_movement, stock_level")  # else the first readers do its work
        say("Done.")
