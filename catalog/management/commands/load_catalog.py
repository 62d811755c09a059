"""manage.py load_catalog: a file of products, or of fitments, becomes the catalog."""

from pathlib import Path

from catalog.operations import imports
from partners import loading
from partners.actors import Actor
from partners.load_command import LoadCommand


class Command(LoadCommand):
    help = (
        "Creates and revises products from CSV, XLSX or JSON lines with the columns productId, name, brand, "
        "productType, parentId, gtin, tracking, shelfLifeDays, warrantyMonths, unit, status, supplierId, supplierCode, "
        "attributes.<name>; or fitments with productId, make, model, yearFrom, yearTo, engine, position, quantity, "
        "note. Good rows are applied, refused rows listed; exit code 1 when there is any."
    )

    def loader(self, path: Path, actor: Actor) -> loading.Loader:
        return imports.loader_for(path, actor=actor)
