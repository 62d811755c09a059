from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q

from catalog.models import Variant
from partners.models import Partner
from stock.models.level import Level


class ReservationQuerySet(models.QuerySet["Reservation"]):
    def for_partner(self, partner: Partner) -> ReservationQuerySet:
        """A hold is its holder's own business."""
        return self.filter(partner=partner)

    def open(self) -> ReservationQuerySet:
        return self.filter(state=Reservation.State.OPEN)

    def lock(self) -> ReservationQuerySet:
        return self.order_by("id").select_for_update(no_key=True, of=("self",))


class Reservation(models.Model):
    """A promise of stock to somebody, until it is committed, released or runs out.

    `expires_at` null means an order holds it, and orders do not run out. Refers to its partner without a
    constraint (every reservation of a busy partner would lock that one row); partners are never deleted.
    """

    class State(models.TextChoices):
        OPEN = "open", "Open"
        COMMITTED = "committed", "Committed"
        RELEASED = "released", "Released"
        EXPIRED = "expired", "Expired"

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    partner = models.ForeignKey(
        Partner, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, null=True, related_name="+"
    )
    reference = models.CharField(max_length=120)
    channel = models.CharField(max_length=40, blank=True)
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of what was asked for.")
    state = models.CharField(max_length=9, choices=State, default=State.OPEN)
    expires_at = models.DateTimeField(null=True)
    units = models.BigIntegerField(default=0, db_default=0, help_text="All that was asked for, added up.")
    extensions = models.PositiveSmallIntegerField(default=0)
    actor = models.CharField(max_length=160)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True)

    objects = ReservationQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["expires_at"], name="reservation_running_out", condition=Q(state="open")),
            models.Index(fields=["partner", "-id"], name="reservation_by_partner"),
            models.Index(
                fields=["partner"],
                include=["units"],
                name="reservation_held_by_partner",
                condition=Q(state="open", expires_at__isnull=False),
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["partner", "reference"],
                condition=Q(state__in=["open", "committed"]),
                name="reservation_one_living_per_reference",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=Q(state="open", ended_at__isnull=True) | (~Q(state="open") & Q(ended_at__isnull=False)),
                name="reservation_ended_when_not_open",
            ),
        ]

    def __str__(self) -> str:
        return self.reference


class ReservationLine(models.Model):
    """What was asked for of one variant.

    A kit's line holds nothing itself: its component lines do, and name it in `kit_line`.
    """

    reservation = models.ForeignKey(Reservation, on_delete=models.CASCADE, related_name="lines")
    variant = models.ForeignKey(
        Variant, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    kit_line = models.ForeignKey(
        "self", on_delete=models.CASCADE, null=True, related_name="components", help_text="The kit this is a part of."
    )
    warehouse_code = models.CharField(max_length=40, blank=True)
    quantity = models.BigIntegerField()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(condition=Q(quantity__gte=1), name="reservation_line_quantity_positive"),
        ]

    def __str__(self) -> str:
        return str(self.quantity)


class Allocation(models.Model):
    """Units of one level kept for one line. Open while `quantity` exceeds what was consumed and freed.

    The level's `reserved` is the sum of `open_quantity` over its allocations. Refers to the level without a
    constraint (it is the hottest row there is); levels are never deleted.
    """

    line = models.ForeignKey(ReservationLine, on_delete=models.CASCADE, related_name="allocations")
    level = models.ForeignKey(
        Level, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="allocations"
    )
    quantity = models.BigIntegerField()
    consumed = models.BigIntegerField(default=0)
    freed = models.BigIntegerField(default=0)

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(
                fields=["level"], name="allocation_open_by_level", condition=Q(quantity__gt=F("consumed") + F("freed"))
            ),
            models.Index(fields=["level"], name="allocation_gone_by_level", condition=Q(consumed__gt=0)),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(quantity__gte=1, consumed__gte=0, freed__gte=0)
                & Q(quantity__gte=F("consumed") + F("freed")),
                name="allocation_not_used_twice",
            ),
        ]

    def __str__(self) -> str:
        return str(self.quantity)

    @property
    def open_quantity(self) -> int:
        return self.quantity - self.consumed - self.freed
