"""/oauth: a token is issued, asked about and taken back; and the documents by which clients find all that."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from oauth2_provider.models import get_access_token_model
from oauth2_provider.views import TokenView

from partners import addresses, oauth, scopes
from partners.models import ApiKey, Application, AuthenticationAttempt
from partners.operations import attempts, credentials

Kind = AuthenticationAttempt.Kind
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
ASK_SECRET = {"WWW-Authenticate": 'Basic realm="backstock"'}


class Token(TokenView):
    """POST /oauth/token, the client-credentials grant. Answers and errors of RFC 6749, never kept by anybody between."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        # The library's other grants are none of ours, and fail on what is missing from them.
        if (grant := request.POST.get("grant_type", "")) != "client_credentials":
            error = "unsupported_grant_type" if grant else "invalid_request"
            note(request, Kind.TOKEN, error, named_client(request))
            return refuse(400, error, "Send grant_type=client_credentials; no other grant is spoken here.")
        if refused := hindrance(request):
            return refused
        response: HttpResponse = super().post(request, *args, **kwargs)
        body = json.loads(response.content)
        outcome = attempts.OK if response.status_code == 200 else body.get("error", "invalid_request")
        note(request, Kind.TOKEN, outcome, named_client(request))
        for name, value in (NO_STORE | (ASK_SECRET if response.status_code == 401 else {})).items():
            response[name] = value
        return response


def hindrance(request: HttpRequest) -> HttpResponse | None:
    """A client with the right secret that may have no token all the same: suspended, or from elsewhere."""
    client = shown_client(request)
    if client is None:
        return None
    if not is_active(client):
        note(request, Kind.TOKEN, "partner_suspended", client)
        return refuse(400, "unauthorized_client", "This partner is suspended; ask the operator of this site.")
    if not addresses.is_allowed(address := addresses.client_address(request), client.allowed_networks):
        note(request, Kind.TOKEN, "address_not_allowed", client)
        return refuse(
            400, "unauthorized_client", f"Not from {address or 'there'}: it is not among the allowed addresses."
        )
    return None


@method_decorator(csrf_exempt, name="dispatch")
class ClientDoor(View):
    """A question of a client about what is its own; it shows its secret as at the token endpoint."""

    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest) -> HttpResponse:
        client = shown_client(request)
        if client is None or not is_active(client):
            note(request, Kind.CLIENT, "invalid_client", named_client(request))
            return refuse(401, "invalid_client", "Show client id and secret by HTTP Basic.")
        if not addresses.is_allowed(addresses.client_address(request), client.allowed_networks):
            note(request, Kind.CLIENT, "address_not_allowed", client)
            return refuse(403, "unauthorized_client", "Not from this address.")
        if request.GET or len(request.POST.getlist("token")) != 1 or not request.POST["token"]:
            return refuse(400, "invalid_request", "Send one token in the body.")
        return self.answer(client, request.POST["token"])

    def answer(self, client: Application, credential: str) -> HttpResponse:
        raise NotImplementedError


class Introspection(ClientDoor):
    """POST /oauth/introspect (RFC 7662): whether a token or API key of the asking client is good, and for what."""

    def answer(self, client: Application, credential: str) -> HttpResponse:
        return JsonResponse(self.found(client, credential) or {"active": False}, headers=NO_STORE)

    def found(self, client: Application, credential: str) -> dict[str, Any] | None:
        """None for another's, an unknown, an expired and a revoked one alike."""
        now, digest = timezone.now(), hashlib.sha256(credential.encode()).hexdigest()
        token = get_access_token_model().objects.filter(
            application=client, token_checksum=digest, expires__gt=now
        ).first()  # fmt: skip
        if token is not None:
            return described(client, token.scope.split(), token.created, token.expires, "Bearer")
        key = ApiKey.objects.live(now).filter(application=client, digest=digest).first()
        return described(client, key.scopes, key.created_at, key.expires_at, "api_key") if key else None


def described(client: Application, granted: list[str], since: Any, until: Any, kind: str) -> dict[str, Any]:
    return {
        "active": True,
        "scope": " ".join(scope for scope in granted if scope in client.scopes),
        "client_id": client.client_id,
        "token_type": kind,
        "iat": int(since.timestamp()),
        **({"exp": int(until.timestamp())} if until else {}),
    }


class Revocation(ClientDoor):
    """POST /oauth/revoke (RFC 7009): 200 whether or not there was something of the client's to take back."""

    def answer(self, client: Application, credential: str) -> HttpResponse:
        credentials.revoke(application=client, credential=credential, at=timezone.now())
        return HttpResponse(headers=NO_STORE)


def is_active(client: Application) -> bool:
    return client.partner is not None and client.partner.is_active


def server_metadata(request: HttpRequest) -> HttpResponse:
    """GET /.well-known/oauth-authorization-server (RFC 8414)."""
    methods = ["client_secret_basic", "client_secret_post"]
    at = partial(address_of, request)
    return JsonResponse(
        {
            "issuer": issuer(request),
            "token_endpoint": at("token"),
            "token_endpoint_auth_methods_supported": methods,
            "introspection_endpoint": at("introspect"),
            "introspection_endpoint_auth_methods_supported": methods,
            "revocation_endpoint": at("revoke"),
            "revocation_endpoint_auth_methods_supported": methods,
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": [],
            "scopes_supported": list(scopes.TEXTS),
            "service_documentation": at("docs"),
        }
    )


def resource_metadata(request: HttpRequest) -> HttpResponse:
    """GET /.well-known/oauth-protected-resource (RFC 9728)."""
    return JsonResponse(
        {
            "resource": issuer(request),
            "authorization_servers": [issuer(request)],
            "scopes_supported": list(scopes.TEXTS),
            "bearer_methods_supported": ["header"],
            "resource_documentation": address_of(request, "docs"),
        }
    )


def issuer(request: HttpRequest) -> str:
    return request.build_absolute_uri("/").rstrip("/")


def address_of(request: HttpRequest, name: str) -> str:
    return request.build_absolute_uri(reverse(name))


def shown_client(request: HttpRequest) -> Application | None:
    """The client whose secret the request shows; worked out once."""
    if not hasattr(request, "shown_client"):
        form = request.POST
        request.shown_client = oauth.client_of(  # type: ignore[attr-defined]
            request.headers.get("Authorization", ""), form.get("client_id", ""), form.get("client_secret", "")
        )
    return request.shown_client  # type: ignore[attr-defined]


def named_client(request: HttpRequest) -> Application | None:
    """The client the request names, whatever it shows: auditors want to know as whom it was tried."""
    named = oauth.read_basic(request.headers.get("Authorization", ""))[0] or request.POST.get("client_id", "")
    return None if "\x00" in named else Application.objects.filter(client_id=named).first()


def note(request: HttpRequest, kind: str, outcome: str, client: Application | None) -> None:
    attempts.record(
        kind=kind,
        outcome=outcome,
        name=client.client_id if client else "",
        application_id=client.pk if client else None,
        address=addresses.client_address(request),
        user_agent=request.headers.get("User-Agent", ""),
        at=timezone.now(),
    )


def refuse(status: int, error: str, description: str) -> HttpResponse:
    headers = NO_STORE | (ASK_SECRET if status == 401 else {})
    return JsonResponse({"error": error, "error_description": description}, status=status, headers=headers)
