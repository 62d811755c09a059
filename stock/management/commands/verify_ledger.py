"""manage.py verify_ledger: prove the stock book, or name the first difference."""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from stock import queries


class Command(BaseCommand):
    help = "Proves that levels equal the ledger and reserved equals the open allocations. Finds, never repairs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the result as one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        proof = queries.prove_ledger()
        if options["json"]:
            first = proof.differences[0] if proof.differences else None
            result = {
                "ok": not proof.differences,
                "movements": proof.movements,
                "levels": proof.levels,
                "firstDifference": first,
                "differences": proof.differences,
            }
            self.stdout.write(json.dumps(result))
        else:
            self.stdout.write(f"{proof.movements:,} movements, {proof.levels:,} levels.")
            for difference in proof.differences:
                self.stderr.write(difference)
            self.stdout.write("The book disagrees with itself." if proof.differences else "The book is right.")
        if proof.differences:
            sys.exit(1)
