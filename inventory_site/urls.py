"""Every address of the site."""

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularRedocView, SpectacularSwaggerView
from oauth2_provider.views import TokenView

from inventory_site import health, metrics
from partners.api import errors

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("oauth/token", TokenView.as_view(), name="token"),
    path("api/v1/", include("partners.api.urls")),
    path("api/v1/", include("catalog.api.urls")),
    path("api/v1/", include("stock.api.urls")),
    path("api/v1/", include("orders.api.urls")),
    path("api/schema", SpectacularAPIView.as_view(authentication_classes=[], permission_classes=[]), name="schema"),
    path(
        "api/docs",
        SpectacularSwaggerView.as_view(url_name="schema", authentication_classes=[], permission_classes=[]),
        name="docs",
    ),
    path(
        "api/redoc", SpectacularRedocView.as_view(url_name="schema", authentication_classes=[], permission_classes=[])
    ),
    # A debugging site has a page of its own for what is not there; a program reads problems only.
    re_path("^api/", errors.nothing_here),
    path("livez", health.live),
    path("readyz", health.ready),
    path("metrics", metrics.show),
]

handler400 = "partners.api.errors.answer_malformed"
handler403 = "partners.api.errors.answer_not_allowed"
handler404 = "partners.api.errors.answer_nothing_here"
handler500 = "partners.api.errors.answer_fault"
