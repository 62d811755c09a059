from catalog.models.catalog_import import CatalogImport, CatalogImportRow
from catalog.models.compliance import RegulatoryNote
from catalog.models.equivalent import Equivalent
from catalog.models.fitment import Fitment
from catalog.models.identifier import Identifier
from catalog.models.interchange import InterchangeGroup, InterchangeMember
from catalog.models.kit import KitComponent
from catalog.models.price import Price, PriceList
from catalog.models.product import Pack, ProductType, SupplierItem, Variant, WarrantyPer
from catalog.models.schema import ProductTypeSchema
from catalog.models.search import SearchVehicle, SearchWord
from catalog.models.vehicle import Vehicle, VehicleAlias

__all__ = [
    "CatalogImport",
    "CatalogImportRow",
    "Equivalent",
    "Fitment",
    "Identifier",
    "InterchangeGroup",
    "InterchangeMember",
    "KitComponent",
    "Pack",
    "Price",
    "PriceList",
    "ProductType",
    "ProductTypeSchema",
    "RegulatoryNote",
    "SearchVehicle",
    "SearchWord",
    "SupplierItem",
    "Variant",
    "Vehicle",
    "VehicleAlias",
    "WarrantyPer",
]
