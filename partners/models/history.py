"""What every history row says beside the values: who, through which door, in which request."""

from django.db import models

from partners import actors


class Traced(models.Model):
    """Base of the history tables; `history_user` names staff, `actor` names anybody."""

    actor = models.CharField(max_length=160, default=actors.current_label, editable=False)
    request_id = models.CharField(max_length=64, default=actors.current_request_id, editable=False, blank=True)

    class Meta:
        abstract = True
