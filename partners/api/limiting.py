"""What a call costs its application, and how that is told (draft-ietf-httpapi-ratelimit-headers-10).

Reads and writes have budgets of their own, so that a poller never spends what an order needs. A call costs one
unit, a batch one for each of its parts, a page one for each fifty rows asked for, a file one for each 20 kB. What
is refused costs nothing.
"""

from __future__ import annotations

from typing import Any, Literal

from django.conf import settings
from django.http import QueryDict

from partners import limits
from partners.api.pagination import LIMIT_DEFAULT
from partners.api.uploads import Upload
from partners.limits import WINDOW_SECONDS, Spent
from partners.models import Application
from partners.problems import Problem

FILE_BYTES_PER_UNIT = 20_000
Budget = Literal["reads", "writes"]


class RateLimited(Problem):
    """The application has spent its minute. Data: budget (reads or writes), limit, cost, remaining, retryAfterSeconds."""

    code = "rate_limited"
    title = "Too many requests"
    remedy = "Wait the seconds of Retry-After, then go on; ask the operator where the limit is too low."
    status = 429
    is_final = False

    def __init__(self, budget: Budget, spent: Spent, *, cost: int) -> None:
        super().__init__(
            f"This costs {cost} of {spent.limit} {budget} a minute, and {spent.remaining} are left. "
            f"Ask again in {spent.left_seconds} s.",
            budget=budget,
            limit=spent.limit,
            cost=cost,
            remaining=spent.remaining,
            retryAfterSeconds=spent.left_seconds,
        )
        self.retry_after_seconds = spent.left_seconds  # type: ignore[misc]  # each refusal has its own


def budget_of(scope: str) -> Budget:
    return "reads" if scope.endswith(":read") else "writes"


def limit_of(application: Application, budget: Budget) -> int:
    """Units a minute: the application's own number, or the site's."""
    if budget == "reads":
        return application.reads_per_minute or settings.RATE_LIMIT_READS
    return application.writes_per_minute or settings.RATE_LIMIT_WRITES


def is_spent(application: Application, budget: Budget) -> bool:
    """Whether nothing is left, known before anything of the call is read."""
    client, limit = f"{budget}:{application.client_id}", limit_of(application, budget)
    return limits.counters().is_spent(client=client, limit=limit)


def charge(application: Application, budget: Budget, cost: int) -> Spent:
    """Take it from the budget; where not so much is left nothing is taken, see `is_granted`."""
    limit = limit_of(application, budget)
    return limits.counters().spend(client=f"{budget}:{application.client_id}", limit=limit, cost=cost)


def headers(spent: Spent) -> list[tuple[str, str]]:
    return [
        ("RateLimit-Policy", f'"client";q={spent.limit};w={WINDOW_SECONDS}'),
        ("RateLimit", f'"client";r={spent.remaining};t={spent.left_seconds}'),
    ]


def cost_of_page(query: QueryDict) -> int:
    asked = query.get("limit", "")
    rows = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 4 else LIMIT_DEFAULT
    return max(1, -(-rows // LIMIT_DEFAULT))


def cost_of_body(body: Any) -> int:
    return max(1, _parts(body))


def _parts(value: Any) -> int:
    """How many things the lists of a body hold, one in another as well."""
    if isinstance(value, Upload):
        return -(-len(value.content) // FILE_BYTES_PER_UNIT)
    if isinstance(value, dict):
        return sum(_parts(inner) for inner in value.values() if isinstance(inner, dict | list))
    if isinstance(value, list):
        return sum(max(1, _parts(inner)) for inner in value)
    return 0
