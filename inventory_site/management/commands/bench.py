"""manage.py bench: how fast we are beside what PostgreSQL gives without us."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from inventory_site import bench


class Command(BaseCommand):
    help = (
        "Measures the stock engine beside the bare database, ratios first. Makes databases of its own beside the one "
        "it is given (<name>_bench, kept for the next run), so it needs the right to create them; a full first run "
        "takes some ten minutes and 5 GB."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--quick", action="store_true", help="on a small stock, to see that it runs")
        parser.add_argument("--seconds", type=float, default=5, help="how long each turn lasts")
        parser.add_argument("--turns", type=int, default=5, help="how many turns each measure takes")
        parser.add_argument("--only", nargs="*", default=[], help="only measures with one of these words in their name")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        say = self.stderr.write if options["json"] else self.stdout.write
        figures = []
        try:
            for figure in bench.run(
                size=bench.QUICK if options["quick"] else bench.FULL, seconds=options["seconds"], turns=options["turns"],
                only=options["only"], say=say,
            ):  # fmt: skip
                figures.append(figure)
                say(
                    f"{figure.ratio:7.2f} ×  {figure.name}: {figure.ours:,.0f}/s,"
                    f" {figure.beside} {figure.other:,.0f}/s (reach {figure.reach})"
                )
        except RuntimeError as problem:
            raise CommandError(str(problem)) from problem
        if options["json"]:
            self.stdout.write(json.dumps([vars(figure) for figure in figures], indent=2))
