"""manage.py load_stock: a file of counted stock becomes levels."""

from pathlib import Path

from django.utils import timezone

from partners import loading
from partners.actors import Actor
from partners.load_command import LoadCommand
from stock.operations.imports import StockFile


class Command(LoadCommand):
    help = (
        "Sets levels from CSV, XLSX or JSON lines with the columns productId, warehouseLocation, inventoryLevel "
        "(or quantity), batchNumber, expirationDate, reason. A row states what lies there, so loading a file twice "
        "changes nothing. Good rows are applied, refused rows listed; exit code 1 when there is any."
    )

    def loader(self, path: Path, actor: Actor) -> loading.Loader:
        return StockFile(actor=actor, at=timezone.now())
