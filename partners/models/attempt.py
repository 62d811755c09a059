from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q


class AuthenticationAttempt(models.Model):
    """Somebody asked to be let in, for auditors: when, how, as whom, from where, and what came of it.

    Alike attempts of one minute are one row with a count (see operations/attempts.py), so that a flood
    cannot fill the disk. Refers to the application without a constraint: the row outlives it.
    """

    class Kind(models.TextChoices):
        TOKEN = "token", "Token asked for"
        CLIENT = "client", "Client's own question"
        BEARER = "bearer", "Access token"
        API_KEY = "api_key", "API key"
        STAFF = "staff", "Password"
        TOTP = "totp", "Second factor"

    at = models.DateTimeField("first at", help_text="The first of them.")
    last_at = models.DateTimeField(help_text="The last of them.")
    count = models.PositiveIntegerField(default=1, help_text="How many alike in this minute.")
    kind = models.CharField(max_length=8, choices=Kind)
    succeeded = models.BooleanField()
    outcome = models.CharField(max_length=40, help_text="ok, or why not.")
    names = ArrayField(models.CharField(max_length=160), help_text="Of whom; of many alike the first ten.")
    application_id = models.BigIntegerField(null=True)
    address = models.GenericIPAddressField(null=True, help_text="From where the first came; none: from too many.")
    user_agent = models.CharField(max_length=200, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    alike = models.CharField(max_length=300, unique=True, editable=False)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["at"], name="attempt_by_time"),
            models.Index(fields=["-id"], name="attempt_refused", condition=Q(succeeded=False)),
            models.Index(fields=["address", "-id"], name="attempt_by_address"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(succeeded=True, outcome="ok") | (Q(succeeded=False) & ~Q(outcome="ok")),
                name="attempt_succeeded_means_ok",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.outcome}"
