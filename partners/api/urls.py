from django.urls import path

from partners.api import credentials, events, partners, webhooks

urlpatterns = [
    path("suppliers", partners.Suppliers.as_view()),
    path("suppliers/<str:code>", partners.Supplier.as_view()),
    path("retailPartners", partners.RetailPartners.as_view()),
    path("retailPartners/<str:code>", partners.RetailPartner.as_view()),
    path("credentials", credentials.OwnApplication.as_view()),
    path("credentials/rotateSecret", credentials.SecretRotation.as_view()),
    path("apiKeys", credentials.ApiKeys.as_view()),
    path("apiKeys/<str:key_id>", credentials.OneApiKey.as_view()),
    path("apiKeys/<str:key_id>/revoke", credentials.ApiKeyRevocation.as_view()),
    path("events", events.Events.as_view()),
    path("events/types", events.EventTypes.as_view()),
    path("webhooks", webhooks.Webhooks.as_view()),
    path("webhooks/<uuid:webhook_id>", webhooks.OneWebhook.as_view()),
    path("webhooks/<uuid:webhook_id>/rotateSecret", webhooks.RotateSecret.as_view()),
    path("webhooks/<uuid:webhook_id>/test", webhooks.TestWebhook.as_view()),
    path("webhooks/<uuid:webhook_id>/replay", webhooks.ReplayWebhook.as_view()),
    path("webhooks/<uuid:webhook_id>/deliveries", webhooks.Deliveries.as_view()),
]
