from partners.models.attempt import AuthenticationAttempt
from partners.models.credentials import ApiKey
from partners.models.idempotency import IdempotencyKey
from partners.models.outbox import Feed, OutboxEvent, SubjectVersion
from partners.models.partner import Application, Partner
from partners.models.second_factor import RecoveryCode, SecondFactor
from partners.models.webhook import Webhook, WebhookDelivery, WebhookSide

__all__ = [
    "ApiKey",
    "Application",
    "AuthenticationAttempt",
    "Feed",
    "IdempotencyKey",
    "OutboxEvent",
    "Partner",
    "RecoveryCode",
    "SecondFactor",
    "SubjectVersion",
    "Webhook",
    "WebhookDelivery",
    "WebhookSide",
]
