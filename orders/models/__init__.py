from orders.models.order import Order, OrderLine
from orders.models.returns import Return, ReturnLine
from orders.models.shipment import Shipment, ShipmentLine

__all__ = ["Order", "OrderLine", "Return", "ReturnLine", "Shipment", "ShipmentLine"]
