"""What the catalog's events carry."""

from __future__ import annotations

from partners.payloads import Payload, text, units

PAYLOADS: dict[str, Payload] = {
    "import.applied": Payload(
        told_to="Whose import it is.",
        fields={
            "importId": text("IM-ZBDV-4CQ0-EGM7"),
            "kind": text("catalog", "What its rows are."),
            "title": text("Spring range"),
            "created": units(12, "Rows that made something new."),
            "changed": units(3, "Rows that changed something."),
            "refused": units(1, "Rows that could not be used."),
            "dropped": units(0, "Things taken off because no row named them."),
        },
    )
}
