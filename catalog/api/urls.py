from django.urls import path

from catalog.api import barcodes, compliance, equivalents, fitments, imports, kits, prices, products, types

urlpatterns = [
    path("products", products.Products.as_view()),
    path("products/<str:sku>", products.Product.as_view()),
    path("products/<str:sku>/fitments", fitments.ProductFitments.as_view()),
    path("products/<str:sku>/components", kits.Components.as_view()),
    path("products/<str:sku>/compliance", compliance.Compliance.as_view()),
    path("products/<str:sku>/equivalents", equivalents.Equivalents.as_view()),
    path("productTypes", types.ProductTypes.as_view()),
    path("barcodes/read", barcodes.ReadBarcode.as_view()),
    path("prices/lookup", prices.PriceLookup.as_view()),
    path("imports/<str:number>/undo", imports.UndoImport.as_view()),
    path("fitments", fitments.Fitments.as_view()),
    path("vehicles/makes", fitments.Makes.as_view()),
    path("vehicles/models", fitments.Models.as_view()),
    path("vehicles/years", fitments.Years.as_view()),
    path("vehicles/engines", fitments.Engines.as_view()),
]
