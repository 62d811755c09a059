from orders.models.notice import AdvanceShipNotice, NoticeLine, NoticePackage
from orders.models.order import Order, OrderLine
from orders.models.promise import DeliveryPromise, PromisedLoad
from orders.models.purchase import PurchaseOrder, PurchaseOrderLine, SupplierTerms
from orders.models.receipt import LandedCharge, LandedShare, Receipt, ReceiptLine
from orders.models.request import FulfilmentItem, FulfilmentRequest, Stamp, WarehouseClock
from orders.models.returns import Return, ReturnLine
from orders.models.sale import FoundAtSale, Sale, SalesBatch, SalesDevice
from orders.models.shipment import Shipment, ShipmentLine
from orders.models.shipping import (
    CalendarDay,
    CarrierService,
    Pickup,
    Place,
    ShippingCalendar,
    TransitTime,
    WorkingHours,
)
from orders.models.warranty import WarrantyClaim

__all__ = [
    "AdvanceShipNotice",
    "CalendarDay",
    "CarrierService",
    "DeliveryPromise",
    "FoundAtSale",
    "FulfilmentItem",
    "FulfilmentRequest",
    "LandedCharge",
    "LandedShare",
    "NoticeLine",
    "NoticePackage",
    "Order",
    "OrderLine",
    "Pickup",
    "Place",
    "PromisedLoad",
    "PurchaseOrder",
    "PurchaseOrderLine",
    "Receipt",
    "ReceiptLine",
    "Return",
    "ReturnLine",
    "Sale",
    "SalesBatch",
    "SalesDevice",
    "Shipment",
    "ShipmentLine",
    "ShippingCalendar",
    "Stamp",
    "SupplierTerms",
    "TransitTime",
    "WarehouseClock",
    "WarrantyClaim",
    "WorkingHours",
]
