"""manage.py index_attributes: an index for each number partners may ask for from and to."""

from typing import Any

from django.core.management.base import BaseCommand

from catalog.operations import ranges


class Command(BaseCommand):
    help = (
        "Makes an index for each attribute a type's newest schema declares as a number with x-filter, and drops those "
        "no longer declared; without stopping readers or writers. The worker does the same after schemas changed and every "
        "hour; twice changes nothing."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        made, dropped = ranges.index_ranges(progress=self.stdout.write)
        self.stdout.write(f"made {made}, dropped {dropped}")
