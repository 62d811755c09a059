from django.db import models


class IdempotencyKey(models.Model):
    """One effect that was asked for by key, and the answer it got, byte for byte.

    The row is inserted in the transaction of the effect, so it is there exactly when the effect is.
    Refers to the application without a constraint: the row is written on the hot path.
    """

    application = models.ForeignKey(
        "partners.Application", on_delete=models.CASCADE, db_constraint=False, related_name="+"
    )
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of method, path and body.")
    status = models.PositiveSmallIntegerField(null=True)
    body = models.BinaryField(null=True)
    headers = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["application", "key"], name="idempotency_key_once_per_application"),
        ]

    def __str__(self) -> str:
        return self.key
