from partners.models.idempotency import IdempotencyKey
from partners.models.outbox import Feed, OutboxEvent, SubjectVersion
from partners.models.partner import Application, Partner

__all__ = ["Application", "Feed", "IdempotencyKey", "OutboxEvent", "Partner", "SubjectVersion"]
