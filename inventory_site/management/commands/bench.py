"""manage.py bench: how fast we are beside what PostgreSQL gives without us."""

import json
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from inventory_site import bench, bench_http, bench_imports, bench_pages, bench_search


class Command(BaseCommand):
    help = (
        "Measures search, imports, HTTP and the stock engine beside the bare database, ratios first. Makes databases of its own beside the one "
        "it is given (<name>_bench, kept for the next run), so it needs the right to create them; a full first run "
        "takes some ten minutes and 5 GB."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--quick", action="store_true", help="on a small stock, to see that it runs")
        parser.add_argument("--seconds", type=float, default=5, help="how long each turn lasts")
        parser.add_argument("--turns", type=int, default=5, help="how many turns each measure takes")
        parser.add_argument("--only", nargs="*", default=[], help="only measures with one of these words in their name")
        parser.add_argument("--json", action="store_true")

    def measures(
        self, *, quick: bool, seconds: float, turns: int, only: list[str], say: Any, **_: Any
    ) -> Iterator[bench.Figure]:
        """Search, imports, pages, HTTP, and the stock engine, unless others alone are wanted: its ground takes long."""
        products = 2_000 if quick else bench_search.VARIANTS
        yield from bench_search.run(turns=turns, only=only, say=say, variants=products)
        yield from bench_imports.run(turns=turns, only=only, say=say, count=products)
        yield from bench_pages.run(only=only, say=say, variants=products)
        size = bench.QUICK if quick else bench.FULL
        yield from bench_http.run(size=size, seconds=seconds, turns=turns, only=only, say=say)
        if only and all(word.startswith(("search", "import", "queries", "http")) for word in only):
            return
        yield from bench.run(size=size, seconds=seconds, turns=turns, only=only, say=say)

    def handle(self, *args: Any, **options: Any) -> None:
        say = self.stderr.write if options["json"] else self.stdout.write
        figures = []
        try:
            for figure in self.measures(**options, say=say):
                figures.append(figure)
                say(
                    f"{figure.ratio:7.2f} ×  {figure.name}: {figure.ours:,.0f}{figure.unit},"
                    f" {figure.beside} {figure.other:,.0f}{figure.unit} (reach {figure.reach})"
                )
        except RuntimeError as problem:
            raise CommandError(str(problem)) from problem
        if options["json"]:
            self.stdout.write(json.dumps([vars(figure) for figure in figures], indent=2))
