"""Letters to endpoints: made out from the feed, handed to senders, and marked with what became of them.

No network here, and no lock is held while there is any: a sender takes letters in one transaction, tries them
in none, and says in another what came of it. Lock order: endpoints by id, then letters.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Max

from partners import actors, subjects, webhooks
from partners.models import Feed, OutboxEvent, Partner, Webhook, WebhookDelivery, WebhookSide
from partners.operations import webhooks as endpoints

LEADER_LOCK = 7_316_002
TAKING_LOCK = 7_316_003
# Positions of the feed looked at in one transaction, for one endpoint.
WINDOW = 1_000
# Letters that may wait for one endpoint. Beyond, its events wait in the feed, where they cost nothing.
BACKLOG_MAX = 10_000

# Letters in flight to one endpoint: one that has not shown yet that it answers, or has just failed, gets one.
IN_FLIGHT_MAX = 4
IN_FLIGHT_UNPROVEN_MAX = 1
# Longer than a try can take (outbound.TOTAL_SECONDS_MAX); a letter whose sender died is free again after it.
IN_FLIGHT_SECONDS = 30
# From so many failures in a row an endpoint is left alone a little longer each time.
RESTS_FROM = 5
REST_SECONDS_MAX = 300
# An endpoint is only given up on when there were enough tries to judge by.
STOPS_FROM = 10

KEPT_DAYS = {"delivered": 7, "coalesced": 2, "withheld": 7, "failed": 30}
FORGOTTEN_AT_ONCE = 10_000

STATE = WebhookDelivery.State
SENDER = actors.job("deliver_webhooks")


@dataclass(frozen=True, kw_only=True)
class Letter:
    """What a sender needs for one try, so that it asks the database nothing while it tries."""

    delivery_id: int
    webhook_pk: int
    attempt: int
    is_shaky: bool
    url: str
    letter_id: str
    body: bytes
    keys: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one try. `status` is null when nobody answered; then `error` says how that was."""

    milliseconds: int
    status: int | None = None
    error: str = ""
    retry_after_seconds: int | None = None

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def fan_out(*, at: datetime) -> int:
    """Make out letters for every endpoint that is behind the feed; answers how many endpoints went forward.

    One window each, so that one far behind does not hold the others up: call again until it answers 0.
    """
    head = Feed.objects.filter(id=1).values_list("head", flat=True).first() or 0
    behind = Webhook.objects.served().filter(cursor__lt=head).order_by("cursor").values_list("pk", flat=True)
    return sum(_advance(webhook_pk, head=head, at=at) for webhook_pk in list(behind))


