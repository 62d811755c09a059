"""Who is doing this: a member of staff, a partner's application, or a job of our own.

An operation takes its `actor` as an argument and writes it into the ledger and the outbox. History
rows are made deep inside `save()`, where no argument reaches, so the doors also announce the actor
with `acting(...)` for as long as a request or a task lasts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Actor:
    """One who acts, as auditors will read it: `label` is kept for ever, the ids lead to the row."""

    kind: Literal["staff", "partner", "job"]
    label: str
    user_id: int | None = None
    application_id: int | None = None
    partner_id: int | None = None


NOBODY = Actor(kind="job", label="job:unnamed")

_actor: ContextVar[Actor] = ContextVar("actor", default=NOBODY)
_request_id: ContextVar[str] = ContextVar("request_id", default="")


def job(name: str) -> Actor:
    """The actor of scheduled work and commands, e.g. `job:expire_reservations`."""
    return Actor(kind="job", label=f"job:{name}")


def staff(user_id: int, username: str) -> Actor:
    return Actor(kind="staff", label=f"staff:{username}", user_id=user_id)


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)


def announce(actor: Actor) -> None:
    """Name the actor within an `acting(...)` that began before it was known."""
    _actor.set(actor)


@contextmanager
def answering(request_id: str) -> Iterator[None]:
    token = _request_id.set(request_id)
    try:
        yield
    finally:
        _request_id.reset(token)


def current() -> Actor:
    return _actor.get()


def current_label() -> str:
    return _actor.get().label


def current_request_id() -> str:
    return _request_id.get()
