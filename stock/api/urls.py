from django.urls import path

from stock.api import availability, breaks, inventory, reasons, reservations, transactions

urlpatterns = [
    path("inventory", inventory.Inventory.as_view()),
    path("inventory/transactions", transactions.Transactions.as_view()),
    path("inventory/breaks", breaks.Breaks.as_view()),
    path("inventory/<str:supplier>/<str:sku>", inventory.ProductInventory.as_view()),
    path("reasons", reasons.Reasons.as_view()),
    path("availability", availability.Availability.as_view()),
    path("reservations", reservations.Reservations.as_view()),
    path("reservations/<uuid:public_id>", reservations.OneReservation.as_view()),
    path("reservations/<uuid:public_id>/extend", reservations.Extend.as_view()),
    path("reservations/<uuid:public_id>/commit", reservations.Commit.as_view()),
    path("reservations/<uuid:public_id>/release", reservations.Release.as_view()),
]
