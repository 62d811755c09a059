from django.urls import path

from orders.api import orders, returns, shipments

urlpatterns = [
    path("orders", orders.Orders.as_view()),
    path("orders/<str:number>", orders.OneOrder.as_view()),
    path("orders/<str:number>/confirm", orders.Confirm.as_view()),
    path("orders/<str:number>/pack", orders.Pack.as_view()),
    path("orders/<str:number>/cancel", orders.Cancel.as_view()),
    path("shipments", shipments.Shipments.as_view()),
    path("shipments/<str:number>", shipments.OneShipment.as_view()),
    path("shipments/<str:number>/deliver", shipments.Deliver.as_view()),
    path("returns", returns.Returns.as_view()),
    path("returns/<str:number>", returns.OneReturn.as_view()),
    path("returns/<str:number>/receive", returns.Receive.as_view()),
    path("returns/<str:number>/inspect", returns.Inspect.as_view()),
]
