"""manage.py seal_ledger: seal what was booked since the last seal."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from tqdm import tqdm

from stock import seals
from stock.operations import sealing


class Command(BaseCommand):
    help = "Seals all movements that are not sealed yet and prints the newest root, to be kept outside."

    def handle(self, *args: Any, **options: Any) -> None:
        with tqdm(unit=" rows", disable=None) as bar:
            sealed = sealing.seal(at=timezone.now(), progress=bar.update)
        if sealed is None:
            raise CommandError("Another sealer is at work, or a transaction went on writing. Try again.")
        self.stdout.write(f"{sealed:,} movements sealed. The newest root is {seals.newest_root()}.")
