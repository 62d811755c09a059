"""Refusals we can explain to the outside.

A `Problem` is raised by the operation that refuses and defined above it; the doors turn it into
`application/problem+json` (RFC 9457), a message in the admin, or a rejected row of a file. Its
`code` is stable and documented; its `data` are the facts that let the other side act.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

# Where each code is explained; the site serves it itself.
DOCUMENTED_AT = "/api/docs/problems"


class Problem(Exception):
    """Nothing was done, and this is why."""

    code: ClassVar[str] = "problem"
    title: ClassVar[str] = "This cannot be done"
    status: ClassVar[int] = 409
    # What whoever is refused can do about it, in a sentence.
    remedy: ClassVar[str] = ""
    # A final refusal is part of the answer to an Idempotency-Key: the twin gets it again.
    is_final: ClassVar[bool] = True
    retry_after_seconds: ClassVar[int | None] = None

    def __init__(self, detail: str, **data: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.data = data
        self.is_told = False
        """Whether its quantities are those its reader may be told already; else the door hides them."""
        self.aftermath: Callable[[], None] | None = None
        """What is written down of the refusal itself once all else is taken back, with the answer to the key."""

    def as_json(self) -> dict[str, Any]:
        return {
            "type": f"{DOCUMENTED_AT}#{self.code}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            **self.data,
        }


class InvalidInput(Problem):
    """Understood, but one or more fields cannot be used. Data: errors[{field, pointer, detail}]."""

    code = "invalid_input"
    title = "The request is not valid"
    remedy = "Correct each field in `errors` and send it again, with the same Idempotency-Key."
    status = 422
    is_final = False

    @classmethod
    def at(cls, field: str, detail: str) -> InvalidInput:
        """One wrong field, named as the caller wrote it: `lines[0].quantity`."""
        return cls.of([(field, detail)])

    @classmethod
    def of(cls, found: list[tuple[str, str]]) -> InvalidInput:
        errors = [{"field": field, "pointer": pointer(field), "detail": detail} for field, detail in found]
        fields = ", ".join(field for field, _ in found[:5])
        return cls(f"{len(errors)} field{'s' if len(errors) > 1 else ''} cannot be used: {fields}.", errors=errors)


class NotFound(Problem):
    """Not there, or not this caller's: the two look alike on purpose."""

    code = "not_found"
    title = "Not found"
    remedy = "Check the id, and that it is yours; a warehouse or product may not be granted to you."
    status = 404
    is_final = False


class LeftToTheHouse(Problem):
    """The caller may see it, but this step is for those who answer for it."""

    code = "left_to_the_house"
    title = "This step is not yours to take"
    remedy = "Ask the operator of this site to do it."
    status = 403
    is_final = False


class Conflict(Problem):
    """Something else already stands where this should go."""

    code = "conflict"
    title = "This conflicts with what is there"
    remedy = "Look at what is there already."


class IllegalStep(Problem):
    """The document is not in a state from which this step can be taken. Data: currentStatus, allowedFrom."""

    code = "illegal_step"
    title = "Not from this state"
    remedy = "Read it again and take a step its status allows; allowedFrom says from where this one goes."


def pointer(field: str) -> str:
    """`lines[0].quantity` as a JSON pointer fragment (RFC 6901): `#/lines/0/quantity`."""
    return "#/" + field.replace("[", ".").replace("]", "").replace(".", "/") if field else "#"
