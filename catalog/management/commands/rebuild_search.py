"""manage.py rebuild_search: what products are found by, made anew."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from catalog.operations import searching


class Command(BaseCommand):
    help = (
        "Computes again what products are found by and forgets words no product uses any more. Run it with --indexes "
        "after an upgrade of PostgreSQL to another major version; nothing else makes documents differ."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--indexes", action="store_true", help="make the indexes over folded words anew, too")

    def handle(self, *args: Any, **options: Any) -> None:
        done = searching.rebuild(indexes=options["indexes"])
        self.stdout.write(
            f"{done.documents:,} documents mended; {done.words:,} words and {done.vehicles_forgotten:,} vehicles "
            f"forgotten, {done.vehicles_learnt:,} vehicles learnt."
        )
