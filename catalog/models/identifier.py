from __future__ import annotations

import re

from django.db import models
from django.db.models import Q

from catalog import gtins
from catalog.models.product import Pack, Variant
from partners.models import Partner

SEPARATORS = re.compile(r"[ \t._/-]+")
# Plain letters only: so Python and PostgreSQL agree to the letter (catalog_plain_code in the migrations).
TO_UPPER = {lower: lower - 32 for lower in range(ord("a"), ord("z") + 1)}


def plain_code(code: str) -> str:
    """A code for look-up: `h-7 / b` and `H7B` are one. Of separators alone nothing is left but themselves."""
    return (SEPARATORS.sub("", code) or code).translate(TO_UPPER)


class IdentifierQuerySet(models.QuerySet["Identifier"]):
    def for_partner(self, partner: Partner) -> IdentifierQuerySet:
        """Everybody's identifiers and the partner's own; our own channels see all."""
        if partner.kind == Partner.Kind.CHANNEL:
            return self
        return self.filter(Q(partner=None) | Q(partner=partner))

    def gtins(self) -> IdentifierQuerySet:
        return self.filter(scheme__in=Identifier.GTINS)


class Identifier(models.Model):
    """A number a product or one of its packs is known by, under whichever scheme and whosever it is.

    All of them are here, in one place with one look-up. The `is_main` ones are written by the database from
    `Variant.gtin`, `Pack.gtin14` and `SupplierItem.supplier_code`; so a GTIN is given once over products, packs and
    further numbers alike, by one unique index, whichever column somebody types it into.
    """

    class Scheme(models.TextChoices):
        GTIN = "gtin", "GTIN"
        UPC = "upc", "UPC"
        EAN = "ean", "EAN"
        ASIN = "asin", "ASIN"
        SUPPLIER = "supplier", "Supplier's number"
        PARTNER = "partner", "Partner's number"
        BRAND_PART = "brandPart", "Brand's part number"
        OE = "oe", "Vehicle maker's number"

    GTINS = (Scheme.GTIN, Scheme.UPC, Scheme.EAN)
    SOMEBODYS = (Scheme.SUPPLIER, Scheme.PARTNER)

    # Without an index of its own: that of `identifier_said_once` begins with it.
    variant = models.ForeignKey(Variant, on_delete=models.CASCADE, related_name="identifiers", db_index=False)
    pack = models.ForeignKey(
        Pack, on_delete=models.CASCADE, null=True, blank=True, related_name="identifiers", db_constraint=False,
        help_text="The pack it stands on; none: the single unit.",
    )  # fmt: skip
    scheme = models.CharField(max_length=9, choices=Scheme)
    value = models.CharField(max_length=80, help_text="As received.")
    plain = models.CharField(max_length=80, editable=False, help_text="For look-up: 14 digits, or without separators.")
    partner = models.ForeignKey(
        Partner, on_delete=models.PROTECT, null=True, blank=True, related_name="identifiers",
        help_text="Whose own number it is.",
    )  # fmt: skip
    is_main = models.BooleanField(default=False, editable=False)

    objects = IdentifierQuerySet.as_manager()

    class Meta:
        ordering = ["variant_id", "id"]
        indexes = [models.Index(fields=["plain"], name="identifier_by_plain")]
        constraints = [
            models.UniqueConstraint(
                fields=["variant", "scheme", "plain", "partner", "pack"],
                name="identifier_said_once",
                nulls_distinct=False,
            ),
            models.UniqueConstraint(
                fields=["plain"],
                condition=Q(scheme__in=("gtin", "upc", "ean")) & ~Q(plain__regex=gtins.RESTRICTED),
                name="identifier_gtin_unique",
            ),
            models.UniqueConstraint(
                fields=["plain", "partner"],
                condition=Q(scheme__in=("gtin", "upc", "ean"), plain__regex=gtins.RESTRICTED),
                name="identifier_restricted_gtin_unique",
                nulls_distinct=False,
            ),
            models.UniqueConstraint(
                fields=["partner", "value"],
                condition=Q(scheme__in=("supplier", "partner")),
                name="identifier_partners_code_unique",
            ),
            models.UniqueConstraint(fields=["plain"], condition=Q(scheme="asin"), name="identifier_asin_unique"),
            models.CheckConstraint(
                condition=Q(scheme__in=("supplier", "partner"), partner__isnull=False)
                | Q(scheme__in=("gtin", "upc", "ean"), plain__regex=gtins.RESTRICTED)
                | (~Q(scheme__in=("supplier", "partner")) & Q(partner__isnull=True)),
                name="identifier_is_somebodys_or_everybodys",
            ),
            models.CheckConstraint(condition=~Q(value="") & ~Q(plain=""), name="identifier_is_not_empty"),
            models.CheckConstraint(
                condition=Q(scheme__in=["gtin", "upc", "ean", "asin", "supplier", "partner", "brandPart", "oe"]),
                name="identifier_scheme_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_scheme_display()} {self.value}"

    @property
    def level(self) -> str:
        return self.pack.level if self.pack else "each"
