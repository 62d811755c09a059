"""Who is calling, and whether the token's scope opens this door. Closed unless a view says otherwise."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from oauth2_provider.models import get_access_token_model
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from partners import addresses, scopes
from partners.actors import Actor
from partners.api.callers import Callers
from partners.models import ApiKey, Application, AuthenticationAttempt, Partner
from partners.operations import api_keys, attempts
from partners.problems import Problem

REALM = 'Bearer realm="backstock"'
Kind = AuthenticationAttempt.Kind


class InsufficientScope(Problem):
    """The token is good but does not open this door. Data: requiredScope."""

    code = "insufficient_scope"
    title = "The token's scope does not cover this"
    remedy = "Ask for a token with requiredScope, or ask the operator to grant it."
    status = 403
    is_final = False


class PartnerSuspended(Problem):
    """The operator has suspended the partner; nothing can be read or written meanwhile."""

    code = "partner_suspended"
    title = "This partner is suspended"
    remedy = "Ask the operator of this site."
    status = 403
    is_final = False


class AddressNotAllowed(Problem):
    """The credential is good but may not be used from there. Data: address.

    A 403 and not a 401, because a client that is told to authenticate asks for token after token; and it is
    told its address, because a proxy or a new line of its own is behind nearly each of these.
    """

    code = "address_not_allowed"
    title = "Not from this address"
    remedy = "Call from a network of allowedAddresses, or have the address in the detail added to it."
    status = 403
    is_final = False


class InvalidToken(AuthenticationFailed):
    """RFC 6750: the credential was sent and is not good; whether unknown, expired or revoked.

    `reason`, `name` and `application_id` are for our own auditors, not for the caller.
    """

    default_detail = "The access token or API key is unknown, expired or revoked."
    default_code = "invalid_token"

    def __init__(self, reason: str = "unknown", *, name: str = "", application_id: int | None = None) -> None:
        super().__init__()
        self.reason, self.name, self.application_id = reason, name, application_id


class TwoCredentials(Problem):
    """RFC 6750 section 2: a request shows its credential in one way."""

    code = "two_credentials"
    title = "Send one credential"
    remedy = "Send `Authorization` or `X-API-Key`, one of them and once."
    status = 400
    is_final = False


@dataclass(frozen=True, kw_only=True)
class Caller:
    """The partner's application behind a request; DRF knows it as `request.user`."""

    application: Application
    partner: Partner
    scopes: frozenset[str]
    # The API key it came with; null: an access token.
    api_key: ApiKey | None = None
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
    """Whose access token or API key this is, when it may be used now and from `address`; one query.

    Raises InvalidToken, PartnerSuspended and AddressNotAllowed. The first use of an API key in ten minutes
    is written down as well.
    """
    at = timezone.now()
    if credential.startswith(api_keys.MARK):
        return _caller_by_key(credential, address, at)
    checksum = hashlib.sha256(credential.encode()).hexdigest()
    tokens = get_access_token_model().objects.select_related("application__partner")
    access = tokens.filter(token_checksum=checksum).first()
    if access is None or access.application is None or access.application.partner is None:
        raise InvalidToken
    application = access.application
    if access.expires <= at:
        raise InvalidToken("expired", name=application.client_id, application_id=application.pk)
    _check_application(application, address)
    # A scope taken from the application shrinks the tokens already out.
    granted = frozenset(access.scope.split()) & frozenset(application.scopes)
    return Caller(application=application, partner=application.partner, scopes=granted)


def _caller_by_key(credential: str, address: str, at: datetime) -> Caller:
    """Found by its public first part, then compared as a whole in constant time."""
    prefix = credential[: api_keys.PREFIX_LENGTH].replace("\x00", "")
    key = ApiKey.objects.select_related("application__partner").filter(prefix=prefix).first()
    if key is None or not constant_time_compare(key.digest, api_keys.digest_of(credential)):
        raise InvalidToken(name=key.prefix if key else "")
    application = key.application
    if key.revoked_at or (key.expires_at and key.expires_at <= at) or application.partner is None:
        reason = "revoked" if key.revoked_at else "expired"
        raise InvalidToken(reason, name=key.prefix, application_id=application.pk)
    _check_application(application, address)
    _check_address(address, key.allowed_networks)
    if api_keys.note_use(api_key=key, at=at):
        attempts.record(
            kind=Kind.API_KEY,
            outcome=attempts.OK,
            name=key.prefix,
            application_id=application.pk,
            address=address,
            at=at,
        )
    granted = frozenset(key.scopes) & frozenset(application.scopes)
    return Caller(application=application, partner=application.partner, scopes=granted, api_key=key)


def _check_application(application: Application, address: str) -> None:
    if application.partner is None or not application.partner.is_active:
        raise PartnerSuspended("Ask the operator of this site; nothing can be read or written meanwhile.")
    _check_address(address, application.allowed_networks)


def _check_address(address: str, networks: list[str]) -> None:
    if not addresses.is_allowed(address, networks):
        raise AddressNotAllowed(
            f"This credential may not be used from {address or 'there'}; its owner says from where.", address=address
        )


CALLERS = Callers(find_caller, kept_seconds=settings.CALLERS_KEPT_SECONDS)


class BearerAuthentication(BaseAuthentication):
    """An access token or API key from the Authorization header, or an API key from X-API-Key; never from the address."""

    def authenticate(self, request: Request) -> tuple[Caller, None] | None:
        credential = shown_credential(request)
        if credential is None:
            return None
        address = addresses.client_address(request)
        try:
            return CALLERS.find_known(credential, address), None
        except (InvalidToken, PartnerSuspended, AddressNotAllowed) as refusal:
            note_refusal(request, credential, address, refusal)
            raise

    def authenticate_header(self, request: Request) -> str:
        metadata = request.build_absolute_uri("/.well-known/oauth-protected-resource")
        return f'{REALM}, resource_metadata="{metadata}"'


def shown_credential(request: Request) -> str | None:
    """What the headers show, if anything. Raises TwoCredentials, and InvalidToken for an X-API-Key that is no key."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else None
    key = request.headers.get("X-API-Key")
    if key is None:
        return bearer
    if bearer is not None:
        raise TwoCredentials("Either Authorization: Bearer or X-API-Key.")
    # An access token is no key: it would outlive its hour in configuration files.
    return key.strip() if key.strip().startswith(api_keys.MARK) else api_keys.MARK


def note_refusal(request: Request, credential: str, address: str, refusal: InvalidToken | Problem) -> None:
    """For auditors; the credential itself is never written down."""
    is_key = credential.startswith(api_keys.MARK)
    attempts.record(
        kind=Kind.API_KEY if is_key else Kind.BEARER,
        outcome=refusal.reason if isinstance(refusal, InvalidToken) else refusal.code,
        name=refusal.name if isinstance(refusal, InvalidToken) else "",
        application_id=getattr(refusal, "application_id", None),
        address=address,
        user_agent=request.headers.get("User-Agent", ""),
        at=timezone.now(),
    )


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
    name = ["oauth2", "apiKey"]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, Any]]:
        return [
            {
                "type": "oauth2",
                "flows": {"clientCredentials": {"tokenUrl": "/oauth/token", "scopes": scopes.TEXTS}},
            },
            {
                "type": "apiKey",
                "in": "header",
                "name": "X-API-Key",
                "description": "For systems that cannot do OAuth: `bsk_…`, here or as a bearer token. It has scopes of its own.",
            },
        ]
