"""Who is calling, and whether the token's scope opens this door. Closed unless a view says otherwise."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from oauth2_provider.models import get_access_token_model
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from partners import scopes
from partners.actors import Actor
from partners.api.callers import Callers
from partners.models import Application, Partner
from partners.problems import Problem

REALM = 'Bearer realm="backstock"'


class InsufficientScope(Problem):
    """The token is good but does not open this door. Data: requiredScope."""

    code = "insufficient_scope"
    title = "The token's scope does not cover this"
    status = 403
    is_final = False


class PartnerSuspended(Problem):
    code = "partner_suspended"
    title = "This partner is suspended"
    status = 403
    is_final = False


class InvalidToken(AuthenticationFailed):
    """RFC 6750: the token was sent and is not good; whether unknown, expired or revoked."""

    default_detail = "The access token is unknown, expired or revoked."
    default_code = "invalid_token"


@dataclass(frozen=True, kw_only=True)
class Caller:
    """The partner's application behind a request; DRF knows it as `request.user`."""

    application: Application
    partner: Partner
    scopes: frozenset[str]
    is_authenticated: bool = True

    @property
    def actor(self) -> Actor:
        return Actor(
            kind="partner",
            label=f"partner:{self.partner.code}",
            application_id=self.application.pk,
            partner_id=self.partner.pk,
        )


def find_caller(credential: str, address: str) -> Caller:
    """Whose credential this is. One query, by the SHA-256. Raises InvalidToken and PartnerSuspended."""
    checksum = hashlib.sha256(credential.encode()).hexdigest()
    access = (
        get_access_token_model()
        .objects.select_related("application__partner")
        .filter(token_checksum=checksum, expires__gt=timezone.now())
        .first()
    )
    if access is None or access.application is None or access.application.partner is None:
        raise InvalidToken
    partner = access.application.partner
    if not partner.is_active:
        raise PartnerSuspended("Ask the operator of this site; nothing can be read or written meanwhile.")
    # A scope taken from the application shrinks the tokens already out.
    granted = frozenset(access.scope.split()) & frozenset(access.application.scopes)
    return Caller(application=access.application, partner=partner, scopes=granted)


CALLERS = Callers(find_caller, kept_seconds=settings.CALLERS_KEPT_SECONDS)


class BearerAuthentication(BaseAuthentication):
    """OAuth 2 bearer token from the Authorization header only."""

    def authenticate(self, request: Request) -> tuple[Caller, None] | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        return CALLERS.find_known(token.strip(), request.META.get("REMOTE_ADDR", "")), None

    def authenticate_header(self, request: Request) -> str:
        return REALM


def scope_for(view: Any, method: str | None) -> str | None:
    """The scope that opens this door for a method; None where it is closed."""
    scope: str | None = view.required_scopes.get("GET" if method == "HEAD" else method)
    return scope


class HasScope(BasePermission):
    """Each view names `required_scopes = {"GET": "orders:read", ...}`; a method not named is closed."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not isinstance(request.user, Caller):
            return False
        required = scope_for(view, request.method)
        if required is None:
            view.http_method_not_allowed(request)
        if required not in request.user.scopes:
            raise InsufficientScope(f"This needs the scope {required}.", requiredScope=required)
        return True


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = BearerAuthentication
    name = "oauth2"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "oauth2",
            "flows": {"clientCredentials": {"tokenUrl": "/oauth/token", "scopes": scopes.TEXTS}},
        }
