from __future__ import annotations

from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from simple_history.models import HistoricalRecords

from partners import actors
from partners.models.history import Traced
from partners.models.partner import Application, Partner


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def for_partner(self, partner: Partner) -> ApiKeyQuerySet:
        return self.filter(application__partner=partner)

    def live(self, at: datetime) -> ApiKeyQuerySet:
        return self.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=at), revoked_at__isnull=True)


class ApiKey(models.Model):
    """A long-lived credential for partners whose systems cannot do OAuth; it acts as its application.

    The key is shown once. `prefix` is its first part and public; of the whole only the SHA-256 is kept,
    which is enough for 256 random bits.
    """

    application = models.ForeignKey(Application, on_delete=models.PROTECT, related_name="api_keys")
    name = models.CharField(max_length=100, help_text="What it is for, like the system that holds it.")
    prefix = models.CharField("key", max_length=12, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    scopes = ArrayField(models.CharField(max_length=40))
    allowed_networks = ArrayField(
        models.CharField(max_length=43), default=list, blank=True, help_text="Networks in CIDR; none: from anywhere."
    )
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(
        "last used", null=True, editable=False, help_text="To within ten minutes; a call is not a write."
    )
    revoked_at = models.DateTimeField("revoked", null=True, editable=False)
    made_by = models.CharField(max_length=160, default=actors.current_label, editable=False)
    created_at = models.DateTimeField("made", auto_now_add=True)

    history = HistoricalRecords(bases=[Traced], excluded_fields=["digest", "last_used_at"])
    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = "API key"
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=Q(prefix__regex=r"^bsk_[a-z0-9]{8}$"), name="api_key_prefix_readable"),
            models.CheckConstraint(condition=Q(digest__regex=r"^[0-9a-f]{64}$"), name="api_key_kept_as_sha256"),
            models.CheckConstraint(
                condition=Q(expires_at__isnull=True) | Q(expires_at__gt=F("created_at")),
                name="api_key_expires_after_it_is_made",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.prefix}… {self.name}"
