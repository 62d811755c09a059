"""What auditors find, without regard to the minutes it was folded by: a test may run over the end of one."""

from __future__ import annotations

from collections import Counter

from partners.models import AuthenticationAttempt


def tried() -> dict[tuple[str, str], int]:
    """How often each kind came out how."""
    found: Counter[tuple[str, str]] = Counter()
    for kind, outcome, count in AuthenticationAttempt.objects.values_list("kind", "outcome", "count"):
        found[kind, outcome] += count
    return dict(found)


def names() -> set[str]:
    return {name for row in AuthenticationAttempt.objects.all() for name in row.names}
