"""ETag and If-Match: nobody overwrites what they have not seen (RFC 9110 section 13, RFC 6585)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from partners.problems import Problem

IF_MATCH_CHARACTERS_MAX = 2_000


class PreconditionRequired(Problem):
    """This change needs to say which version it was made from."""

    code = "precondition_required"
    title = "Send If-Match"
    remedy = "Read it first and send its ETag as If-Match."
    status = 428
    is_final = False


class PreconditionFailed(Problem):
    """It changed since it was read. Data: currentEtag."""

    code = "precondition_failed"
    title = "It changed since you read it"
    remedy = "Read it again, decide anew, and send the new ETag."
    status = 412
    is_final = False


def etag(version: int | str) -> str:
    return f'"{version}"'


def etag_of(body: Any) -> str:
    """The tag of what is told to one partner, for things whose rows do not count their changes."""
    return etag(hashlib.sha256(JSONRenderer().render(body)).hexdigest()[:16])


def required_match(request: Request) -> frozenset[str]:
    """The strong tags of If-Match. Raises PreconditionRequired.

    `*`, weak tags, and a header that is longer than IF_MATCH_CHARACTERS_MAX match nothing here.
    """
    header = request.headers.get("If-Match")
    if header is None:
        raise PreconditionRequired("Read it first and send its ETag as If-Match.")
    if len(header) > IF_MATCH_CHARACTERS_MAX:
        return frozenset()
    return frozenset(tag.strip() for tag in header.split(",") if tag.strip().startswith('"'))


def check_match(accepted: frozenset[str], *current: str) -> None:
    """Compare inside the lock. Raises PreconditionFailed (data: currentEtag)."""
    if not accepted & set(current):
        raise PreconditionFailed(f"It is now at {current[0]}. Read it again and decide anew.", currentEtag=current[0])


def check_seen(request: Request, tag: Callable[[], str], *locks: QuerySet[Any, Any]) -> None:
    """A step may say by If-Match what it was decided on: lock that, and compare. Without the header nothing is asked.

    `locks` are taken in the order given, which is the house's: order before reservation, and so on.
    Raises PreconditionFailed (data: currentEtag).
    """
    if request.method != "POST" or "If-Match" not in request.headers:
        return
    for rows in locks:
        list(rows.select_for_update(no_key=True, of=("self",)).order_by("pk").only("pk"))
    check_match(required_match(request), tag())


def with_etag(response: Response, tag: str, request: Request | None = None) -> Response:
    """Answer with the tag; where If-None-Match already names it, with 304 and no body."""
    if request is not None and request.method in {"GET", "HEAD"}:
        known = [known.strip().removeprefix("W/") for known in request.headers.get("If-None-Match", "").split(",")]
        if tag in known or known == ["*"]:
            response = Response(status=304)
    response["ETag"] = tag
    return response
