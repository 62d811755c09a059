"""POST /barcodes/read: what a scan is."""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog import gtins, scans
from catalog.barcodes import CODE_MAX
from catalog.gs1.elements import Unreadable
from catalog.models import Identifier
from catalog.scans import Match, Read
from partners.api.doors import Door
from partners.api.fields import Text
from partners.problems import InvalidInput


class ScanFields(serializers.Serializer[Any]):
    code = Text(
        max_length=CODE_MAX, trim_whitespace=False,
        help_text="What the scanner sent, with or without symbology identifier; FNC1 as U+001D, `{GS}` or `^`. EAN, UPC,"
        " UPC-E, GS1 element strings (also with brackets), Digital Links, and numbers of somebody's own.",
    )  # fmt: skip


class ElementSerializer(serializers.Serializer[Any]):
    ai = serializers.CharField(help_text="The Application Identifier.")
    title = serializers.CharField(help_text="Its name in the GS1 General Specifications.")
    value = serializers.CharField(help_text="The field as it stands in the code.")
    meaning = serializers.CharField(help_text="What it says: 2027-11-30, 24, 1.250 kg, 10.99 EUR.")


class FoundProduct(serializers.Serializer[Any]):
    productId = serializers.CharField(help_text="The SKU.")
    name = serializers.CharField(help_text="The product's name.")
    scheme = serializers.ChoiceField(
        [*Identifier.Scheme.values, "productId"], help_text="By which of its numbers it was found."
    )
    value = serializers.CharField(help_text="That number as we have it.")
    level = serializers.CharField(help_text="each, inner, case or pallet.")
    pack = serializers.CharField(allow_null=True, help_text="The name of the pack; null: the single unit.")
    packQuantity = serializers.IntegerField(help_text="Stock units in one of it.")


class ScanSerializer(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(
        ["gtin", "elements", "link", "code"], help_text="A bare GTIN, GS1 elements, a Digital Link, or another number."
    )
    productId = serializers.CharField(
        allow_null=True, help_text="The product, where there is just one for you; else see matches."
    )
    level = serializers.CharField(allow_null=True, help_text="Of that product: each, inner, case or pallet.")
    pack = serializers.CharField(allow_null=True, help_text="The name of the pack scanned; null: a single unit.")
    quantity = serializers.IntegerField(allow_null=True, help_text="Stock units of that product in what was scanned.")
    gtin = serializers.CharField(
        allow_null=True, help_text="The 14 digits of the trade item, or of what is in the unit."
    )
    isRestricted = serializers.BooleanField(help_text="The GTIN means something in one company or region only.")
    sscc = serializers.CharField(allow_null=True, help_text="The logistic unit (AI 00).")
    batchNumber = serializers.CharField(allow_null=True, help_text="AI 10.")
    serialNumber = serializers.CharField(allow_null=True, help_text="AI 21.")
    expirationDate = serializers.DateField(
        allow_null=True,
        help_text="Use by (17, 7003), else best before (15), else sell by (16); day 00 is the month's last.",
    )
    productionDate = serializers.DateField(allow_null=True, help_text="AI 11, else when it was packed (13).")
    elements = ElementSerializer(many=True, help_text="Every field of the code, in its order.")
    matches = FoundProduct(many=True, help_text=f"What the number stands for, at most {scans.MATCHES_MAX}.")


class ReadBarcode(Door):
    """What a scan is. It reads and changes nothing, so it needs no Idempotency-Key."""

    queryset = Identifier.objects.none()
    serializer_class = ScanFields
    pagination_class = None
    required_scopes: ClassVar = {"POST": "catalog:read"}

    @extend_schema(operation_id="readBarcode", responses=ScanSerializer)
    def post(self, request: Request) -> Response:
        """What a scan is: product and pack, batch, expiry, serial number, quantity.

        A sound code of a product that is not there, or not yours, is answered without `productId`. A code that
        cannot be used is a 422 whose errors are sentences, each with its `ai` where it is about one field.
        """
        code = self.understood(ScanFields)["code"]
        try:
            found = scans.read(code=code, partner=self.partner, today=timezone.now().date())
        except Unreadable as error:
            refusal = InvalidInput.of([("code", fault.detail) for fault in error.faults])
            for row, fault in zip(refusal.data["errors"], error.faults, strict=True):
                row |= {"ai": fault.ai} if fault.ai else {}
            raise refusal from error
        return Response(told(found))


def told(found: Read) -> dict[str, Any]:
    scan, only = found.scan, found.only
    elements = scan.elements if scan else ()
    return {
        "kind": scan.kind if scan else "code",
        "productId": only.variant.sku if only else None,
        "level": only.level if only else None,
        "pack": only.pack if only else None,
        "quantity": found.quantity,
        "gtin": (scan.gtin14 if scan else "") or None,
        "isRestricted": scan is not None and gtins.is_restricted(scan.gtin14),
        "sscc": (scan.value("00") if scan else "") or None,
        "batchNumber": (scan.value("10") if scan else "") or None,
        "serialNumber": (scan.value("21") if scan else "") or None,
        "expirationDate": scan.day("17", "7003", "15", "16") if scan else None,
        "productionDate": scan.day("11", "13") if scan else None,
        "elements": [
            {"ai": row.ai, "title": row.entry.title, "value": row.value, "meaning": str(row.plain)} for row in elements
        ],
        "matches": [_match(match) for match in found.matches],
    }


def _match(match: Match) -> dict[str, Any]:
    return {
        "productId": match.variant.sku,
        "name": match.variant.name,
        "scheme": match.scheme,
        "value": match.value,
        "level": match.level,
        "pack": match.pack,
        "packQuantity": match.pack_quantity,
    }
