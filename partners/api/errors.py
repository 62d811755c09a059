"""Whatever goes wrong at a door becomes application/problem+json (RFC 9457) with a stable code."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import quote

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import IntegrityError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt
from psycopg import errors as pg
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import set_rollback

from partners import actors
from partners.models import Partner
from partners.problems import Conflict, InvalidInput, NotFound, Problem

log = logging.getLogger(__name__)
NOTHING_HERE = "There is nothing here for you under this address."
TRY_AGAIN = (pg.LockNotAvailable, pg.DeadlockDetected, pg.SerializationFailure, pg.QueryCanceled)


class Busy(Problem):
    """Somebody else holds what this needs for longer than we wait. Nothing was done."""

    code = "busy"
    title = "Busy, try again"
    remedy = "Send the same request again, with the same Idempotency-Key, after the seconds of Retry-After."
    status = 503
    is_final = False
    retry_after_seconds = 1


class ConstraintRefused(Problem):
    """The database, the last guard, refused what no check before it had caught. Data: constraint."""

    code = "constraint_refused"
    title = "This would break a rule of the stock book"
    remedy = "Read the thing again; if the request looks right, send the requestId to the operator."


class Refused(Problem):
    """Wraps what the framework refuses by itself; each instance has its own code and status."""

    is_final = False

    def __init__(self, detail: str, *, code: str, title: str, status: int) -> None:
        super().__init__(detail)
        self.code, self.title, self.status = code, title, status  # type: ignore[misc]


FRAMEWORK: list[tuple[type[exceptions.APIException], str, str]] = [
    (exceptions.NotAuthenticated, "not_authenticated", "Send an access token"),
    (exceptions.AuthenticationFailed, "invalid_token", "The access token is not good"),
    (exceptions.PermissionDenied, "forbidden", "Not allowed"),
    (exceptions.ParseError, "malformed", "The body cannot be read"),
    (exceptions.UnsupportedMediaType, "unsupported_media_type", "Send application/json"),
    (exceptions.NotAcceptable, "not_acceptable", "Only JSON is spoken here"),
    (exceptions.MethodNotAllowed, "method_not_allowed", "This method is not used here"),
    (exceptions.Throttled, "rate_limited", "Too many requests"),
]


def answer_problem(exception: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: every refusal as a problem; None (a 500) only for faults of our own."""
    problem = as_problem(exception)
    if problem is None:
        return None
    set_rollback()
    response = respond(problem, instance=context["request"].path, caller=context["request"])
    if isinstance(exception, exceptions.APIException):
        for header, attribute in (("WWW-Authenticate", "auth_header"), ("Retry-After", "wait")):
            if value := getattr(exception, attribute, None):
                response[header] = str(value)
    if problem.status == 401 and problem.code == "invalid_token":
        offered = str(getattr(exception, "auth_header", 'Bearer realm="backstock"'))
        response["WWW-Authenticate"] = f'{offered}, error="invalid_token"'
    if problem.code == "insufficient_scope":
        scope = problem.data["requiredScope"]
        response["WWW-Authenticate"] = f'Bearer realm="backstock", error="insufficient_scope", scope="{scope}"'
    return response


def as_problem(exception: Exception) -> Problem | None:
    match exception:
        case Problem():
            return exception
        case Http404():
            return NotFound(NOTHING_HERE)
        case PermissionDenied():
            return Refused(str(exception), code="forbidden", title="Not allowed", status=403)
        case exceptions.ValidationError():
            return InvalidInput.of(list(flatten(exception.detail)))
        case IntegrityError():
            return from_constraint(exception)
        case OperationalError() if isinstance(exception.__cause__, TRY_AGAIN):
            return Busy("Another request holds this stock. Nothing was done; send the same request again.")
        case exceptions.APIException():
            for kind, code, title in FRAMEWORK:
                if isinstance(exception, kind):
                    return Refused(str(exception.detail), code=code, title=title, status=exception.status_code)
            if isinstance(exception, exceptions.NotFound):
                return NotFound(NOTHING_HERE)
    return None


