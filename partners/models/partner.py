from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from oauth2_provider.models import AbstractApplication
from simple_history.models import HistoricalRecords

from partners.disclosure import Rule
from partners.limits import LIMIT_MAX
from partners.models.history import Traced


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
        return Rule(self.disclosure, self.disclosure_cap)  # type: ignore[arg-type]  # held by the choices

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
    reads_per_minute = models.PositiveIntegerField(
        null=True, blank=True, help_text="Units it may read in a minute; empty: as the site allows everybody."
    )
    writes_per_minute = models.PositiveIntegerField(
        null=True, blank=True, help_text="Units it may write in a minute; empty: as the site allows everybody."
    )

    class Meta(AbstractApplication.Meta):
        swappable = "OAUTH2_PROVIDER_APPLICATION_MODEL"
        constraints = [
            models.CheckConstraint(
                condition=Q(**{f"{field}__isnull": True}) | Q(**{f"{field}__range": (1, LIMIT_MAX)}),
                name=f"application_{field}_within_bounds",
            )
            for field in ("reads_per_minute", "writes_per_minute")
        ]

    def __str__(self) -> str:
        return str(self.name or self.client_id)
