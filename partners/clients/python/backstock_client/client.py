"""A Backstock site: what can be promised, reserving it, and what has happened."""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from .grants import ClientCredentials
from .keeper import TokenKeeper
from .problems import Problem, Unreachable
from .stores import Store
from .transport import BROKEN, Answer, Session, StandardSession

TRIES_MAX = 5
# The site was busy, is being restarted, or is still at the first request with this key; nothing else is worth a retry.
WORTH_RETRYING = frozenset({429, 502, 503, 504})
STILL_RUNNING = "idempotency_in_progress"


class Backstock:
    """One partner's way into one site; make one for the whole process and share it between threads.

    Every call either returns the site's JSON or raises: `Problem` (refused, decide by its `code`), `Unreachable`
    (no answer) or `TokenUnavailable`. What may be sent again is, up to five times within `patience_seconds`: reads,
    and writes under the same Idempotency-Key, so that a lost answer never makes a second effect.
    """

    def __init__(
        self,
        url: str,
        client_id: str,
        client_secret: str,
        *,
        scope: str = "",
        store: Store | None = None,
        session: Callable[[], Session] = StandardSession,
        timeout_seconds: float = 15.0,
        patience_seconds: float = 30.0,
    ) -> None:
        self._url = url.rstrip("/")
        self._session = session()
        self._timeout_seconds = timeout_seconds
        self._patience_seconds = patience_seconds
        self.keeper = TokenKeeper(
            token_url=f"{self._url}/oauth/token",
            grant=ClientCredentials(client_id, client_secret, scope),
            store=store,
            session=session,
        )

    def __repr__(self) -> str:
        return f"<Backstock {self._url}>"

    def __enter__(self) -> Backstock:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the idle connections; the token stays for the next process."""
        self._session.close()

    # -- stock ---------------------------------------------------------------------------------------------------------

    def availability(self, products: Iterable[str] | Mapping[str, int], **more: Any) -> list[dict[str, Any]]:
        """What can be promised of each product, as far as you are told: one line for each, in the same order.

        A mapping names the quantities asked for. `more` are further fields of the body: `channel`, `needBy`,
        `explain`, `includeEquivalents`.
        """
        asked = products if isinstance(products, Mapping) else dict.fromkeys(products, 1)
        lines = [{"productId": product, "quantity": quantity} for product, quantity in asked.items()]
        answer: list[dict[str, Any]] = self.post("/availability", {"lines": lines, **more})["lines"]
        return answer

    def reserve(
        self, reference: str, products: Mapping[str, int], *, idempotency_key: str | None = None, **more: Any
    ) -> dict[str, Any]:
        """Hold stock under your own `reference`; asked again with the same content it answers the same.

        `more` are further fields: `expiresInSeconds`, `channel`, `allOrNothing`. Not enough is a Problem with the code
        `insufficient_stock` and `data["shortages"]`, and nothing is held.
        """
        lines = [{"productId": product, "quantity": quantity} for product, quantity in products.items()]
        body = {"reference": reference, "lines": lines, **more}
        return dict(self.post("/reservations", body, idempotency_key=idempotency_key))

    def reservation(self, reservation_id: str) -> dict[str, Any]:
        return dict(self.get(f"/reservations/{quote(reservation_id, safe='')}"))

    def extend(self, reservation_id: str, expires_in_seconds: int) -> dict[str, Any]:
        """Let it run longer, counted from now."""
        return self._step(reservation_id, "extend", {"expiresInSeconds": expires_in_seconds})

    def commit(self, reservation_id: str, order_id: str = "") -> dict[str, Any]:
        """The goods leave; `order_id` is written on the movements."""
        return self._step(reservation_id, "commit", {"orderId": order_id} if order_id else {})

    def release(self, reservation_id: str) -> dict[str, Any]:
        """Give the promise back."""
        return self._step(reservation_id, "release", None)

    def _step(self, reservation_id: str, step: str, body: Any) -> dict[str, Any]:
        return dict(self.post(f"/reservations/{quote(reservation_id, safe='')}/{step}", body))

    # -- events --------------------------------------------------------------------------------------------------------

    def events(self, after: int = 0, *, epoch: str = "", types: Iterable[str] = (), limit: int = 200) -> EventFeed:
        """The events after a position, up to the newest there is now; see EventFeed."""
        return EventFeed(self, after=after, epoch=epoch, types=types, limit=limit)

    # -- anything else the site offers ---------------------------------------------------------------------------------

    def get(self, path: str, **query: Any) -> Any:
        """The JSON at a path below /api/v1, like `/products`."""
        asked = {name: value for name, value in query.items() if value not in (None, "")}
        return self._request("GET", f"{path}?{urlencode(asked)}" if asked else path, None, {})

    def post(self, path: str, body: Any = None, *, idempotency_key: str | None = None) -> Any:
        """Send JSON to a path below /api/v1, with an Idempotency-Key of its own unless you give one.

        Give one, and keep it beside your own record, where a crash of your program must not make a second effect.
        """
        return self._request("POST", path, body, {"Idempotency-Key": idempotency_key or str(uuid.uuid4())})

    def _request(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Any:
        content = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json", **headers}
        if content is not None:
            headers["Content-Type"] = "application/json"

        def send(token: str) -> Answer:
            return self._session.request(
                method,
                f"{self._url}/api/v1{path}",
                headers={**headers, "Authorization": f"Bearer {token}"},
                body=content,
                timeout_seconds=self._timeout_seconds,
            )

        until = time.monotonic() + self._patience_seconds
        for attempt in range(1, TRIES_MAX + 1):
            wait = random.uniform(0.1, 0.2) * 2**attempt  # noqa: S311  spread, not secrecy
            failure: Problem | Unreachable
            try:
                answer = self.keeper.call(send)
            except BROKEN as error:
                failure = Unreachable(f"{method} {path}: no answer from {self._url} ({type(error).__name__}).")
                failure.__cause__ = error
            else:
                if answer.status < 300:
                    return _read(answer)
                failure = Problem.of(answer)
                if answer.status not in WORTH_RETRYING and failure.code != STILL_RUNNING:
                    raise failure
                wait = max(wait, answer.retry_after_seconds() or 0.0)
            if attempt == TRIES_MAX or time.monotonic() + wait > until:
                raise failure
            time.sleep(wait)
        raise AssertionError("the last try returns or raises")


class EventFeed:
    """The events in the order they were committed, page by page, each at least once.

    Keep `event["sequence"]` and the feed's `epoch` in the transaction of what you do with an event, and begin there
    next time. A feed that was reset since (after a restore) is a Problem with the code `feed_was_reset`: read the state
    anew and go on from its `data["head"]`. `after` is where the feed stands once the loop is over.
    """

    def __init__(self, site: Backstock, *, after: int, epoch: str, types: Iterable[str], limit: int) -> None:
        self._site = site
        self._types = ",".join(types)
        self._limit = limit
        self.after = after
        self.epoch = epoch

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while True:
            page = self._site.get(
                "/events", after=self.after, epoch=self.epoch, types=self._types, limit=self._limit
            )  # fmt: skip
            self.epoch = page["epoch"]
            for event in page["items"]:
                yield event
                self.after = event["sequence"]
            self.after = page["nextCursor"]
            if len(page["items"]) < self._limit:
                return


def _read(answer: Answer) -> Any:
    try:
        return json.loads(answer.body) if answer.body else None
    except ValueError:
        raise Unreachable("What answered is no Backstock site: its answer is not JSON.") from None
