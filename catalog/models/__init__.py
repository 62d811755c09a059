from catalog.models.fitment import Fitment
from catalog.models.product import Pack, ProductType, SupplierItem, Variant

__all__ = ["Fitment", "Pack", "ProductType", "SupplierItem", "Variant"]
