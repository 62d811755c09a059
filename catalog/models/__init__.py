from catalog.models.fitment import Fitment
from catalog.models.kit import KitComponent
from catalog.models.product import Pack, ProductType, SupplierItem, Variant

__all__ = ["Fitment", "KitComponent", "Pack", "ProductType", "SupplierItem", "Variant"]