@transaction.atomic
def _advance(webhook_pk: int, *, head: int, at: datetime) -> bool:
    """One window for one endpoint. One leader at a time; its cursor moves in the transaction of its letters."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LEADER_LOCK])
        if not cursor.fetchone()[0]:
            return False
    webhook = (
        Webhook.objects.served()
        .select_for_update(no_key=True, of=("self",))
        .select_related("partner")
        .filter(pk=webhook_pk, cursor__lt=head)
        .first()
    )
    waiting = WebhookDelivery.objects.pending().filter(webhook=webhook_pk)
    if webhook is None or waiting[:BACKLOG_MAX].count() >= BACKLOG_MAX:
        return False
    upto = min(head, webhook.cursor + WINDOW)
    events = endpoints.wanted_by(webhook).filter(position__gt=webhook.cursor, position__lte=upto).order_by("position")
    wanted = [event for event in events if endpoints.names_wanted(webhook=webhook, event=event)]
    if webhook.below_quantity is not None and webhook.partner.disclosure_rule.is_exact:
        wanted = _crossings(webhook, wanted)
    letters = [endpoints.delivery_of(webhook=webhook, event=event, at=at) for event in wanted]
    if webhook.min_interval_seconds:
        _coalesce(webhook, letters, at=at)
    WebhookDelivery.objects.bulk_create(letters, ignore_conflicts=True)
    Webhook.objects.filter(pk=webhook.pk).update(cursor=upto)
    return True


def _crossings(webhook: Webhook, events: Sequence[OutboxEvent]) -> list[OutboxEvent]:
    """Of the states only those whose quantity went over a threshold, judged by what is there now."""
    newest = {event.subject: event for event in events if event.type in webhooks.STATES}
    there = subjects.quantities(newest.values())
    sides = dict(WebhookSide.objects.filter(webhook=webhook, subject__in=newest).values_list("subject", "is_low"))
    told, changed = set(), []
    for subject, event in newest.items():
        if subject not in there:
            told.add(event.pk)  # of what nobody can say how much there is, everything is told
            continue
        is_low, is_news = webhooks.crossing(
            sides.get(subject), there[subject], below=webhook.below_quantity or 0, above=webhook.above_quantity or 0
        )
        if is_news:
            told.add(event.pk)
        if sides.get(subject) != is_low:
            changed.append(WebhookSide(webhook=webhook, subject=subject, is_low=is_low))
    WebhookSide.objects.bulk_create(
        changed, update_conflicts=True, unique_fields=["webhook", "subject"], update_fields=["is_low"]
    )
    return [event for event in events if event.type not in webhooks.STATES or event.pk in told]


def _coalesce(webhook: Webhook, letters: Sequence[WebhookDelivery], *, at: datetime) -> None:
    """Newer states take the place of older ones that nobody tried to send yet, and their time; see `covers`.

    The first of a burst goes at once, the newest of the others when the interval is over.
    """
    about = {letter.subject for letter in letters if letter.type in webhooks.STATES}
    interval = timedelta(seconds=webhook.min_interval_seconds)
    rows = WebhookDelivery.objects.filter(webhook=webhook, subject__in=about, type__in=webhooks.STATES)
    last_sent = dict(
        rows.filter(state=STATE.DELIVERED).values("subject").order_by().annotate(last=Max("delivered_at"))
        .values_list("subject", "last")
    )  # fmt: skip
    for subject in rows.pending().filter(attempts__gt=0).values_list("subject", flat=True):
        last_sent[subject] = at
    unsent: dict[str, list[WebhookDelivery]] = defaultdict(list)
    locked = rows.pending().filter(attempts=0).select_for_update(no_key=True, skip_locked=True, of=("self",))
    for row in locked.select_related("event").order_by("position"):
        unsent[row.subject].append(row)
    for letter in letters:
        if letter.type not in webhooks.STATES:
            continue
        earlier = unsent[letter.subject]
        letter.next_attempt_at = max(at, last_sent.get(letter.subject, at - interval) + interval)
        if earlier:
            letter.next_attempt_at = min(row.next_attempt_at for row in earlier)
        for row in [row for row in earlier if webhooks.covers(letter.event.payload, row.event.payload)]:
            row.state = STATE.COALESCED
            earlier.remove(row)
            if row.pk is not None:
                row.save(update_fields=["state"])
        earlier.append(letter)


# Of each endpoint the letters that are due and have no older one of their subject before them.
DUE = """
    SELECT w.id, d.id, w.failures_in_a_row > 0
      FROM partners_webhook w
      JOIN partners_partner p ON p.id = w.partner_id AND p.status = 'active'
      CROSS JOIN LATERAL (
          SELECT count(*) AS number FROM partners_webhookdelivery f
           WHERE f.webhook_id = w.id AND f.state = 'pending' AND f.in_flight_until > %(at)s
      ) flying
      CROSS JOIN LATERAL (
          SELECT d.id, d.next_attempt_at, d.position
            FROM partners_webhookdelivery d
           WHERE d.webhook_id = w.id AND d.state = 'pending' AND d.next_attempt_at <= %(at)s
             AND NOT EXISTS (
                 SELECT FROM partners_webhookdelivery o
                  WHERE o.webhook_id = d.webhook_id AND o.subject = d.subject AND o.state = 'pending'
                    AND o.position < d.position)
           ORDER BY d.next_attempt_at, d.position
           LIMIT greatest(0, CASE WHEN w.failures_in_a_row = 0 AND w.last_success_at IS NOT NULL
                                  THEN %(proven)s ELSE %(unproven)s END - flying.number)
             FOR NO KEY UPDATE SKIP LOCKED
      ) d
     WHERE w.status = 'active' AND coalesce(w.rests_until <= %(at)s, true)
       AND (w.failures_in_a_row = 0 OR %(shaky)s > 0)
     ORDER BY w.failures_in_a_row > 0, d.next_attempt_at, d.position
     LIMIT %(limit)s
