"""What the stock book's events carry."""

from __future__ import annotations

from partners.payloads import Payload, day, many, maybe, one_of, text, thing, units

PRODUCT = {"productId": text("HOTSAUCE789")}
LEVEL = thing(
    {
        "batchNumber": maybe(text("B456")),
        "expirationDate": maybe(day()),
        "condition": one_of("sellable", "quarantine", "damaged", "warranty"),
        "inventoryLevel": units(280, "Stock units that lie there."),
        "reservedQuantity": units(12, "Stock units of them that are promised."),
        "availableQuantity": units(268, "The rest."),
        "version": units(7, "Rises by one with each change of the level."),
    }
)
RESERVATION = {
    "reservationId": text("0b9c7f0e-6f5d-4c0a-9a51-3f0e5d7c2a11"),
    "reference": text("cart-1", "The name its holder gave it."),
}
BATCH = PRODUCT | {
    "batchNumber": text("B456"),
    "expirationDate": maybe(day()),
    "holdState": one_of("released", "quarantined", "recalled"),
    "reason": text("seal under test", "Why, in the words of who did it."),
}
TRANSFER = {
    "transferId": text("TR-8BQ5-1XTK-CW0T"),
    "status": one_of("planned", "dispatched", "arrived", "cancelled"),
    "sourceWarehouse": text("WH-EAST"),
    "targetWarehouse": text("WH-WEST"),
    "expectedDate": maybe(day()),
    "reference": text("T-1"),
    "lines": many(
        thing(
            PRODUCT
            | {
                "batchNumber": maybe(text("B456")),
                "dispatchedQuantity": units(12, "Stock units that left."),
                "arrivedQuantity": units(11, "Stock units that arrived."),
                "lostQuantity": units(1, "Stock units that were given up."),
                "onTheRoad": units(0, "Stock units that left and are neither."),
            }
        ),
        "What went, by product and batch.",
    ),
}
TO_BOTH_ENDS = "Who runs either of the two warehouses."
CONCERNED = "The batch's supplier, owners of stock of it, and whoever was promised some or, in a recall, got some."

PAYLOADS: dict[str, Payload] = {
    "inventory.updated": Payload(
        told_to="Everybody whose grants cover the product and the warehouse; `levels` only where exact numbers are told. "
        "Of another owner's stock: the owner, and who was granted to see it.",
        fields=PRODUCT
        | {
            "warehouseLocation": text("WH-EAST"),
            "ownerId": maybe(text("SUP123")),
            "levels": many(LEVEL, "The levels that changed, as they are now."),
        },
        optional=frozenset({"levels"}),
        is_state=True,
    ),
    "inventory.low": Payload(
        told_to="Everybody whose grants cover the product and the warehouse. Not sent yet.",
        fields=PRODUCT | {"warehouseLocation": text("WH-EAST")},
        is_state=True,
    ),
    "inventory.shortage": Payload(
        told_to="Who holds the promise that was broken.",
        fields=RESERVATION | PRODUCT | {"quantity": units(2, "Stock units that are promised no more.")},
    ),
    "reservation.expired": Payload(told_to="Who made the reservation.", fields=RESERVATION),
    "transfer.dispatched": Payload(told_to=TO_BOTH_ENDS, fields=TRANSFER),
    "transfer.arrived": Payload(told_to=TO_BOTH_ENDS, fields=TRANSFER),
    "count.posted": Payload(
        told_to="Who runs the warehouse, and who posted.",
        fields={
            "countId": text("CNT-AP8Z-GD5X-Q53T"),
            "warehouseLocation": text("WH-WEST"),
            "lines": units(2, "Places that were counted."),
            "differences": units(1, "Places where something was booked."),
            "unitsFound": units(1, "Stock units there were more."),
            "unitsMissing": units(2, "Stock units there were less."),
            "unbooked": many(
                thing(
                    PRODUCT
                    | {
                        "location": text("A-01-02"),
                        "batchNumber": maybe(text("B456")),
                        "quantity": units(1, "Stock units that had left meanwhile."),
                    }
                ),
                "Losses there was nothing left to take of.",
            ),
        },
    ),
    "batch.quarantined": Payload(told_to=CONCERNED, fields=BATCH),
    "batch.released": Payload(told_to=CONCERNED, fields=BATCH),
    "batch.recalled": Payload(
        told_to=CONCERNED,
        fields=BATCH
        | {
            "recallId": text("RC-T16V-79AS-VXMX"),
            "relatedRecallIds": many(text("RC-M0P4-2ZEN-7QGH"), "Recalls of the same goods under other SKUs."),
        },
    ),
}
