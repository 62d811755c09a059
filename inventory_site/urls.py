"""Every address of the site."""

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerView

from inventory_site import health, metrics
from partners.admin import login
from partners.api import docs, errors, tokens

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    # Before the admin's own, which would let in by a password alone.
    path("admin/login/", login.Password.as_view(), name="staff_login"),
    path("admin/login/code", login.Code.as_view(), name="staff_login_code"),
    path("admin/second-factor", login.second_factor_page, name="staff_second_factor"),
    path("admin/", admin.site.urls),
    path("oauth/token", tokens.Token.as_view(), name="token"),
    path("oauth/introspect", tokens.Introspection.as_view(), name="introspect"),
    path("oauth/revoke", tokens.Revocation.as_view(), name="revoke"),
    path(".well-known/oauth-authorization-server", tokens.server_metadata),
    path(".well-known/oauth-protected-resource", tokens.resource_metadata),
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
