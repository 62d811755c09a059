"""What the OAuth library asks us: who a client is, and which scopes an application may be given."""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import unquote_plus

from django.utils import timezone
from oauth2_provider.oauth2_validators import OAuth2Validator
from oauth2_provider.scopes import BaseScopes

from partners.models import Application
from partners.operations import credentials
from partners.scopes import TEXTS


class ApplicationScopes(BaseScopes):
    """The token endpoint's view of scopes: an application gets no more than it was given."""

    def get_all_scopes(self) -> dict[str, str]:
        return TEXTS

    def get_available_scopes(self, application: Any = None, request: Any = None, *args: Any, **kw: Any) -> list[str]:
        return application.scopes if application else list(TEXTS)

    def get_default_scopes(self, application: Any = None, request: Any = None, *args: Any, **kw: Any) -> list[str]:
        return self.get_available_scopes(application)


class Validator(OAuth2Validator):
    """Knows a client by either of its two secrets, with the same work for a client that is not there."""

    def authenticate_client(self, request: Any, *args: Any, **kwargs: Any) -> bool:
        authorization = request.headers.get("HTTP_AUTHORIZATION", "")
        request.client = client_of(
            authorization, request.client_id or "", getattr(request, "client_secret", None) or ""
        )
        return request.client is not None

    def authenticate_client_id(self, client_id: str, request: Any, *args: Any, **kwargs: Any) -> bool:
        """Nobody is let in by a name alone: all our clients keep a secret."""
        return False


def client_of(authorization: str, client_id: str = "", client_secret: str = "") -> Application | None:
    """The application that shows its secret, by HTTP Basic (form-encoded, RFC 6749 2.3.1) or in the body; not by both."""
    if authorization:
        client_id, client_secret = ("", "") if client_secret else read_basic(authorization)
    if "\x00" in client_id:
        client_id = ""
    found = Application.objects.select_related("partner").filter(client_id=client_id, partner__isnull=False).first()
    return found if credentials.matching_secret(application=found, secret=client_secret, at=timezone.now()) else None


def read_basic(authorization: str) -> tuple[str, str]:
    """Client id and secret as they were before form-encoding; two empty texts where there are none."""
    scheme, _, text = authorization.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, _, secret = base64.b64decode(text.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return unquote_plus(name), unquote_plus(secret)
