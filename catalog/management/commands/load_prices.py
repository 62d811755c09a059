"""manage.py load_prices: a file of prices becomes the price lists."""

from pathlib import Path

from django.utils import timezone

from catalog.operations.price_files import PriceFile
from partners import loading
from partners.actors import Actor
from partners.load_command import LoadCommand


class Command(LoadCommand):
    help = (
        "Sets prices from CSV, XLSX or JSON lines with the columns priceList, productId, fromQuantity, amount, "
        "currency, validFrom, validUntil. A price that begins later ends the one before it. Good rows are applied, "
        "refused rows listed; exit code 1 when there is any."
    )

    def loader(self, path: Path, actor: Actor) -> loading.Loader:
        return PriceFile(actor=actor, at=timezone.now())
