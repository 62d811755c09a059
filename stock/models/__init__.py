from stock.models.batch import Batch
from stock.models.level import Level
from stock.models.movement import Movement
from stock.models.reservation import Allocation, Reservation, ReservationLine
from stock.models.warehouse import Location, Warehouse

__all__ = [
    "Allocation",
    "Batch",
    "Level",
    "Location",
    "Movement",
    "Reservation",
    "ReservationLine",
    "Warehouse",
]
