"""Every address of the site."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerView
from oauth2_provider.views import TokenView

from inventory_site import health, metrics
from partners.api import docs

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("oauth/token", TokenView.as_view(), name="token"),
    path("api/v1/", include("partners.api.urls")),
    path("api/v1/", include("catalog.api.urls")),
    path("api/v1/", include("stock.api.urls")),
    path("api/v1/", include("orders.api.urls")),
    path("api/schema", docs.schema, name="schema"),
    path(
        "api/docs",
        SpectacularSwaggerView.as_view(url_name="schema", authentication_classes=[], permission_classes=[]),
        name="docs",
    ),
    path(
        "api/redoc",
        SpectacularRedocView.as_view(url_name="schema", authentication_classes=[], permission_classes=[]),
        name="redoc",
    ),
    path("api/docs/quickstart", docs.quick_start, name="quickstart"),
    path("api/docs/problems", docs.refusals, name="problems"),
    path("api/docs/events", docs.event_types, name="event-types"),
    path("api/docs/changelog", docs.changes, name="api-changes"),
    path("livez", health.live),
    path("readyz", health.ready),
    path("metrics", metrics.show),
]

handler500 = "partners.api.errors.answer_fault"
