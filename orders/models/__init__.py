from orders.models.notice import AdvanceShipNotice, NoticeLine, NoticePackage
from orders.models.order import Order, OrderLine
from orders.models.promise import DeliveryPromise, PromisedLoad
from orders.models.purchase import PurchaseOrder, PurchaseOrderLine, SupplierTerms
from orders.models.receipt import LandedCharge, LandedShare, Receipt, ReceiptLine
from orders.models.remedy import Remedy
from orders.models.request import FulfilmentItem, FulfilmentRequest, Stamp, WarehouseClock
from orders.models.returns import Return, ReturnLine
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

__all__ = [
    "AdvanceShipNotice",
    "CalendarDay",
    "CarrierService",
    "DeliveryPromise",
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
    "Remedy",
    "Return",
    "ReturnLine",
    "Shipment",
    "ShipmentLine",
    "ShippingCalendar",
    "Stamp",
    "SupplierTerms",
    "TransitTime",
    "WarehouseClock",
    "WorkingHours",
]