"""


@transaction.atomic
def take(*, at: datetime, limit: int, shaky_limit: int) -> list[Letter]:
    """Hand out letters that are due, at most `limit`, of them `shaky_limit` to endpoints that failed last.

    The try is counted and its successor dated before it is made: a try that kills its sender counts, and is
    followed by the next one in its time. A letter is handed to one sender only; a second one meanwhile waits
    milliseconds here and gets others. What its partner may no longer see is withheld.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [TAKING_LOCK])
        cursor.execute(
            DUE,
            {
                "at": at,
                "limit": limit,
                "shaky": shaky_limit,
                "proven": IN_FLIGHT_MAX,
                "unproven": IN_FLIGHT_UNPROVEN_MAX,
            },
        )
        rows = cursor.fetchall()
    shaky = [row for row in rows if row[2]][:shaky_limit]
    chosen = {delivery_id: is_shaky for _, delivery_id, is_shaky in [*(row for row in rows if not row[2]), *shaky]}
    if not chosen:
        return []
    deliveries = list(
        WebhookDelivery.objects.filter(pk__in=chosen).select_related("webhook__partner", "event").order_by("position")
    )
    visible = _visible(deliveries)
    keys = {row.webhook_id: endpoints.secrets_of(webhook=row.webhook, at=at) for row in deliveries}
    letters = []
    for row in deliveries:
        row.in_flight_until = None
        if row.event_id not in visible[row.webhook_id]:
            row.state = STATE.WITHHELD
        elif row.attempts >= webhooks.ATTEMPTS_MAX:
            row.state, row.last_error = STATE.FAILED, "sender_died"
        else:
            row.attempts += 1
            row.in_flight_until = at + timedelta(seconds=IN_FLIGHT_SECONDS)
            row.next_attempt_at = max(at + (webhooks.wait_after(row.attempts) or timedelta()), row.in_flight_until)
            row.last_attempt_at = at
            letters.append(
                Letter(
                    delivery_id=row.pk,
                    webhook_pk=row.webhook_id,
                    attempt=row.attempts,
                    is_shaky=chosen[row.pk],
                    url=row.webhook.url,
                    letter_id=str(row.event.event_id),
                    body=webhooks.in_bytes(webhooks.cloud_event(row.event, row.webhook.partner)),
                    keys=keys[row.webhook_id],
                )
            )
    WebhookDelivery.objects.bulk_update(
        deliveries,
        ["state", "attempts", "in_flight_until", "next_attempt_at", "last_attempt_at", "last_error"],
    )
    return letters


def _visible(deliveries: Iterable[WebhookDelivery]) -> dict[int, set[int]]:
    """Which events each endpoint's partner may see as its grants are now. One query for each partner."""
    partners: dict[Partner, list[WebhookDelivery]] = defaultdict(list)
    for row in deliveries:
        partners[row.webhook.partner].append(row)
    visible: dict[int, set[int]] = {}
    for partner, rows in partners.items():
        ids = [row.event_id for row in rows]
        seen = set(OutboxEvent.objects.for_partner(partner).filter(pk__in=ids).values_list("pk", flat=True))
        visible |= {row.webhook_id: seen for row in rows}
    return visible


