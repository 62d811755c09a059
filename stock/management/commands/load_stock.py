"""manage.py load_stock: a file of counted stock becomes levels."""

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from tqdm import tqdm

from partners import actors, files
from stock.operations import imports


class Command(BaseCommand):
    help = (
        "Sets levels from CSV, XLSX or JSON lines with the columns productId, warehouseLocation, inventoryLevel "
        "(or quantity), batchNumber, expirationDate, reason. A row states what lies there, so loading a file twice "
        "changes nothing. Good rows are applied, refused rows listed; exit code 1 when there is any."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--check", action="store_true", help="change nothing, say what would happen")
        parser.add_argument("--encoding", default="utf-8-sig", help="of a text file that is not UTF-8, e.g. cp1252")

    def handle(self, *args: Any, **options: Any) -> None:
        actor = actors.job("load_stock")
        with actors.acting(actor), tqdm(unit=" rows", disable=None) as bar:
            try:
                report = imports.load(
                    options["file"],
                    actor=actor,
                    at=timezone.now(),
                    is_check=options["check"],
                    encoding=options["encoding"],
                    progress=bar.update,
                )
            except (files.Unreadable, LookupError) as error:
                raise CommandError(str(error)) from error
        for refusal in report.refused:
            self.stderr.write(refusal)
        if report.opened:
            self.stdout.write(f"opened warehouses {', '.join(report.opened)} (time zone UTC; set it in the admin)")
        if report.ignored:
            self.stdout.write(f"ignored columns {', '.join(report.ignored)}")
        refused = len({line.split(":")[0] for line in report.refused})
        verb = "would change" if options["check"] else "changed"
        self.stdout.write(f"{verb} {report.changed}, unchanged {report.unchanged}, refused {refused}")
        if report.refused:
            sys.exit(1)
