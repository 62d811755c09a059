from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q


class SecondFactor(models.Model):
    """A member of staff's authenticator app. Counts from the moment a first code of it was right (`confirmed_at`)."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="second_factor")
    secret = models.BinaryField(help_text="Encrypted by the site's key (strongbox.py).")
    confirmed_at = models.DateTimeField(null=True)
    last_step = models.BigIntegerField(default=0, help_text="The code of this step, or of an earlier one, is used up.")
    failures = models.PositiveSmallIntegerField(default=0, help_text="Wrong codes since the last right one.")
    failed_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=Q(failures=0) | Q(failed_at__isnull=False), name="second_factor_failure_has_a_time"
            ),
        ]

    def __str__(self) -> str:
        return f"second factor of {self.user_id}"


class RecoveryCode(models.Model):
    """Lets its owner in once when the app is lost. 80 random bits, so that their SHA-256 is kept and no more."""

    factor = models.ForeignKey(SecondFactor, on_delete=models.CASCADE, related_name="recovery_codes")
    digest = models.CharField(max_length=64)
    used_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["factor", "digest"], name="recovery_code_once")]

    def __str__(self) -> str:
        return f"recovery code of {self.factor}"
