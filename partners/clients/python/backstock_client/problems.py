"""What can go wrong, as exceptions. None of them ever holds a token or a secret."""

from __future__ import annotations

import json
from typing import Any

from .transport import Answer


class BackstockError(Exception):
    """Base of everything this package raises on purpose."""


class Unreachable(BackstockError):
    """No answer came: nothing listens, the line broke, or it took too long. Whether it was done is unknown."""


class Problem(BackstockError):
    """The site refused (RFC 9457). Decide by `code`, which is stable; `data` are the facts, like `shortages`."""

    def __init__(
        self, *, status: int, code: str, title: str, detail: str, data: dict[str, Any], request_id: str = ""
    ) -> None:
        super().__init__(f"{status} {code}: {detail or title}")
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.data = data
        self.request_id = request_id

    @classmethod
    def of(cls, answer: Answer) -> Problem:
        """The problem of an answer; what a proxy says in its own words gets the code `http_502`, or whatever it is."""
        try:
            body = json.loads(answer.body)
        except ValueError:
            body = {}
        body = body if isinstance(body, dict) else {}
        known = ("type", "title", "status", "code", "detail", "instance", "requestId")
        return cls(
            status=answer.status,
            code=str(body.get("code") or f"http_{answer.status}"),
            title=str(body.get("title") or answer.reason),
            detail=str(body.get("detail") or ""),
            data={name: value for name, value in body.items() if name not in known},
            request_id=str(body.get("requestId") or answer.headers.get("x-request-id", "")),
        )
