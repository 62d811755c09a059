"""The short way in for the few calls that come by the thousand, in front of Django.

A call that is plainly good passes the same gate (token, scope, limits, a reader's place), is answered by the same
function as its view, and gets the same bytes and headers, without the framework's machinery in between. Whatever
is unusual about a call, or goes wrong with it, is handed on to Django as if nothing had been: the view is the
description, and the only place where refusals are worded.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import close_old_connections, connection
from django.http.request import split_domain_port, validate_host
from django.utils.csp import build_policy
from rest_framework.renderers import JSONRenderer

from partners import actors, addresses, request_log
from partners.api import gate, limiting, parsing
from partners.api.auth import CALLERS, Caller
from partners.api.gate import Passage
from partners.api.plain import Unusual
from partners.middleware import named

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
Start = Callable[..., Any]
Site = Callable[[Environ, Any], Iterable[Any]]

PLAIN_ACCEPTS = {None, "*/*", "application/json"}
# Each of them may change how Django would answer.
UNUSUAL_HEADERS = (
    "HTTP_COOKIE", "HTTP_TRANSFER_ENCODING", "HTTP_CONTENT_ENCODING", "HTTP_X_API_KEY",
)  # fmt: skip
REASONS = {200: "200 OK", 201: "201 Created", 409: "409 Conflict"}
RENDERER = JSONRenderer()
GOOD_SECONDS = 1.0
mine = threading.local()


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """What a room is told: who asks, the body as parsed, and the key of a write."""

    caller: Caller
    path: str
    body: Any
    idempotency_key: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Room:
    """A door's short way: `answer` raises whatever it likes before it has done anything for good."""

    route: str
    scope: str
    allow: str
    answer: Callable[[Call], Answer]


def rendered(data: Any) -> Answer:
    """A view's 200 with these data."""
    return Answer(status=200, headers={"Content-Type": "application/json"}, body=RENDERER.render(data))


class Entrance:
    """The WSGI application: the rooms' short ways, and the site for all the rest."""

    def __init__(self, site: Site, rooms: Iterable[Room]) -> None:
        self.site = site
        self.rooms = {f"/{room.route}": room for room in rooms}
        self.hosts: set[str] = set()
        self.common = common_headers()

    def __call__(self, environ: Environ, start: Start) -> Iterable[Any]:
        room = self.rooms.get(environ["PATH_INFO"])
        if room is None or not self.is_plain(environ):
            return self.site(environ, start)
        began = time.perf_counter()
        passage = environ["backstock.passage"] = Passage()
        raw = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        request_id = named(environ.get("HTTP_X_REQUEST_ID", ""))
        try:
            answer = self.answer(environ, room, raw, request_id, passage)
        except Exception:  # noqa: BLE001  whatever it is, the view says it
            environ["wsgi.input"] = io.BytesIO(raw)
            environ["HTTP_X_REQUEST_ID"] = request_id
            return self.site(environ, start)
        headers = [
            *answer.headers.items(), ("Content-Length", str(len(answer.body))), ("Allow", room.allow),
            ("X-Request-Id", request_id), *self.common, *limiting.headers(passage.spent),  # type: ignore[arg-type]
        ]  # fmt: skip
        mine.good_at = time.monotonic()
        start(REASONS.get(answer.status) or f"{answer.status} Status", headers)
        request_log.write(
            method="POST", route=room.route, status=answer.status, began=began, request_id=request_id, passage=passage
        )
        return [answer.body]

    def answer(self, environ: Environ, room: Room, raw: bytes, request_id: str, passage: Passage) -> Answer:
        """Through the gate, step for step as a view would be. Raises whatever makes it the site's business."""
        refresh()
        caller = CALLERS.find_known(environ["HTTP_AUTHORIZATION"][7:].strip(), addresses.address_in(environ))
        if room.scope not in caller.scopes:
            raise Unusual
        passage.client_id = caller.application.client_id
        budget = limiting.budget_of(room.scope)
        if limiting.is_spent(caller.application, budget):
            raise Unusual
        with actors.answering(request_id), actors.acting(caller.actor):
            call = Call(
                caller=caller, path=environ["PATH_INFO"], body=parsing.parse(raw),
                idempotency_key=environ.get("HTTP_IDEMPOTENCY_KEY"),
            )  # fmt: skip
            if budget == "writes":
                gate.pay(passage, caller, budget, limiting.cost_of_body(call.body))
                return room.answer(call)
            with gate.READERS.taken(caller.partner.pk):
                gate.pay(passage, caller, budget, limiting.cost_of_body(call.body))
                return room.answer(call)

    def is_plain(self, environ: Environ) -> bool:
        """Whether nothing about the call but its body could make Django answer otherwise."""
        get = environ.get
        length = get("CONTENT_LENGTH") or ""
        return (
            environ["REQUEST_METHOD"] == "POST"
            and not environ["QUERY_STRING"]
            and get("CONTENT_TYPE") == "application/json"
            and length.isascii()
            and length.isdigit()
            and 0 < int(length) <= parsing.BODY_BYTES_MAX
            and get("HTTP_AUTHORIZATION", "")[:7] == "Bearer "
            and get("HTTP_ACCEPT") in PLAIN_ACCEPTS
            and not any(name in environ for name in UNUSUAL_HEADERS)
            and not environ["SCRIPT_NAME"]
            and self.is_at_home(environ)
        )

    def is_at_home(self, environ: Environ) -> bool:
        """A host name of ours, over TLS where the site insists on it."""
        if settings.SECURE_SSL_REDIRECT and not is_secure(environ):
            return False
        host = environ.get("HTTP_HOST", "")
        if host in self.hosts:
            return True
        domain, _ = split_domain_port(host)
        if domain and validate_host(domain, settings.ALLOWED_HOSTS) and len(self.hosts) < 100:
            self.hosts.add(host)
        return host in self.hosts


def refresh() -> None:
    """As Django does before each call; but who was answered a moment ago need not be asked whether it is there.

    Where it went away all the same the call is handed on to Django, which connects anew.
    """
    close_old_connections()
    if time.monotonic() - getattr(mine, "good_at", 0.0) < GOOD_SECONDS:
        connection.health_check_done = True  # type: ignore[attr-defined]  # set by Django itself


def is_secure(environ: Environ) -> bool:
    proxy = settings.SECURE_PROXY_SSL_HEADER
    if proxy and proxy[0] in environ:
        return bool(str(environ[proxy[0]]).split(",", 1)[0].strip() == proxy[1])
    return bool(environ["wsgi.url_scheme"] == "https")


def common_headers() -> Headers:
    """What the site's middleware puts on every answer of the API."""
    headers = [
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", str(settings.SECURE_REFERRER_POLICY)),
        ("Cross-Origin-Opener-Policy", str(settings.SECURE_CROSS_ORIGIN_OPENER_POLICY)),
        ("X-Frame-Options", settings.X_FRAME_OPTIONS),
        ("Vary", "Cookie"),
        ("Content-Security-Policy", build_policy(settings.SECURE_CSP)),
    ]
    if settings.SECURE_SSL_REDIRECT and settings.SECURE_HSTS_SECONDS:
        headers.append(("Strict-Transport-Security", hsts()))
    return headers


def hsts() -> str:
    value = f"max-age={settings.SECURE_HSTS_SECONDS}"
    value += "; includeSubDomains" if settings.SECURE_HSTS_INCLUDE_SUBDOMAINS else ""
    return value + ("; preload" if settings.SECURE_HSTS_PRELOAD else "")
