from catalog.models.equivalent import Equivalent
from catalog.models.fitment import Fitment
from catalog.models.kit import KitComponent
from catalog.models.product import Pack, ProductType, SupplierItem, Variant

__all__ = ["Equivalent", "Fitment", "KitComponent", "Pack", "ProductType", "SupplierItem", "Variant"]
