from __future__ import annotations

import uuid
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q

from partners.models.partner import Partner

# What a warehouse is asked for of an order that waits for more is all it has; only who runs it needs to know.
TELL_WHERE_IT_LIES = ("fulfillment_request.assigned", "fulfillment_request.failed")


class OutboxEventQuerySet(models.QuerySet["OutboxEvent"]):
    def in_feed(self) -> OutboxEventQuerySet:
        """Events the relay has given a position: the only ones anybody outside may see."""
        return self.filter(position__isnull=False)

    def for_partner(self, partner: Partner) -> OutboxEventQuerySet:
        """Addressed to the partner by name, or about stock within its assortment and warehouses."""
        about_stock = Q(is_about_stock=True)
        if partner.assortment == Partner.Assortment.OWN:
            about_stock &= Q(supplier_ids__contains=[partner.pk])
        if partner.granted_warehouses is not None:
            about_stock &= Q(warehouse_code__in=partner.granted_warehouses)
        named = Q(addressee_ids__contains=[partner.pk]) & ~Q(addressee_ids=[])
        return self.filter(named | about_stock)


class OutboxEvent(models.Model):
    """A fact owed to the outside, written in the transaction that made it; never changed after.

    `position` and `subject_version` are given by the relay after commit (see operations/feed.py):
    both count 1, 2, 3 … without a gap, the one over the whole feed, the other over the subject.
    """

    event_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    type = models.CharField(max_length=60)
    subject = models.CharField(max_length=200)
    payload = models.JSONField()
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField(auto_now_add=True)
    actor = models.CharField(max_length=160)
    request_id = models.CharField(max_length=64, blank=True)
    addressee_ids = ArrayField(models.BigIntegerField(), default=list)
    is_about_stock = models.BooleanField(default=False)
    supplier_ids = ArrayField(models.BigIntegerField(), default=list)
    warehouse_code = models.CharField(max_length=40, blank=True)
    position = models.BigIntegerField(null=True)
    subject_version = models.BigIntegerField(null=True)

    objects = OutboxEventQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        # What only readers of the feed need is indexed when the relay gives the position, not by whoever made the fact.
        indexes = [
            models.Index(fields=["id"], name="outbox_waiting_for_relay", condition=Q(position__isnull=True)),
            models.Index(fields=["subject", "id"], name="outbox_by_subject", condition=Q(position__isnull=False)),
            # Without the many that are about stock and name nobody: an empty array costs an entry, too.
            GinIndex(fields=["addressee_ids"], name="outbox_by_addressee", condition=~Q(addressee_ids=[])),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["position"], condition=Q(position__isnull=False), name="outbox_position_once"
            ),
            models.CheckConstraint(
                condition=Q(position__isnull=True, subject_version__isnull=True)
                | Q(position__gte=1, subject_version__gte=1),
                name="outbox_position_and_version_together",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.subject}"

    def data_told_to(self, partner: Partner) -> dict[str, Any]:
        """The payload as this partner may read it, by whatever way it travels: who is not told exact numbers hears
        that a level changed, and asks /availability."""
        rule = partner.disclosure_rule
        if self.is_about_stock:
            return rule.of_stock_event(self.payload)
        if self.type in TELL_WHERE_IT_LIES and not rule.is_exact and partner.kind != Partner.Kind.LOGISTICS:
            return {name: value for name, value in self.payload.items() if name != "items"}
        return dict(self.payload)

    def version_told_to(self, partner: Partner) -> int | None:
        """The subject's version; how often stock moved is not told to who is not told how much there is."""
        return None if self.is_about_stock and not partner.disclosure_rule.is_exact else self.subject_version


class SubjectVersion(models.Model):
    """How many events the feed has told about a subject; only the relay writes it."""

    subject = models.CharField(max_length=200, primary_key=True)
    version = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.subject} v{self.version}"


class Feed(models.Model):
    """The one feed: its head, and an epoch that changes when a backup is restored."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    epoch = models.UUIDField(default=uuid.uuid4)
    head = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="feed_is_one")]

    def __str__(self) -> str:
        return f"feed {self.epoch} at {self.head}"
