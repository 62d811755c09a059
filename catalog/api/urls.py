from django.urls import path

from catalog.api import fitments, kits, products

urlpatterns = [
    path("products", products.Products.as_view()),
    path("products/<str:sku>", products.Product.as_view()),
    path("products/<str:sku>/fitments", fitments.ProductFitments.as_view()),
    path("products/<str:sku>/components", kits.Components.as_view()),
    path("fitments", fitments.Fitments.as_view()),
    path("vehicles/makes", fitments.Makes.as_view()),
    path("vehicles/models", fitments.Models.as_view()),
    path("vehicles/years", fitments.Years.as_view()),
]
