"""The rows of a page's lists, as the operations take them: a list is said as a whole."""

from __future__ import annotations

from typing import Any


def rows_typed(formset: Any) -> list[Any]:
    """The rows as they will be: those there are but for what is taken away, as they were typed, and the new ones.

    A row the page did not send stays as it is.
    """
    gone = {form.instance.pk for form in formset.deleted_forms}
    typed = {form.instance.pk: form.instance for form in formset.initial_forms}
    there = [typed.get(row.pk, row) for row in formset.get_queryset() if row.pk not in gone]
    new = [form for form in formset.extra_forms if form.has_changed() and form not in formset.deleted_forms]
    return [*there, *(form.instance for form in new)]