@transaction.atomic
def record(*, results: Sequence[tuple[Letter, Outcome]], at: datetime) -> None:
    """Write down what came of tries: delivered, to be tried again in its time, or parked after the last try.

    410 disables the endpoint at once, days of nothing but failures pause it, and its partner is told of both in
    the feed. The result of a try that was taken for lost, and followed by another, counts only if it is a success.
    Locks the endpoints, then the letters.
    """
    pks = {letter.webhook_pk for letter, _ in results}
    locked = Webhook.objects.filter(pk__in=pks).order_by("pk").select_for_update(no_key=True)
    health = {webhook.pk: webhook for webhook in locked}
    for letter, outcome in results:
        seen = {
            "last_status": outcome.status,
            "last_error": outcome.error,
            "last_milliseconds": outcome.milliseconds,
            "in_flight_until": None,
        }
        rows = WebhookDelivery.objects.pending().filter(pk=letter.delivery_id)
        webhook = health[letter.webhook_pk]
        if outcome.is_success:
            rows.update(state=STATE.DELIVERED, delivered_at=at, **seen)
            _note_success(webhook, at=at)
            continue
        wait = webhooks.wait_after(letter.attempt, retry_after_seconds=outcome.retry_after_seconds)
        rows = rows.filter(attempts=letter.attempt)
        if wait is None or outcome.status == 410:
            rows.update(state=STATE.FAILED, **seen)
        else:
            rows.update(next_attempt_at=at + wait, **seen)
        _note_failure(webhook, outcome, at=at)


def _note_success(webhook: Webhook, *, at: datetime) -> None:
    # To the second is enough to know that it lives.
    is_news = webhook.last_success_at is None or at - webhook.last_success_at > timedelta(seconds=1)
    if is_news or webhook.failures_in_a_row:
        webhook.failing_since = webhook.rests_until = None
        webhook.failures_in_a_row = 0
        webhook.last_success_at = at
        _keep_health(webhook)


def _note_failure(webhook: Webhook, outcome: Outcome, *, at: datetime) -> None:
    webhook.failures_in_a_row += 1
    webhook.failing_since = webhook.failing_since or at
    extra = webhook.failures_in_a_row - RESTS_FROM
    rest = min(5 * 2 ** min(extra, 10), REST_SECONDS_MAX) if extra >= 0 else 0
    rest = max(rest, outcome.retry_after_seconds or 0)
    webhook.rests_until = at + timedelta(seconds=rest) if rest else None
    _keep_health(webhook)
    days = settings.WEBHOOK_PAUSED_AFTER_DAYS
    if outcome.status == 410:
        endpoints.stop(
            webhook=webhook, status=Webhook.Status.DISABLED, reason="It answered 410 Gone.", actor=SENDER, at=at
        )
    elif webhook.failures_in_a_row >= STOPS_FROM and at - webhook.failing_since >= timedelta(days=days):
        reason = f"Every letter failed for {days} days."
        endpoints.stop(webhook=webhook, status=Webhook.Status.PAUSED, reason=reason, actor=SENDER, at=at)


def _keep_health(webhook: Webhook) -> None:
    Webhook.objects.filter(pk=webhook.pk).update(
        failing_since=webhook.failing_since,
        failures_in_a_row=webhook.failures_in_a_row,
        rests_until=webhook.rests_until,
        last_success_at=webhook.last_success_at,
    )


def forget(*, at: datetime) -> int:
    """Delete the log beyond KEPT_DAYS, and endpoints that were removed, a bounded number at a time."""
    removed = Webhook.objects.filter(status=Webhook.Status.REMOVED)
    old = [
        WebhookDelivery.objects.filter(state=state, created_at__lt=at - timedelta(days=days)).order_by("created_at")
        for state, days in KEPT_DAYS.items()
    ]
    count = 0
    for rows in (*old, WebhookDelivery.objects.filter(webhook__in=removed).order_by()):
        count += WebhookDelivery.objects.filter(pk__in=rows.values("pk")[:FORGOTTEN_AT_ONCE]).delete()[0]
    removed.exclude(pk__in=WebhookDelivery.objects.filter(webhook__in=removed).values("webhook")).delete()
    return count
