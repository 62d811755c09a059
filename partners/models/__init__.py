from partners.models.idempotency import IdempotencyKey
from partners.models.outbox import Feed, OutboxEvent, SubjectVersion
from partners.models.partner import Application, Partner
from partners.models.webhook import Webhook, WebhookDelivery, WebhookSide

__all__ = [
    "Application",
    "Feed",
    "IdempotencyKey",
    "OutboxEvent",
    "Partner",
    "SubjectVersion",
    "Webhook",
    "WebhookDelivery",
    "WebhookSide",
]
