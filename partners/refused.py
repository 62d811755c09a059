"""A staff form that was refused by an operation: shown again as it was typed, with the refusal where it belongs."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django import forms

from partners.problems import Problem

CAPITAL = re.compile(r"(?<=[a-z])[A-Z]")


def field_of(name: str) -> str:
    """The form's field of what the contract calls so: `axisValues.shade` is typed into `axis_values`."""
    return CAPITAL.sub(lambda found: f"_{found[0].lower()}", re.split(r"[.\[]", name)[0])


def refused(form: type[forms.ModelForm[Any]], problem: Problem, *, said: str, field: Callable[[str], str]) -> Any:
    """The form, never valid: each wrong field's words stand at it, all other words above the form.

    `field` names the form's field of a name of the contract, `said` is the refusal where no field is wrong.
    """

    class Refused(form):  # type: ignore[valid-type,misc]  # chosen while it runs
        def clean(self) -> Any:
            cleaned = super().clean()
            told = problem.data.get("errors") or [{"field": "", "detail": said}]
            for row in told:
                name = field(row["field"])
                self.add_error(name if name in self.fields else None, row["detail"])
            return cleaned

    return Refused
