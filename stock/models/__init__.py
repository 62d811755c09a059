from stock.models.batch import Batch
from stock.models.costing import (
    CostBook,
    CostDraw,
    CostingRule,
    CostLanding,
    CostLayer,
    CostNote,
    CostPool,
    Revaluation,
    ValuedUpTo,
)
from stock.models.count import Count, CountLine
from stock.models.inbound import Inbound
from stock.models.level import Level
from stock.models.lookup import LookUp, RefusedSize
from stock.models.movement import Movement
from stock.models.ownership import OwnerGrant
from stock.models.reason import Reason
from stock.models.recall import Recall
from stock.models.reservation import Allocation, Reservation, ReservationLine
from stock.models.rule import PromiseRule
from stock.models.seal import Seal, Snapshot, SnapshotLevel
from stock.models.serial import Serial, SerialMovement
from stock.models.stock_import import (
    Acknowledged,
    LastStated,
    StampedDeparture,
    StockImport,
    StockImportRange,
    StockImportRow,
)
from stock.models.transfer import Transfer, TransferLine
from stock.models.warehouse import Location, Warehouse

__all__ = [
    "Acknowledged",
    "Allocation",
    "Batch",
    "CostBook",
    "CostDraw",
    "CostLanding",
    "CostLayer",
    "CostNote",
    "CostPool",
    "CostingRule",
    "Count",
    "CountLine",
    "Inbound",
    "LastStated",
    "Level",
    "Location",
    "LookUp",
    "Movement",
    "OwnerGrant",
    "PromiseRule",
    "Reason",
    "Recall",
    "RefusedSize",
    "Reservation",
    "ReservationLine",
    "Revaluation",
    "Seal",
    "Serial",
    "SerialMovement",
    "Snapshot",
    "SnapshotLevel",
    "StampedDeparture",
    "StockImport",
    "StockImportRange",
    "StockImportRow",
    "Transfer",
    "TransferLine",
    "ValuedUpTo",
    "Warehouse",
]
