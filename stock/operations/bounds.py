"""How far one partner may go: how much it may hold without ordering, and how often it may guess.

Stock that is held is lost to everybody else, and a hold costs nothing. Who is told "20+" finds the true number by
asking for one size after the other. Both are bounded here, where every promise passes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from django.db import connection
from django.db.models import Count
from django.db.models.functions import Now

from partners.models import Partner
from partners.models.partner import HELD_UNITS_MAX, HOLDS_MAX, PROBES_MAX
from partners.problems import Problem
from stock.models import RefusedSize
from stock.operations.promising import Wish

HOLDING = """
    SELECT count(*), coalesce(sum(units), 0)::bigint FROM stock_reservation
     WHERE partner_id = %s AND state = 'open' AND expires_at IS NOT NULL
"""


class TooManyHolds(Problem):
    """The partner holds as many reservations open as it may. Data: holdsMax."""

    code = "too_many_holds"
    title = "Too many reservations are open"
    remedy = "Commit or release reservations that are open, or wait until they expire."
    status = 429
    retry_after_seconds = 60
    is_final = False


class TooManyUnitsHeld(Problem):
    """The partner's open reservations would keep more units than they may. Data: heldUnitsMax, heldUnits."""

    code = "too_many_units_held"
    title = "Too many units are held"
    remedy = "Hold less at once; commit or release what is held, or wait until it expires."
    status = 429
    retry_after_seconds = 60
    is_final = False


class ProbingLimited(Problem):
    """So many sizes of a product were refused in an hour that no more are answered. Data: productIds, refusedMax."""

    code = "probing_limited"
    title = "Too many sizes of one product were refused"
    remedy = "Ask /availability instead of trying; reserve again after the seconds of Retry-After."
    status = 429
    retry_after_seconds = 3_600
    is_final = False


def check(*, wishes: Sequence[Wish]) -> list[Problem | None]:
    """Which of these wishes, claimed in this transaction and not decided yet, go too far, and why.

    For each partner that is bounded, its wishes line up with those of all others of the same partner until the end of
    the transaction, so that the bound is exact. A query or two for each such partner. Lock order: the names of
    reservations, the partners by id, levels.
    """
    found: list[Problem | None] = [None] * len(wishes)
    partners = {wish.partner.pk: wish.partner for wish in wishes if wish.partner}
    for _, partner in sorted(partners.items()):
        places = [place for place, wish in enumerate(wishes) if wish.partner and wish.partner.pk == partner.pk]
        for place, refusal in zip(places, _of_one(partner, [wishes[place] for place in places]), strict=True):
            found[place] = refusal
    return found


def _of_one(partner: Partner, wishes: Sequence[Wish]) -> list[Problem | None]:
    guessed = _guessed(partner, wishes)
    refusals: list[Problem | None] = [_limited(partner, wish, guessed) for wish in wishes]
    bounds = bounds_of(partner)
    holds = [place for place, wish in enumerate(wishes) if wish.header.seconds is not None and refusals[place] is None]
    if bounds is None or not holds:
        return refusals
    holds_max, units_max = bounds
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"stock.bounds/{partner.pk}"])
        cursor.execute(HOLDING, [partner.pk])
        count, units = cursor.fetchone()
    # The claims of these wishes are counted already: taken off, and added again one by one.
    count -= sum(wish.header.seconds is not None for wish in wishes)
    units -= sum(wish.header.units for wish in wishes if wish.header.seconds is not None)
    for place in holds:
        asked = wishes[place].header.units
        if count + 1 > holds_max:
            refusals[place] = TooManyHolds(
                f"{holds_max} reservations of yours are open. Order them, release some, or wait.", holdsMax=holds_max
            )
        elif units + asked > units_max:
            refusals[place] = TooManyUnitsHeld(
                f"Your open reservations keep {units} units, and may keep {units_max}.",
                heldUnitsMax=units_max, heldUnits=units,
            )  # fmt: skip
        else:
            count, units = count + 1, units + asked
    return refusals


def bounds_of(partner: Partner) -> tuple[int, int] | None:
    """How many reservations and units it may hold; null: our own channels hold what they like, unless it is said."""
    if partner.kind == Partner.Kind.CHANNEL and partner.holds_max is None and partner.held_units_max is None:
        return None
    holds_max = HOLDS_MAX if partner.holds_max is None else partner.holds_max
    return holds_max, HELD_UNITS_MAX if partner.held_units_max is None else partner.held_units_max


def _guessed(partner: Partner, wishes: Sequence[Wish]) -> Counter[int]:
    """By product, how many sizes were refused in the last hour and told something. One query, on a small table."""
    if partner.disclosure_rule.kind == "exact":
        return Counter()
    ids = {line.variant.pk for wish in wishes for line in wish.wanted}
    rows = RefusedSize.objects.filter(partner=partner, variant__in=ids, at__gt=Now() - RefusedSize.WITHIN)
    counted = rows.order_by().values_list("variant").annotate(Count("quantity", distinct=True))
    return Counter(dict(counted))


def _limited(partner: Partner, wish: Wish, guessed: Counter[int]) -> ProbingLimited | None:
    most = PROBES_MAX if partner.probes_max is None else partner.probes_max
    skus = sorted({line.variant.sku for line in wish.wanted if 0 < guessed[line.variant.pk] >= most})
    if not skus:
        return None
    return ProbingLimited(
        f"{', '.join(skus[:5])}: other quantities were refused too often within the hour. Ask /availability.",
        productIds=skus, refusedMax=most,
    )  # fmt: skip
