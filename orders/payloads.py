"""What the orders' events carry."""

from __future__ import annotations

from partners.payloads import Payload, day, many, maybe, one_of, text, thing, units

ORDER = {
    "orderId": text("SO-BZRF-TNXN-QZZ2"),
    "externalReference": text("PO-1001"),
    "retailPartnerId": text("RET456"),
    "status": text("confirmed", "Where the order stands now."),
}
TO_ORDER = "Whose order it is, who placed it, the suppliers of its products, and who runs the warehouses concerned."
RETURN = ORDER | {
    "returnId": text("RT-5HJ3-0QPW-EZ8K"),
    "returnStatus": one_of("received", "inspected", "withdrawn", "announced", description="Where the return stands."),
}
REQUEST = {
    "fulfillmentRequestId": text("FR-F147-E5FZ-350X"),
    "orderId": text("SO-BZRF-TNXN-QZZ2"),
    "warehouseLocation": text("WH-EAST"),
    "status": one_of("assigned", "accepted", "completed", "failed"),
    "logicalTimestamp": units(17, "The warehouse's own clock: 1, 2, 3 … without a gap, in the order of commit."),
    "items": many(
        thing(
            {
                "lineId": text("1"),
                "productId": text("HOTSAUCE789"),
                "quantity": units(12),
                "logicalTimestamp": units(17, "The clock at this item, where each has its own."),
            },
            optional=frozenset({"logicalTimestamp"}),
        ),
        "What it is about, line by line.",
    ),
}
FEEDBACK = {
    "feedbackId": text("FB-3K7Q-9WXZ-A1B2"),
    "kind": one_of("discrepancy", "delay", "quality", "other"),
    "status": one_of("open", "answered", "closed", description="Where the feedback stands."),
    "productId": maybe(text("HOTSAUCE789")),
    "orderId": maybe(text("SO-BZRF-TNXN-QZZ2")),
}
TO_REQUEST = "Who runs the warehouse, whose order it is, and who placed it."
PURCHASE = {
    "purchaseOrderId": text("PO-ADPF-694M-RCM5"),
    "supplierId": text("SUP123"),
    "warehouseLocation": text("WH-EAST"),
    "status": text("sent", "Where the purchase order stands now."),
    "expectedDate": maybe(day()),
}
TO_PURCHASE = "The supplier, and who runs the warehouse."

PAYLOADS: dict[str, Payload] = {
    **{
        f"order.{step}": Payload(told_to=TO_ORDER, fields=ORDER)
        for step in ("created", "amended", "confirmed", "packed", "shipped", "delivered", "cancelled")
    },
    "shortage.resolved": Payload(
        told_to="Whose order it is, and who placed it.",
        fields={
            "orderId": text("SO-BZRF-TNXN-QZZ2"),
            "externalReference": text("PO-1001"),
            "lineId": text("1"),
            "productId": text("HOTSAUCE789"),
            "quantity": units(2, "Stock units that were seen to."),
            "remedy": text("substitute", "What was done."),
            "substituteId": maybe(text("GLAZE456", "The SKU sent instead.")),
            "followUpOrderId": maybe(text("SO-7K2M-91XD-C4TA", "The order that sends the rest.")),
            "expectedOn": maybe(day(description="The day they are put off to.")),
        },
    ),
    "fulfillment_request.assigned": Payload(told_to=TO_REQUEST, fields=REQUEST),
    "fulfillment_request.failed": Payload(
        told_to=TO_REQUEST, fields=REQUEST | {"reason": text("notFound", "Why the warehouse could not.")}
    ),
    "fulfillment_request.completed": Payload(told_to=TO_REQUEST, fields=REQUEST),
    "shipment.created": Payload(
        told_to=TO_ORDER,
        fields=ORDER
        | {
            "shipmentId": text("SH-2W9C-TT0J-MB41"),
            "warehouseLocation": text("WH-EAST"),
            "carrier": text("UPS"),
            "trackingNumber": text("1Z999AA10123456784"),
        },
    ),
    "return.received": Payload(told_to=TO_ORDER, fields=RETURN),
    "return.withdrawn": Payload(told_to=TO_ORDER, fields=RETURN),
    "return.inspected": Payload(told_to=TO_ORDER, fields=RETURN),
    "warranty_claim.settled": Payload(
        told_to=TO_ORDER,
        fields=ORDER
        | {
            "warrantyClaimId": text("WC-80DN-K3RV-5YFX"),
            "returnId": text("RT-5HJ3-0QPW-EZ8K"),
            "outcome": one_of("scrap", "returnToVendor", description="What became of the units."),
        },
    ),
    "sale.posted": Payload(
        told_to="Whose device it is, and who runs the warehouses it sold from.",
        fields={
            "batchId": text("POS-VEYX-PJKJ-J6BK", "The report's number."),
            "deviceId": text("TILL-1", "The device that reported."),
            "deviceSequence": units(1, "The device's own number of the report."),
            "bookedSales": units(20, "Sales that were booked."),
            "exceptions": units(1, "How many things were odd."),
            "warehouseLocations": many(text("WH-WEST"), "Codes of the warehouses it sold from."),
        },
    ),
    "purchase_order.sent": Payload(told_to=TO_PURCHASE, fields=PURCHASE),
    "purchase_order.confirmed": Payload(told_to=TO_PURCHASE, fields=PURCHASE),
    "purchase_order.cancelled": Payload(told_to=TO_PURCHASE, fields=PURCHASE),
    "feedback.received": Payload(told_to="Who gave it.", fields=FEEDBACK),
    "feedback.answered": Payload(told_to="Who gave it.", fields=FEEDBACK),
    "feedback.closed": Payload(told_to="Who gave it.", fields=FEEDBACK),
    "receipt.posted": Payload(
        told_to=TO_PURCHASE,
        fields={
            "receiptId": text("GR-BWVE-THFD-HRD3"),
            "supplierId": maybe(text("SUP123")),
            "purchaseOrderId": maybe(text("PO-ADPF-694M-RCM5")),
            "asnId": maybe(text("ASN-G6DA-VT67-H692")),
            "warehouseLocation": text("WH-EAST"),
            "deliveryNote": text("DN-77"),
            "overQuantity": units(0, "Stock units that came beyond what was ordered."),
            "heldQuantity": units(0, "Stock units that wait in quarantine."),
        },
    ),
}
