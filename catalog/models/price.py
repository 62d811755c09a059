from __future__ import annotations

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeOperators
from django.db import models
from django.db.models import Deferrable, Q
from simple_history.models import HistoricalRecords

from catalog.models.product import Variant
from partners.models import Partner
from partners.models.history import Traced


class PriceListQuerySet(models.QuerySet["PriceList"]):
    def for_partner(self, partner: Partner, *, channel: str = "") -> PriceListQuerySet:
        """Those meant for the partner: its own, its channel's, and everybody's. An own channel is one by its code."""
        meant = Q(partner=partner) | Q(partner=None, channel="")
        if partner.kind == Partner.Kind.CHANNEL:
            meant |= Q(channel__in=[code for code in (channel, partner.code) if code])
        return self.filter(meant, is_active=True)


class PriceList(models.Model):
    """Prices in one currency, for one partner, for one sales channel, or for everybody."""

    code = models.CharField(max_length=40, unique=True, help_text="How it is called everywhere; never changes.")
    name = models.CharField(max_length=200, blank=True)
    currency = models.CharField(max_length=3, help_text="ISO 4217: EUR, USD …")
    partner = models.ForeignKey(
        Partner, on_delete=models.PROTECT, null=True, blank=True, related_name="price_lists",
        help_text="For this partner alone; it beats those of a channel and those for everybody.",
    )  # fmt: skip
    channel = models.CharField(
        max_length=40, blank=True, help_text="For this sales channel alone; it beats those for everybody."
    )
    priority = models.PositiveSmallIntegerField(
        default=0, help_text="Among lists of the same kind the higher wins; of the same priority the first by its code."
    )
    is_active = models.BooleanField("active", default=True)

    history = HistoricalRecords(bases=[Traced])
    objects = PriceListQuerySet.as_manager()

    class Meta:
        ordering = ["code"]
        constraints = [
            models.CheckConstraint(
                condition=Q(code__regex=r"^[A-Za-z0-9][A-Za-z0-9._-]*$"), name="price_list_code_readable"
            ),
            models.CheckConstraint(
                condition=Q(currency__regex=r"^[A-Z]{3}$"), name="price_list_currency_is_three_letters"
            ),
            models.CheckConstraint(
                condition=Q(partner__isnull=True) | Q(channel=""), name="price_list_for_a_partner_or_a_channel"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code} ({self.currency})"


class Price(models.Model):
    """What one stock unit costs when at least `from_quantity` are bought, for a time.

    At any moment a list has one price for a product and a quantity: the database excludes a second.
    """

    # Without indexes of their own: `price_never_two_at_once` begins with the list, `price_by_variant` with the product.
    price_list = models.ForeignKey(PriceList, on_delete=models.PROTECT, related_name="prices", db_index=False)
    variant = models.ForeignKey(Variant, on_delete=models.CASCADE, related_name="prices", db_index=False)
    from_quantity = models.PositiveBigIntegerField(default=1, help_text="The least quantity it is for, in stock units.")
    amount = models.DecimalField(max_digits=14, decimal_places=4, help_text="For one stock unit.")
    valid = DateTimeRangeField(help_text="From, and until (not included) or without end.")

    history = HistoricalRecords(bases=[Traced])

    class Meta:
        ordering = ["variant_id", "price_list_id", "from_quantity", "id"]
        indexes = [models.Index(fields=["variant", "price_list"], name="price_by_variant")]
        constraints = [
            models.CheckConstraint(condition=Q(from_quantity__gte=1), name="price_from_one_unit_on"),
            models.CheckConstraint(condition=Q(amount__gte=0), name="price_not_negative"),
            models.CheckConstraint(
                condition=Q(
                    valid__isempty=False, valid__lower_inf=False, valid__lower_inc=True, valid__upper_inc=False
                ),
                name="price_valid_for_some_time",
            ),
            # Compared when a statement ends: one statement may shorten a price and lengthen its neighbour.
            ExclusionConstraint(
                name="price_never_two_at_once",
                expressions=[
                    ("price_list", RangeOperators.EQUAL),
                    ("variant", RangeOperators.EQUAL),
                    ("from_quantity", RangeOperators.EQUAL),
                    ("valid", RangeOperators.OVERLAPS),
                ],
                deferrable=Deferrable.IMMEDIATE,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount} from {self.from_quantity}"