def from_constraint(error: IntegrityError) -> Problem:
    diagnostics = getattr(error.__cause__, "diag", None)
    name = getattr(diagnostics, "constraint_name", None) or "unknown"
    log.warning("The database refused: %s", name)
    if isinstance(error.__cause__, pg.UniqueViolation):
        return Conflict("There is one like this already.", constraint=name)
    return ConstraintRefused(f"The database refused this by its rule {name}.", constraint=name)


def respond(problem: Problem, *, instance: str, caller: Request | None = None) -> Response:
    """The refusal as its reader may know it: what there is instead is told as disclosed."""
    if "shortages" in problem.data and not problem.is_told and caller is not None:
        partner: Partner = caller.user.partner  # type: ignore[union-attr]  # HasScope let nobody else in
        problem.data = partner.disclosure_rule.of_problem(problem.data)
    body = problem.as_json() | {"instance": reference(instance), "requestId": actors.current_request_id()}
    response = Response(body, status=problem.status, content_type="application/problem+json")
    if problem.retry_after_seconds is not None:
        response["Retry-After"] = str(problem.retry_after_seconds)
    return response


def reference(path: str) -> str:
    """The path that was asked as a URI reference (RFC 3986), whatever characters came in it."""
    return quote(path, safe="/:@!$&'()*+,;=~")


def answer_fault(request: HttpRequest) -> HttpResponse:
    """A fault of our own: programs get a problem with the request's id, people the plain page."""
    return plainly(
        Refused(
            "This is our fault. Nothing was done. Send the request's id with your question.",
            code="internal_error",
            title="Something went wrong here",
            status=500,
        ),
        request,
    ) or defaults.server_error(request)


def answer_nothing_here(request: HttpRequest, exception: Exception) -> HttpResponse:
    return plainly(NotFound(NOTHING_HERE), request) or defaults.page_not_found(request, exception)


def answer_not_allowed(request: HttpRequest, exception: Exception) -> HttpResponse:
    problem = Refused("This is not allowed.", code="forbidden", title="Not allowed", status=403)
    return plainly(problem, request) or defaults.permission_denied(request, exception)


def answer_malformed(request: HttpRequest, exception: Exception) -> HttpResponse:
    """What is refused before any view sees it: a host that is not ours, too many parameters, too large a form."""
    problem: Problem = Refused("The request cannot be read.", code="malformed", title="Not understood", status=400)
    if isinstance(exception, RequestDataTooBig):
        problem = Refused(str(exception), code="body_too_large", title="The body is too large", status=413)
    return plainly(problem, request) or defaults.bad_request(request, exception)


@csrf_exempt
def nothing_here(request: HttpRequest) -> HttpResponse:
    """Whatever is sent by whichever method to an address below /api/ that is not there."""
    return answer_nothing_here(request, Http404())


def plainly(problem: Problem, request: HttpRequest) -> HttpResponse | None:
    """The problem for a program; None where a page is asked for. For what is refused outside the framework's views."""
    if not request.path.startswith("/api/"):
        return None
    body = problem.as_json() | {"instance": reference(request.path), "requestId": actors.current_request_id()}
    return JsonResponse(body, status=problem.status, content_type="application/problem+json")


def flatten(detail: Any, path: str = "") -> list[tuple[str, str]]:
    """DRF's nested errors as (field, sentence) pairs: `lines[0].quantity`."""
    if isinstance(detail, dict):
        found = []
        for name, inner in detail.items():
            found += flatten(inner, _below(path, name))
        return found
    if isinstance(detail, list):
        found = []
        for place, inner in enumerate(detail):
            found += flatten(inner, f"{path}[{place}]" if isinstance(inner, dict | list) else path)
        return found
    return [(path, str(detail))]


def _below(path: str, name: str | int) -> str:
    """The path of a member: an index of a list, a name, or the thing itself."""
    if name == "non_field_errors":
        return path
    if isinstance(name, int) or name.isdigit():
        return f"{path}[{name}]"
    return f"{path}.{name}" if path else name
