from django.urls import path

from partners.api import events, partners

urlpatterns = [
    path("suppliers", partners.Suppliers.as_view()),
    path("suppliers/<str:code>", partners.Supplier.as_view()),
    path("retailPartners", partners.RetailPartners.as_view()),
    path("retailPartners/<str:code>", partners.RetailPartner.as_view()),
    path("events", events.Events.as_view()),
    path("events/types", events.EventTypes.as_view()),
]
