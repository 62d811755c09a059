"""Every attempt to be let in is written down, and none of them may fill the disk."""

from __future__ import annotations

from datetime import datetime

from django.db import connection, transaction

from partners import actors, addresses
from partners.models import AuthenticationAttempt

OK = "ok"
# Rows of refusals a minute; whoever comes from still another address is counted in one row for them all.
REFUSED_ROWS_PER_MINUTE_MAX = 300
# Rows of refusals kept in all. Successes are bounded by whom we let in, and go by age alone.
REFUSED_ROWS_MAX = 200_000
NAMES_MAX = 10
FORGOTTEN_AT_ONCE_MAX = 10_000

RECORD = """
INSERT INTO partners_authenticationattempt AS kept
    (at, last_at, count, kind, succeeded, outcome, names, application_id, address, user_agent, request_id, alike)
SELECT %(at)s, %(at)s, 1, %(kind)s, %(succeeded)s, %(outcome)s, %(names)s::varchar[], %(application_id)s::bigint,
       CASE WHEN crowded THEN NULL ELSE %(address)s::inet END, CASE WHEN crowded THEN '' ELSE %(user_agent)s END,
       %(request_id)s, CASE WHEN crowded THEN %(alike_crowd)s ELSE %(alike)s END
FROM (
    SELECT NOT %(succeeded)s AND NOT EXISTS (
        SELECT FROM partners_authenticationattempt WHERE alike = %(alike)s
    ) AND %(rows_max)s <= (
        SELECT count(*) FROM partners_authenticationattempt WHERE at >= %(minute)s AND NOT succeeded
    ) AS crowded
) AS seen
ON CONFLICT (alike) DO UPDATE SET
    count = kept.count + 1,
    last_at = greatest(kept.last_at, excluded.last_at),
    names = CASE
        WHEN kept.names @> excluded.names OR cardinality(kept.names) >= %(names_max)s THEN kept.names
        ELSE kept.names || excluded.names
    END
"""


@transaction.atomic
def record(
    *,
    kind: str,
    outcome: str,
    address: str,
    at: datetime,
    name: str = "",
    application_id: int | None = None,
    user_agent: str = "",
) -> None:
    """Write down that somebody asked to be let in; `outcome` is `ok` or a code that says why not.

    `name` is the application or user it was tried as, never a secret. Refusals of one kind and reason from
    one address (of IPv6: one /64) in one minute are one row that counts; successes likewise for each name.
    Past REFUSED_ROWS_PER_MINUTE_MAX rows a minute all further addresses share one row. One statement; it
    waits for nobody but its like.
    """
    minute = at.replace(second=0, microsecond=0)
    name = name.replace("\x00", "")[:160]
    of = f"{minute:%Y%m%d%H%M}|{kind}|{outcome}"
    place = addresses.subscriber(address)
    with connection.cursor() as cursor:
        cursor.execute(
            RECORD,
            {
                "at": at,
                "minute": minute,
                "kind": kind,
                "succeeded": outcome == OK,
                "outcome": outcome,
                "names": [name] if name else [],
                "application_id": application_id,
                "address": address or None,
                "user_agent": user_agent.replace("\x00", "")[:200],
                "request_id": actors.current_request_id(),
                "alike": f"{of}|{place}|{name}" if outcome == OK else f"{of}|{place}",
                "alike_crowd": f"{of}|everywhere",
                "rows_max": REFUSED_ROWS_PER_MINUTE_MAX,
                "names_max": NAMES_MAX,
            },
        )


@transaction.atomic
def forget_old(*, before: datetime) -> int:
    """Forget what is older than promised to be kept, and the oldest refusals beyond REFUSED_ROWS_MAX.

    A bounded number at a time; the answer is how many, so that the caller asks again while there are more.
    """
    old = AuthenticationAttempt.objects.filter(at__lt=before).order_by("at").values("pk")[:FORGOTTEN_AT_ONCE_MAX]
    forgotten = AuthenticationAttempt.objects.filter(pk__in=old).delete()[0]
    refused = AuthenticationAttempt.objects.filter(succeeded=False)
    beyond = refused.order_by("-id").values_list("pk", flat=True)[REFUSED_ROWS_MAX : REFUSED_ROWS_MAX + 1].first()
    if beyond is not None:
        oldest = refused.filter(pk__lte=beyond).order_by("id").values("pk")[:FORGOTTEN_AT_ONCE_MAX]
        forgotten += refused.filter(pk__in=oldest).delete()[0]
    return forgotten
