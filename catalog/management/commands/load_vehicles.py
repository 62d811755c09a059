"""manage.py load_vehicles: lists of the vehicles there are become known, and their names' likenesses suggested."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from catalog import vehicle_files
from catalog.operations import vehicles
from catalog.vehicle_files import Known
from partners import actors, files

SOURCE_CHARACTERS_MAX = 40


class Command(BaseCommand):
    help = (
        "Takes in the vehicles of CSV files, also gzipped: EPA's list (make, model, year, cyl, displ, fuel), US car "
        "models (year, make, model, body_styles), or any list with make, model, year and perhaps engine, "
        "baseVehicleId. Each source keeps its spelling; likenesses of names become suggestions for staff. Good rows "
        "are taken, refused rows listed; exit code 1 when there is any."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="+", type=Path)
        parser.add_argument("--source", help="who says so; the file's name when not given")

    def handle(self, *args: Any, **options: Any) -> None:
        actor = actors.job("load_vehicles")
        self.refused = 0
        for path in options["files"]:
            source = (options["source"] or path.name.split(".")[0])[:SOURCE_CHARACTERS_MAX]
            try:
                with tqdm(unit=" rows", disable=None) as bar:
                    done = vehicles.load(vehicles=self.good(path, bar), source=source, actor=actor)
            except files.Unreadable as error:
                raise CommandError(f"{path.name}: {error}") from error
            self.stdout.write(
                f"{path.name}: created {done.created:,}, changed {done.changed:,}, unchanged {done.unchanged:,}"
            )
        named, suggested = vehicles.name_fitments(actor=actor), vehicles.suggest_aliases(actor=actor)
        self.stdout.write(f"fitments named {named:,}, aliases suggested {suggested:,}")
        if self.refused:
            sys.exit(1)

    def good(self, path: Path, bar: Any) -> Iterator[Known]:
        for known in vehicle_files.read(path):
            bar.update()
            if known.fault:
                self.refused += 1
                self.stderr.write(f"{path.name}: row {known.row}: {known.fault}")
            else:
                yield known
