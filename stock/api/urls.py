from django.urls import path

from stock.api import availability, counts, inventory, reservations, transactions

urlpatterns = [
    path("inventory", inventory.Inventory.as_view()),
    path("inventory/transactions", transactions.Transactions.as_view()),
    path("inventory/<str:supplier>/<str:sku>", inventory.ProductInventory.as_view()),
    path("availability", availability.Availability.as_view()),
    path("reservations", reservations.Reservations.as_view()),
    path("reservations/<uuid:public_id>", reservations.OneReservation.as_view()),
    path("reservations/<uuid:public_id>/extend", reservations.Extend.as_view()),
    path("reservations/<uuid:public_id>/commit", reservations.Commit.as_view()),
    path("reservations/<uuid:public_id>/release", reservations.Release.as_view()),
    path("counts", counts.Counts.as_view()),
    path("counts/<str:number>", counts.OneCount.as_view()),
    path("counts/<str:number>/lines", counts.Lines.as_view()),
    path("counts/<str:number>/lines/<str:line>/approve", counts.Approve.as_view()),
    path("counts/<str:number>/lines/<str:line>/reject", counts.Reject.as_view()),
    path("counts/<str:number>/post", counts.PostCount.as_view()),
    path("counts/<str:number>/cancel", counts.CancelCount.as_view()),
]
