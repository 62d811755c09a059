"""What is said at a token endpoint to get a token."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote_plus


class Grant(Protocol):
    """One way of asking. Who says the same form and headers to the same address shares a token."""

    def form(self) -> dict[str, str]: ...

    def headers(self) -> dict[str, str]: ...


@dataclass(frozen=True)
class ClientCredentials:
    """RFC 6749 section 4.4. `secret_in` is `header` (HTTP Basic, the default) or `body` for sites that want it there.

    `extra` are further fields of the form that the endpoint asks for, like `audience` or `resource`.
    """

    client_id: str
    client_secret: str = field(repr=False)
    scope: str = ""
    secret_in: str = "header"  # noqa: S105  a place, not a secret
    extra: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.secret_in not in {"header", "body"}:
            raise ValueError("secret_in is header or body.")

    def form(self) -> dict[str, str]:
        fields = {"grant_type": "client_credentials", **self.extra}
        if self.scope:
            fields["scope"] = self.scope
        if self.secret_in == "body":  # noqa: S105  a place, not a secret
            fields |= {"client_id": self.client_id, "client_secret": self.client_secret}
        return fields

    def headers(self) -> dict[str, str]:
        return _basic(self.client_id, self.client_secret) if self.secret_in == "header" else {}  # noqa: S105  a place, not a secret


@dataclass(frozen=True)
class PasswordGrant:
    """`grant_type=password`, which NewStore and other older sites still ask for; a client of its own is optional."""

    username: str
    password: str = field(repr=False)
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    scope: str = ""
    extra: Mapping[str, str] = field(default_factory=dict, repr=False)

    def form(self) -> dict[str, str]:
        fields = {"grant_type": "password", "username": self.username, "password": self.password, **self.extra}
        if self.scope:
            fields["scope"] = self.scope
        if self.client_id and not self.client_secret:
            fields["client_id"] = self.client_id
        return fields

    def headers(self) -> dict[str, str]:
        return _basic(self.client_id, self.client_secret) if self.client_secret else {}


def _basic(client_id: str, client_secret: str) -> dict[str, str]:
    """Both parts are form-encoded before base64 (RFC 6749 section 2.3.1), so that a colon in them survives."""
    pair = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
