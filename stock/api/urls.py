from django.urls import path

from stock.api import availability, counts, inventory, locations, moves, reservations, transactions, transfers

urlpatterns = [
    path("inventory", inventory.Inventory.as_view()),
    path("inventory/transactions", transactions.Transactions.as_view()),
    path("inventory/moves", moves.Moves.as_view()),
    path("inventory/<str:supplier>/<str:sku>", inventory.ProductInventory.as_view()),
    path("availability", availability.Availability.as_view()),
    path("reservations", reservations.Reservations.as_view()),
    path("reservations/<uuid:public_id>", reservations.OneReservation.as_view()),
    path("reservations/<uuid:public_id>/extend", reservations.Extend.as_view()),
    path("reservations/<uuid:public_id>/commit", reservations.Commit.as_view()),
    path("reservations/<uuid:public_id>/release", reservations.Release.as_view()),
    path("transfers", transfers.Transfers.as_view()),
    path("transfers/<str:number>", transfers.OneTransfer.as_view()),
    path("transfers/<str:number>/dispatch", transfers.Dispatch.as_view()),
    path("transfers/<str:number>/arrive", transfers.Arrive.as_view()),
    path("transfers/<str:number>/cancel", transfers.Cancel.as_view()),
    path("warehouses/<str:code>/locations", locations.Locations.as_view()),
    path("counts", counts.Counts.as_view()),
    path("counts/<str:number>", counts.OneCount.as_view()),
    path("counts/<str:number>/lines", counts.Lines.as_view()),
    path("counts/<str:number>/lines/<str:line>/approve", counts.Approve.as_view()),
    path("counts/<str:number>/lines/<str:line>/reject", counts.Reject.as_view()),
    path("counts/<str:number>/post", counts.PostCount.as_view()),
    path("counts/<str:number>/cancel", counts.CancelCount.as_view()),
]
