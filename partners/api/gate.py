"""What each call passes between its scope and its door: limits of size and number, and a place among the readers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest
from rest_framework.request import Request

from partners.api import limiting
from partners.api.auth import Caller
from partners.api.limiting import Budget, RateLimited
from partners.limits import Spent
from partners.places import Places
from partners.problems import Problem

WITH_BODY = {"POST", "PUT", "PATCH"}
READERS = Places(settings.WEB_THREADS)


class LengthRequired(Problem):
    """A body whose length nobody says cannot be bounded before it is read."""

    code = "length_required"
    title = "Send Content-Length"
    remedy = "Send the length of the body; most clients do unless they are told to stream it."
    status = 411
    is_final = False


class EncodingRefused(Problem):
    """What is packed may be without end once it is unpacked. Data: acceptEncoding."""

    code = "unsupported_media_type"
    title = "Send application/json"
    remedy = "Send the body as it is, without Content-Encoding."
    status = 415
    is_final = False


@dataclass(slots=True)
class Passage:
    """What is known of a call once it is through the gate; the request log and the answer's headers tell it."""

    client_id: str = ""
    cost: int = 0
    spent: Spent | None = None


def passage_of(request: Request | HttpRequest) -> Passage:
    """The one of this call. A door that gave up on the way here has left its own in the environment."""
    return request.META.setdefault("backstock.passage", Passage())  # type: ignore[no-any-return]


@contextmanager
def admitted(request: Request, caller: Caller, scope: str) -> Iterator[None]:
    """Inside, the call has paid for what it asks, and holds its place where it reads.

    Raises RateLimited, Crowded, LengthRequired, EncodingRefused, and what reading the body raises.
    """
    passage = passage_of(request)
    budget = limiting.budget_of(scope)
    if passage.spent is None and limiting.is_spent(caller.application, budget):
        pay(passage, caller, budget, 1)
    check_body(request)
    if budget == "writes":
        pay_for(request, passage, caller, budget)
        yield
        return
    with READERS.taken(caller.partner.pk):
        pay_for(request, passage, caller, budget)
        yield


def pay_for(request: Request, passage: Passage, caller: Caller, budget: Budget) -> None:
    if passage.spent is None:
        has_body = request.method in WITH_BODY
        cost = limiting.cost_of_body(request.data) if has_body else limiting.cost_of_page(request.query_params)
        pay(passage, caller, budget, cost)
    elif not passage.spent.is_granted:
        raise RateLimited(budget, passage.spent, cost=passage.cost)


def pay(passage: Passage, caller: Caller, budget: Budget, cost: int) -> None:
    """Once for each call. Raises RateLimited, and takes nothing, where not so much is left."""
    passage.cost = cost
    passage.spent = spent = limiting.charge(caller.application, budget, cost)
    if not spent.is_granted:
        raise RateLimited(budget, spent, cost=cost)


def check_body(request: Request) -> None:
    if "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower() and not request.META.get("CONTENT_LENGTH"):
        raise LengthRequired("Say how long the body is; chunks without end are not read.")
    coding = request.META.get("HTTP_CONTENT_ENCODING", "identity").strip().lower()
    if coding not in {"", "identity"}:
        raise EncodingRefused(
            f"Bodies packed with {coding[:20]} are not unpacked; send it plain.", acceptEncoding="identity"
        )
