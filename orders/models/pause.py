from __future__ import annotations

from django.db import models

from orders.models.order import Order


class FillPause(models.Model):
    """An order waits, something of it is free, and none of that could be promised to it: there is no use in asking
    again before stock changes, or some time has passed. Goes when something was promised."""

    order = models.OneToOneField(Order, on_delete=models.CASCADE, related_name="fill_pause")
    tries = models.PositiveIntegerField(help_text="How often in a row.")
    tried_at = models.DateTimeField()
    until = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(until__gt=models.F("tried_at")), name="fill_pause_ends_later"),
        ]

    def __str__(self) -> str:
        return f"{self.order} until {self.until:%H:%M:%S}"
