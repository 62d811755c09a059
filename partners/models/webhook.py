from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

from partners.models.history import Traced
from partners.models.outbox import OutboxEvent
from partners.models.partner import Partner


class WebhookQuerySet(models.QuerySet["Webhook"]):
    def living(self) -> WebhookQuerySet:
        return self.exclude(status=Webhook.Status.REMOVED)

    def for_partner(self, partner: Partner) -> WebhookQuerySet:
        """Its own endpoints and nobody else's, whatever the kind."""
        return self.living().filter(partner=partner)

    def stopped(self) -> WebhookQuerySet:
        return self.filter(status__in=[Webhook.Status.PAUSED, Webhook.Status.DISABLED])

    def served(self) -> WebhookQuerySet:
        """Those that get letters now."""
        return self.filter(status=Webhook.Status.ACTIVE, partner__status=Partner.Status.ACTIVE)


class Webhook(models.Model):
    """An address of a partner's at which it wants to be told of events, and how far it has been told.

    `cursor` is the place in the feed up to which letters were made out. It stands still while the endpoint is
    paused or disabled, so that nothing is missed when it goes on. Secrets are closed by partners/strongbox.py.
    """

    class Status(models.TextChoices):
        ACTIVE = "active", "Active"
        PAUSED = "paused", "Paused"
        DISABLED = "disabled", "Disabled"
        REMOVED = "removed", "Removed"

    webhook_id = models.UUIDField("webhook", default=uuid.uuid4, unique=True, editable=False)
    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, related_name="webhooks")
    url = models.CharField("URL", max_length=500)
    description = models.CharField(max_length=200, blank=True)
    event_types = ArrayField(models.CharField(max_length=60), default=list, blank=True, help_text="None: all.")
    product_ids = ArrayField(models.CharField(max_length=64), default=list, blank=True, help_text="None: all.")
    min_interval_seconds = models.PositiveIntegerField(default=0)
    below_quantity = models.BigIntegerField(null=True, blank=True)
    above_quantity = models.BigIntegerField(null=True, blank=True)
    status = models.CharField(max_length=8, choices=Status, default=Status.ACTIVE)
    status_reason = models.CharField(max_length=200, blank=True)
    secret = models.BinaryField(editable=False)
    previous_secret = models.BinaryField(null=True, editable=False)
    previous_secret_until = models.DateTimeField(null=True, editable=False)
    cursor = models.BigIntegerField(default=0)
    failing_since = models.DateTimeField(null=True)
    failures_in_a_row = models.PositiveIntegerField(default=0)
    last_success_at = models.DateTimeField(null=True)
    rests_until = models.DateTimeField(null=True)
    tested_at = models.DateTimeField(null=True)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    history = HistoricalRecords(
        bases=[Traced],
        excluded_fields=[
            "secret", "previous_secret", "previous_secret_until", "cursor", "failing_since", "failures_in_a_row",
            "last_success_at", "rests_until", "tested_at",
        ],
    )  # fmt: skip
    objects = WebhookQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(below_quantity__isnull=True, above_quantity__isnull=True)
                | Q(below_quantity__gte=0, above_quantity__gte=models.F("below_quantity")),
                name="webhook_thresholds_together_and_in_order",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["active", "paused", "disabled", "removed"]), name="webhook_status_known"
            ),
            models.CheckConstraint(
                condition=Q(previous_secret__isnull=True, previous_secret_until__isnull=True)
                | Q(previous_secret__isnull=False, previous_secret_until__isnull=False),
                name="webhook_previous_secret_ends",
            ),
        ]

    def __str__(self) -> str:
        return self.url


class WebhookSide(models.Model):
    """On which side of an endpoint's thresholds a subject was when it was last looked at."""

    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="sides", db_index=False)
    subject = models.CharField(max_length=200)
    is_low = models.BooleanField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["webhook", "subject"], name="webhook_side_once")]

    def __str__(self) -> str:
        return f"{self.subject} {'low' if self.is_low else 'enough'}"


class WebhookDeliveryQuerySet(models.QuerySet["WebhookDelivery"]):
    def for_partner(self, partner: Partner) -> WebhookDeliveryQuerySet:
        return self.filter(webhook__in=Webhook.objects.for_partner(partner))

    def pending(self) -> WebhookDeliveryQuerySet:
        return self.filter(state=WebhookDelivery.State.PENDING)


class WebhookDelivery(models.Model):
    """One event owed to one endpoint. There is one row for each pair, however often it is tried or sent again.

    `attempts` is counted before a try, so that a try which ends the sender is counted too. While
    `in_flight_until` is ahead somebody is trying.
    """

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        DELIVERED = "delivered", "Delivered"
        FAILED = "failed", "Failed"
        COALESCED = "coalesced", "Coalesced"
        WITHHELD = "withheld", "Withheld"

    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    event = models.ForeignKey(OutboxEvent, on_delete=models.PROTECT, related_name="+")
    position = models.BigIntegerField()
    type = models.CharField(max_length=60)
    subject = models.CharField(max_length=200)
    state = models.CharField(max_length=9, choices=State, default=State.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField()
    in_flight_until = models.DateTimeField(null=True)
    last_status = models.PositiveSmallIntegerField(null=True)
    last_error = models.CharField(max_length=20, blank=True)
    last_milliseconds = models.PositiveIntegerField(null=True)
    last_attempt_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()

    objects = WebhookDeliveryQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "webhook deliveries"
        indexes = [
            models.Index(
                fields=["webhook", "next_attempt_at", "position"], name="delivery_due", condition=Q(state="pending")
            ),
            models.Index(fields=["webhook"], name="delivery_in_flight", condition=Q(in_flight_until__isnull=False)),
            models.Index(
                fields=["webhook", "subject", "position"], name="delivery_in_line", condition=Q(state="pending")
            ),
            models.Index(fields=["webhook", "subject", "delivered_at"], name="delivery_last_of_subject"),
            models.Index(fields=["webhook", "position"], name="delivery_given_up", condition=Q(state="failed")),
            models.Index(fields=["state", "created_at"], name="delivery_to_forget", condition=~Q(state="pending")),
        ]
        constraints = [
            models.UniqueConstraint(fields=["webhook", "event"], name="delivery_once_per_endpoint_and_event"),
            models.CheckConstraint(
                condition=Q(state="delivered", delivered_at__isnull=False)
                | (~Q(state="delivered") & Q(delivered_at__isnull=True)),
                name="delivery_delivered_has_a_time",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["pending", "delivered", "failed", "coalesced", "withheld"]),
                name="delivery_state_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.subject}"
