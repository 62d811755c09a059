from __future__ import annotations

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from oauth2_provider.models import AbstractApplication
from simple_history.models import HistoricalRecords

from partners.disclosure import Rule
from partners.limits import LIMIT_MAX
from partners.models.history import Traced

# Where a partner has no bounds of its own. A shop's open carts, and more than it sells in the minutes a hold lives.
HOLDS_MAX = 1_000
HELD_UNITS_MAX = 1_000_000
# Halving a million takes twenty.
PROBES_MAX = 5


class PartnerQuerySet(models.QuerySet["Partner"]):
    def suppliers(self) -> PartnerQuerySet:
        return self.filter(kind=Partner.Kind.SUPPLIER)

    def retail_partners(self) -> PartnerQuerySet:
        return self.filter(kind__in=Partner.RETAIL_KINDS)

    def for_partner(self, partner: Partner) -> PartnerQuerySet:
        """Itself; with the whole assortment also its suppliers; our own channels see everybody."""
        if partner.kind == Partner.Kind.CHANNEL:
            return self
        visible = Q(pk=partner.pk)
        if partner.assortment == Partner.Assortment.ALL:
            visible |= Q(kind=Partner.Kind.SUPPLIER)
        return self.filter(visible)


class Partner(models.Model):  # type: ignore[django-manager-missing]  # the OAuth base is not typed
    """Somebody outside: who they are and what they may see.

    `granted_warehouses` holds warehouse codes, empty meaning none and null meaning all. They are
    words and not keys because warehouses live upstairs; a code never changes once it is given.
    """

    class Kind(models.TextChoices):
        SUPPLIER = "supplier", "Supplier"
        RETAILER = "retailer", "Retailer"
        MARKETPLACE = "marketplace", "Marketplace"
        LOGISTICS = "logistics", "Logistics (3PL)"
        CHANNEL = "channel", "Own channel"

    class Status(models.TextChoices):
        ACTIVE = "active", "Active"
        SUSPENDED = "suspended", "Suspended"

    class Assortment(models.TextChoices):
        OWN = "own", "Own products"
        ALL = "all", "All products"

    RETAIL_KINDS = (Kind.RETAILER, Kind.MARKETPLACE, Kind.CHANNEL)

    code = models.CharField(
        max_length=40, unique=True, help_text="How the partner is called everywhere; never changes."
    )
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=12, choices=Kind)
    status = models.CharField(max_length=10, choices=Status, default=Status.ACTIVE)
    contact_email = models.EmailField(blank=True)
    gln = models.CharField("GLN", max_length=13, blank=True, help_text="Global Location Number, 13 digits.")
    assortment = models.CharField(max_length=4, choices=Assortment, default=Assortment.ALL)
    granted_warehouses = ArrayField(models.CharField(max_length=40), null=True, blank=True, help_text="Empty = all.")
    disclosure = models.CharField(
        max_length=6, default="exact", choices=[(k, k) for k in ("exact", "capped", "banded", "yesNo")]
    )
    disclosure_cap = models.PositiveIntegerField(null=True, blank=True)
    buffer_units = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="Kept back of each product: neither told nor promised to this partner."
    )
    buffer_percent = models.DecimalField(
        max_digits=5, decimal_places=2, null=True, blank=True,
        help_text="Instead of units: of what may be promised, rounded up.",
    )  # fmt: skip
    probes_max = models.PositiveSmallIntegerField(
        null=True, blank=True,
        help_text="How many sizes of one product may be refused in an hour, where that tells more than is"
        f" disclosed. Empty: {PROBES_MAX}.",
    )  # fmt: skip
    holds_max = models.PositiveIntegerField(
        null=True, blank=True, help_text="Reservations it may hold open at once. Empty: as set for all."
    )
    held_units_max = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="Units these may keep in all. Empty: as set for all."
    )
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    history = HistoricalRecords(bases=[Traced])
    objects = PartnerQuerySet.as_manager()

    class Meta:
        ordering = ["code"]
        constraints = [
            models.CheckConstraint(
                condition=Q(disclosure="capped", disclosure_cap__gte=1)
                | (~Q(disclosure="capped") & Q(disclosure_cap__isnull=True)),
                name="partner_disclosure_cap_only_when_capped",
            ),
            models.CheckConstraint(
                condition=Q(buffer_units__isnull=True) | Q(buffer_percent__isnull=True),
                name="partner_buffer_in_units_or_percent",
            ),
            models.CheckConstraint(
                condition=Q(buffer_percent__isnull=True) | Q(buffer_percent__range=(0, 100)),
                name="partner_buffer_percent_up_to_100",
            ),
            models.CheckConstraint(
                condition=Q(code__regex=r"^[A-Za-z0-9][A-Za-z0-9._-]*$"), name="partner_code_readable"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["supplier", "retailer", "marketplace", "logistics", "channel"]),
                name="partner_kind_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code} · {self.name}"

    @property
    def is_active(self) -> bool:
        return self.status == self.Status.ACTIVE

    @property
    def disclosure_rule(self) -> Rule:
        kind: Any = self.disclosure  # held by the choices
        return Rule(kind, self.disclosure_cap, self.buffer_units, self.buffer_percent)

    @property
    def speaks_for_itself(self) -> bool:
        """A supplier, whatever it may read, and whoever sees but its own: it has no say in what is others'."""
        return self.kind == self.Kind.SUPPLIER or self.assortment == self.Assortment.OWN

    def may_see_warehouse(self, code: str) -> bool:
        return self.granted_warehouses is None or code in self.granted_warehouses


class Application(AbstractApplication):
    """A partner's credentials: OAuth client id, hashed secret, and the scopes it may ask for."""

    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, related_name="applications", null=True)
    scopes = ArrayField(models.CharField(max_length=40), default=list)
    retiring_secret = models.CharField(max_length=255, blank=True, editable=False)
    retiring_until = models.DateTimeField(
        "earlier secret good until",
        null=True,
        editable=False,
        help_text="After a rotation both secrets are good so long.",
    )
    allowed_networks = ArrayField(
        models.CharField(max_length=43), default=list, blank=True, help_text="Networks in CIDR; none: from anywhere."
    )
    reads_per_minute = models.PositiveIntegerField(
        null=True, blank=True, help_text="Units it may read in a minute; empty: as the site allows everybody."
    )
    writes_per_minute = models.PositiveIntegerField(
        null=True, blank=True, help_text="Units it may write in a minute; empty: as the site allows everybody."
    )

    history = HistoricalRecords(bases=[Traced], excluded_fields=["client_secret", "retiring_secret"])

    class Meta(AbstractApplication.Meta):
        swappable = "OAUTH2_PROVIDER_APPLICATION_MODEL"
        constraints = [
            models.CheckConstraint(
                condition=Q(retiring_secret="", retiring_until__isnull=True)
                | (~Q(retiring_secret="") & Q(retiring_until__isnull=False)),
                name="application_retiring_secret_has_an_end",
            ),
            *(
                models.CheckConstraint(
                    condition=Q(**{f"{field}__isnull": True}) | Q(**{f"{field}__range": (1, LIMIT_MAX)}),
                    name=f"application_{field}_within_bounds",
                )
                for field in ("reads_per_minute", "writes_per_minute")
            ),
        ]

    def __str__(self) -> str:
        return str(self.name or self.client_id)
