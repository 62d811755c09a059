"""manage.py load_places: postal codes and cities are put on the map, so that distances are known."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from orders import place_files
from orders.operations import places
from orders.place_files import Known
from partners import actors, files


class Command(BaseCommand):
    help = (
        "Takes in CSV files, also gzipped, of postal codes (lat, lon, zipCode; or zip, city, state, country, latitude, "
        "longitude) or of cities (name, latitude, longitude, countrycode, population). Good rows are taken, refused "
        "rows listed; exit code 1 when there is any. Loading a file twice changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="+", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        self.refused = 0
        for path in options["files"]:
            try:
                with tqdm(unit=" rows", disable=None) as bar:
                    new, known = places.load(places=self.good(path, bar), actor=actors.job("load_places"))
            except files.Unreadable as error:
                raise CommandError(f"{path.name}: {error}") from error
            self.stdout.write(f"{path.name}: created {new:,}, known already {known:,}")
        if self.refused:
            sys.exit(1)

    def good(self, path: Path, bar: Any) -> Iterator[Known]:
        for known in place_files.read(path):
            bar.update()
            if known.fault:
                self.refused += 1
                self.stderr.write(f"{path.name}: row {known.row}: {known.fault}")
            else:
                yield known
