"""manage.py verify_ledger: prove the stock book and its seals, or name the first difference."""

import json
import re
import sys
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from stock import proof, seals


class Command(BaseCommand):
    help = (
        "Proves that levels equal the ledger, reserved equals the open allocations, and no sealed movement was changed. "
        "Finds, never repairs; exit code 1 when there is any difference."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
        parser.add_argument("--root", default="", help="a root kept outside, 64 hex digits: it must be in the chain")

    def handle(self, *args: Any, **options: Any) -> None:
        root = options["root"].strip().lower()
        if root and not re.fullmatch("[0-9a-f]{64}", root):
            raise CommandError("--root takes the 64 hex digits that seal_ledger or verify_ledger printed.")
        began = time.monotonic()
        expected = proof.expected_movements()
        with proof.one_snapshot():
            with tqdm(desc="levels", total=expected, unit=" movements", disable=None) as bar:
                book = proof.prove_ledger(progress=bar.update)
            book_seconds = time.monotonic() - began
            with tqdm(desc="seals", total=book.movements, unit=" movements", disable=None) as bar:
                sealed = seals.prove_seals(root=root, progress=bar.update)
        seal_seconds = time.monotonic() - began - book_seconds
        differences = book.differences + sealed.differences
        if options["json"]:
            result = {
                "ok": not differences,
                "movements": book.movements,
                "levels": book.levels,
                "movementsPerSecond": round(book.movements / book_seconds),
                "sealed": sealed.sealed,
                "unsealed": sealed.unsealed,
                "newestRoot": sealed.newest_root or None,
                "firstDifference": differences[0] if differences else None,
                "differences": differences,
            }
            self.stdout.write(json.dumps(result))
        else:
            self.stdout.write(
                f"{book.movements:,} movements, {book.levels:,} levels:"
                f" {book_seconds:.1f} s, {book.movements / book_seconds:,.0f} movements a second."
            )
            self.stdout.write(
                f"{sealed.sealed:,} sealed in {sealed.blocks:,} blocks, {sealed.unsealed:,} not yet: {seal_seconds:.1f} s."
            )
            if sealed.newest_root:
                self.stdout.write(f"The newest root is {sealed.newest_root}; keep it outside.")
            for difference in differences:
                self.stderr.write(difference)
            self.stdout.write("The book disagrees with itself." if differences else "The book is right.")
        if differences:
            sys.exit(1)
