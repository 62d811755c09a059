from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.db.models import Q

from catalog.models import Variant
from partners.models import Partner


class LookUp(models.Model):
    """What a partner asked about a product on a day, and what it could conclude of what may be promised to it.

    `lower` and `upper` are the tightest bounds of the day, each taken by itself; `lower` above `upper` says that the
    stock moved between. Written in heaps a few seconds later (operations/lookups.py), without constraints on partner
    and product, which are never deleted: a reading must lock nothing.
    """

    partner = models.ForeignKey(
        Partner, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    variant = models.ForeignKey(
        Variant, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+",
        verbose_name="product",
    )  # fmt: skip
    day = models.DateField()
    looks = models.BigIntegerField(help_text="How often it was told something of the product.")
    refusals = models.BigIntegerField(default=0, help_text="How often it asked for more than there was.")
    grants = models.BigIntegerField(default=0, help_text="How often units were promised to it.")
    lower = models.BigIntegerField(default=0)
    upper = models.BigIntegerField(null=True, help_text="Empty: it could not tell.")

    class Meta:
        ordering = ["-day", "partner_id", "variant_id"]
        indexes = [models.Index(fields=["day"], name="lookup_by_day")]
        constraints = [
            models.UniqueConstraint(fields=["partner", "variant", "day"], name="lookup_once_a_day"),
            models.CheckConstraint(
                condition=Q(looks__gte=0, refusals__gte=0, grants__gte=0, lower__gte=0), name="lookup_counts"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.day}"


class RefusedSize(models.Model):
    """A quantity that was refused and told a partner more than is disclosed to it; kept for an hour.

    Many sizes of one product are a search for the true number: see operations/bounds.py.
    """

    WITHIN = timedelta(hours=1)

    partner = models.ForeignKey(
        Partner, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    variant = models.ForeignKey(
        Variant, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    quantity = models.BigIntegerField()
    at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["partner", "variant", "at"], name="refused_size_by_product")]

    def __str__(self) -> str:
        return str(self.quantity)
