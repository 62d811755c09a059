from __future__ import annotations

from django.db import models
from django.db.models import Q

from partners.models import Partner

# Whose stock a partner may be promised; `level` is the table's alias, both parameters are the partner's id.
GRANTED_SQL = """
    (level.owner_id IS NULL OR level.owner_id = %s OR EXISTS (
        SELECT FROM stock_ownergrant g
         WHERE g.owner_id = level.owner_id AND (g.partner_id IS NULL OR g.partner_id = %s)))
"""


def visible_to(partner: Partner, prefix: str = "") -> Q:
    """Rows with an `owner` the partner may see: ours, its own, and what other owners grant it.

    `prefix` is the way to these rows from others, as `levels__`.
    """
    granted = OwnerGrant.objects.filter(Q(partner=None) | Q(partner=partner))
    owner = f"{prefix}owner"
    return Q((owner, None)) | Q((owner, partner)) | Q((f"{owner}__in", granted.values("owner")))


def owners_seen_by(partner: Partner) -> list[int]:
    """The ids of `visible_to`'s owners, for SQL: the partner itself, and who grants it. One query."""
    granted = OwnerGrant.objects.filter(Q(partner=None) | Q(partner=partner))
    return [partner.pk, *granted.values_list("owner", flat=True)]


class OwnerGrant(models.Model):
    """An owner lets its consigned stock be promised: to one partner, or to everybody.

    Without a grant, stock that lies with us and belongs to another is counted, kept apart, and promised to
    its owner alone.
    """

    owner = models.ForeignKey(Partner, on_delete=models.PROTECT, related_name="+")
    partner = models.ForeignKey(
        Partner, on_delete=models.PROTECT, null=True, blank=True, related_name="+", help_text="Empty: everybody."
    )

    class Meta:
        ordering = ["owner_id", "id"]
        constraints = [
            models.UniqueConstraint(fields=["owner", "partner"], name="owner_grant_once", nulls_distinct=False)
        ]

    def __str__(self) -> str:
        return f"{self.owner_id} to {self.partner_id or 'everybody'}"
