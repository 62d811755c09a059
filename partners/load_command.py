"""What `load_catalog` and `load_stock` have in common: their options, their progress and their report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from partners import actors, files, loading
from partners.actors import Actor


class LoadCommand(BaseCommand):
    """Exit code 1 when any row is refused; the good rows are applied all the same."""

    def loader(self, path: Path, actor: Actor) -> loading.Loader:
        raise NotImplementedError

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="CSV, XLSX or JSON lines (.jsonl); a catalog also as ACES or PIES")
        parser.add_argument("--check", action="store_true", help="change nothing, say what would happen")
        parser.add_argument("--encoding", default="utf-8-sig", help="of a text file that is not UTF-8, e.g. cp1252")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        actor = actors.job(self.__module__.rsplit(".", 1)[-1])
        try:
            with actors.acting(actor), tqdm(unit=" rows", disable=None) as bar:
                report = self.loader(path, actor).load(
                    path, is_check=options["check"], encoding=options["encoding"], progress=bar.update
                )
        except (files.Unreadable, LookupError) as error:
            raise CommandError(str(error)) from error
        for refusal in report.refusals:
            self.stderr.write(refusal)
        for note in report.notes:
            self.stdout.write(note)
        if report.ignored:
            self.stdout.write(f"ignored columns: {', '.join(report.ignored)}")
        counts = ", ".join(f"{outcome} {count}" for outcome, count in sorted(report.outcomes.items()))
        self.stdout.write(("would be: " if options["check"] else "") + (counts or "no rows"))
        if report.refusals:
            sys.exit(1)
