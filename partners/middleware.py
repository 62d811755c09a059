"""Names for a request: an id that every answer, log line and ledger row carries, and who acts."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import get_resolver, reverse

from partners import actors, request_log

ACCEPTED_ID = re.compile(r"[A-Za-z0-9._:-]{8,64}")
# In the session of staff who must have a second factor and have none yet.
MUST_ENROL = "must_enrol"
Next = Callable[[HttpRequest], HttpResponse]


class RequestIdMiddleware:
    """Takes the caller's X-Request-Id where it is a sane one, makes one otherwise, and answers it."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        request_id = named(request.headers.get("X-Request-Id", ""))
        with actors.answering(request_id):
            # PostgreSQL keeps no NUL in a text, so nothing can be named by an address that has one.
            response = self.get_response(request) if "\x00" not in request.path else _nothing_here(request)
        response["X-Request-Id"] = request_id
        if request.path.startswith(request_log.PREFIXES):
            request_log.write(
                method=str(request.method), route=request.resolver_match.route if request.resolver_match else "",
                status=response.status_code, began=began, request_id=request_id,
                passage=request.META.get("backstock.passage"),
            )  # fmt: skip
        return response


def _nothing_here(request: HttpRequest) -> HttpResponse:
    handler: Callable[..., HttpResponse] = get_resolver().resolve_error_handler(404)
    return handler(request, Http404())


def named(offered: str) -> str:
    """The caller's own id where it is a sane one, else a new one."""
    return offered if ACCEPTED_ID.fullmatch(offered) else uuid.uuid4().hex


class ActorMiddleware:
    """Staff in the admin act under their own name; the API announces its caller itself."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        user = request.user
        if not user.is_authenticated:
            return self.get_response(request)
        with actors.acting(actors.staff(user.pk, user.get_username())):
            return self.get_response(request)


class SecondFactorMiddleware:
    """Staff who must have a second factor and have none find the page that makes one, and the way out."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated and request.session.get(MUST_ENROL):
            page = reverse("staff_second_factor")
            if request.path not in {page, reverse("admin:logout"), reverse("admin:jsi18n")}:
                return HttpResponseRedirect(page)
        return self.get_response(request)


class RequestIdFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = actors.current_request_id() or "-"
        return True
