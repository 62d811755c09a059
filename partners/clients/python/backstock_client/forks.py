"""A forked child gets copies of locks and sockets that belong to its parent; it must begin with its own."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

Thing = TypeVar("Thing")
_renewers: list[tuple[weakref.ref[Any], Callable[[Any], None]]] = []


def renew_in_child(thing: Thing, renew: Callable[[Thing], None]) -> None:
    """Call `renew(thing)` in every process forked from this one, as long as the thing lives."""
    _renewers[:] = [entry for entry in _renewers if entry[0]() is not None]
    _renewers.append((weakref.ref(thing), renew))


def _after_fork() -> None:
    for reference, renew in _renewers:
        thing = reference()
        if thing is not None:
            renew(thing)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
