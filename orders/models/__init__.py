from orders.models.feedback import Feedback
from orders.models.notice import AdvanceShipNotice, NoticeLine, NoticePackage
from orders.models.order import Order, OrderLine
from orders.models.package import Package, PackageLine, SsccSeries
from orders.models.pause import FillPause
from orders.models.picking import PickLine, PickWave
from orders.models.promise import DeliveryPromise, PromisedLoad
from orders.models.purchase import PurchaseOrder, PurchaseOrderLine, SupplierTerms
from orders.models.receipt import LandedCharge, LandedShare, Receipt, ReceiptLine
from orders.models.remedy import Remedy
from orders.models.request import FulfilmentItem, FulfilmentRequest, Stamp, WarehouseClock
from orders.models.returns import Return, ReturnLine
from orders.models.routing import RoutingDecision, RoutingPolicy, SendingCost
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
    "Feedback",
    "FillPause",
    "FoundAtSale",
    "FulfilmentItem",
    "FulfilmentRequest",
    "LandedCharge",
    "LandedShare",
    "NoticeLine",
    "NoticePackage",
    "Order",
    "OrderLine",
    "Package",
    "PackageLine",
    "PickLine",
    "PickWave",
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
    "RoutingDecision",
    "RoutingPolicy",
    "Sale",
    "SalesBatch",
    "SalesDevice",
    "SendingCost",
    "Shipment",
    "ShipmentLine",
    "ShippingCalendar",
    "SsccSeries",
    "Stamp",
    "SupplierTerms",
    "TransitTime",
    "WarehouseClock",
    "WarrantyClaim",
    "WorkingHours",
]
