from django.urls import path

from partners.api import credentials, events, partners

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
]
