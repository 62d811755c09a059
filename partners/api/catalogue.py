"""Every code a refusal can carry: what it means, which facts come with it, and what to do. Read from the refusals."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

from django.apps import apps

from partners import problems
from partners.api import errors
from partners.problems import Problem

# Codes are for whoever calls; what only people at the console meet is told by the command.
NOT_FOR_CALLERS = ("management", "migrations")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One code. Where several refusals share it, `meaning`, `data` and `remedy` say all of them."""

    code: str
    status: int
    title: str
    meaning: str
    remedy: str
    data: str = ""

    @property
    def type(self) -> str:
        return f"{problems.DOCUMENTED_AT}#{self.code}"


# What the framework refuses before any of our code is asked.
OF_THE_FRAMEWORK = {
    "not_authenticated": ("No access token was sent.", "Fetch a token from POST /oauth/token and send it as `Bearer`."),
    "invalid_token": ("The token is unknown, expired or revoked.", "Fetch a new token and send the request again."),
    "forbidden": ("This is not open to you.", "Ask the operator of this site."),
    "malformed": (
        "The body is not JSON two readers would understand alike: not UTF-8, a key there twice, NaN, a number too long.",
        "Correct the body; the detail says where it breaks.",
    ),
    "unsupported_media_type": ("The body is of another media type.", "Send `Content-Type: application/json`."),
    "not_acceptable": ("The answer was asked for in another media type.", "Accept `application/json`."),
    "method_not_allowed": ("This address has no such method.", "Look at /api/docs for the methods it has."),
    "rate_limited": ("More was asked than is allowed in this time.", "Wait the seconds of Retry-After, then go on."),
}
OUR_FAULT = Entry(
    code="internal_error",
    status=500,
    title="Something went wrong here",
    meaning="A fault of ours. Nothing was done.",
    remedy="Send the same request again, with the same Idempotency-Key; name the requestId when you ask for help.",
)


def kinds() -> list[type[Problem]]:
    """Every refusal defined on a floor that can reach a caller, by its code."""
    _import_all()
    found = [kind for kind in _below(Problem) if kind is not errors.Refused and _is_told(kind)]
    return sorted(found, key=lambda kind: (kind.code, kind.__module__))


@cache
def entries() -> dict[str, Entry]:
    """The catalogue, by code."""
    found = {OUR_FAULT.code: OUR_FAULT}
    for exception, code, title in errors.FRAMEWORK:
        meaning, remedy = OF_THE_FRAMEWORK[code]
        found[code] = Entry(
            code=code, status=exception.status_code, title=title, meaning=meaning, remedy=remedy, data=""
        )
    seen: set[str] = set()
    for kind in kinds():
        entry = entry_of(kind)
        if kind.code in seen:
            entry = _both(found[kind.code], entry)
        seen.add(kind.code)
        found[kind.code] = entry
    return dict(sorted(found.items()))


def entry_of(kind: type[Problem]) -> Entry:
    """One refusal as its class says it: the docstring up to `Data:` is what it means, the rest the facts."""
    said = " ".join((inspect.cleandoc(kind.__dict__.get("__doc__") or "")).split())
    meaning, _, data = said.partition("Data: ")
    return Entry(
        code=kind.code,
        status=kind.status,
        title=kind.title,
        meaning=meaning.strip(),
        remedy=kind.remedy,
        data=data.strip().rstrip("."),
    )


def _both(one: Entry, other: Entry) -> Entry:
    def joined(first: str, second: str, between: str) -> str:
        return first if first == second or not second else f"{first}{between}{second}" if first else second

    return Entry(
        code=one.code,
        status=one.status,
        title=one.title,
        meaning=joined(one.meaning, other.meaning, " "),
        remedy=joined(one.remedy, other.remedy, " "),
        data=joined(one.data, other.data, "; or "),
    )


def _below(kind: type[Problem]) -> Iterator[type[Problem]]:
    for one in kind.__subclasses__():
        yield one
        yield from _below(one)


def _is_told(kind: type[Problem]) -> bool:
    return kind.__module__.split(".")[0] in {name for name, _ in floors()}


@cache
def _import_all() -> None:
    for name, path in floors():
        for module in pkgutil.walk_packages([path], f"{name}."):
            if not set(NOT_FOR_CALLERS) & set(module.name.split(".")):
                import_module(module.name)


@cache
def floors() -> list[tuple[str, str]]:
    """The apps beside this one that have doors, with their folders, the lowest first."""
    here = Path(apps.get_app_config("partners").path).parent
    configs = [config for config in apps.get_app_configs() if Path(config.path).parent == here]
    return [(config.name, config.path) for config in configs if Path(config.path, "api").is_dir()]
