"""Endpoints come, change, get new secrets, rest, go on, and go; letters already sent are sent again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q

from partners import outbound, outbox, strongbox, webhooks
from partners.actors import Actor
from partners.models import Feed, OutboxEvent, Partner, Webhook, WebhookDelivery, WebhookSide
from partners.problems import IllegalStep, InvalidInput, Problem

PURPOSE = "webhook"
ENDPOINTS_MAX = 20
PRODUCTS_MAX = 500
INTERVAL_SECONDS_MAX = 86_400
REPLAY_MAX = 10_000
TEST_PAUSE_SECONDS = 10


class TooManyWebhooks(Problem):
    """The partner has as many endpoints as one may have. Data: webhooksMax."""

    code = "too_many_webhooks"
    title = "No more endpoints"
    remedy = "Remove an endpoint that is not needed, or let one receive what two did."
    is_final = False


class TestedJustNow(Problem):
    """An endpoint is tested once in a while only: a test holds a worker for as long as the endpoint likes."""

    code = "webhook_tested_just_now"
    title = "This endpoint was tested a moment ago"
    remedy = "Wait for Retry-After and test it again."
    status = 429
    is_final = False
    retry_after_seconds = TEST_PAUSE_SECONDS


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """`next_position` is where to go on when there were more than one call sends."""

    count: int
    next_position: int | None


@transaction.atomic
def subscribe(
    *,
    partner: Partner,
    url: str,
    actor: Actor,
    at: datetime,
    description: str = "",
    event_types: Sequence[str] = (),
    product_ids: Sequence[str] = (),
    min_interval_seconds: int = 0,
    below_quantity: int | None = None,
    above_quantity: int | None = None,
) -> tuple[Webhook, str]:
    """Tell a partner at this address of every event it may see, from now on. Answers the endpoint and its secret,
    which nobody is shown again.

    No event types and no products: all. Locks the partner, so that ENDPOINTS_MAX holds. Raises InvalidInput and
    TooManyWebhooks. Called twice it makes two endpoints.
    """
    Partner.objects.select_for_update(no_key=True).get(pk=partner.pk)
    if Webhook.objects.for_partner(partner).count() >= ENDPOINTS_MAX:
        raise TooManyWebhooks(
            f"A partner has at most {ENDPOINTS_MAX} endpoints; remove one first.", webhooksMax=ENDPOINTS_MAX
        )
    feed = Feed.objects.filter(id=1).first()
    webhook = Webhook(
        partner=partner,
        url=url,
        description=description,
        event_types=list(dict.fromkeys(event_types)),
        product_ids=list(dict.fromkeys(product_ids)),
        min_interval_seconds=min_interval_seconds,
        below_quantity=below_quantity,
        above_quantity=above_quantity,
        cursor=feed.head if feed else 0,
    )
    _check(webhook)
    secret = webhooks.new_secret()
    webhook.secret = strongbox.close(secret, purpose=PURPOSE)
    webhook.save()
    return webhook, secret


@transaction.atomic
def revise(*, webhook: Webhook, changes: Mapping[str, Any], actor: Actor, at: datetime) -> Webhook:
    """Change an endpoint; unchanged values write nothing. Bumps the version (its ETag). `status` pauses or resumes it.

    Letters already made out go to the new address. Locks the endpoint. Raises InvalidInput.
    """
    locked = _lock(webhook)
    changed = {field: value for field, value in changes.items() if getattr(locked, field) != value}
    if not changed:
        return locked
    status = changed.pop("status", None)
    for field, value in changed.items():
        setattr(locked, field, value)
    _check(locked)
    if {"below_quantity", "above_quantity"} & changed.keys():
        WebhookSide.objects.filter(webhook=locked).delete()
    if status == Webhook.Status.ACTIVE:
        _go_on(locked)
    elif status == Webhook.Status.PAUSED:
        locked.status, locked.status_reason = Webhook.Status.PAUSED, f"Paused by {actor.label}."
    elif status is not None:
        raise InvalidInput.at("status", "Set it to active or paused; DELETE removes the endpoint.")
    return _save(locked, "endpoint revised")


@transaction.atomic
def pause(*, webhook: Webhook, actor: Actor, at: datetime) -> Webhook:
    """Hold letters back until somebody resumes; events wait in the feed. Raises IllegalStep unless it is active."""
    locked = _lock(webhook)
    if locked.status != Webhook.Status.ACTIVE:
        raise IllegalStep("Only an active endpoint can be paused.", currentStatus=locked.status, allowedFrom=["active"])
    locked.status, locked.status_reason = Webhook.Status.PAUSED, f"Paused by {actor.label}."
    return _save(locked, "endpoint paused")


@transaction.atomic
def resume(*, webhook: Webhook, actor: Actor, at: datetime) -> Webhook:
    """Go on where it stopped, with a clean record. Raises IllegalStep when it is active already."""
    locked = _lock(webhook)
    if locked.status == Webhook.Status.ACTIVE:
        raise IllegalStep("It is active.", currentStatus=locked.status, allowedFrom=["paused", "disabled"])
    _go_on(locked)
    return _save(locked, "endpoint resumed")


def stop(*, webhook: Webhook, status: Webhook.Status, reason: str, actor: Actor, at: datetime) -> None:
    """Stop an endpoint that was locked by the caller, on our own account, and tell its partner in the feed.

    It does nothing to one that is not active any more.
    """
    if webhook.status != Webhook.Status.ACTIVE:
        return
    webhook.status, webhook.status_reason = status, reason
    _save(webhook, "endpoint stopped")
    outbox.record(
        "webhook.stopped",
        subject=f"webhook/{webhook.webhook_id}",
        payload={"webhookId": str(webhook.webhook_id), "status": status.value, "statusReason": reason},
        actor=actor,
        at=at,
        addressee_ids=[webhook.partner_id],
    )


@transaction.atomic
def remove(*, webhook: Webhook, actor: Actor, at: datetime) -> None:
    """Send nothing more to this address. What was sent is forgotten by the sweep, in its own time."""
    locked = _lock(webhook)
    locked.status, locked.status_reason = Webhook.Status.REMOVED, f"Removed by {actor.label}."
    _save(locked, "endpoint removed")


@transaction.atomic
def rotate_secret(*, webhook: Webhook, actor: Actor, at: datetime) -> tuple[Webhook, str]:
    """A new secret, shown this once; for BOTH_SECRETS_HOURS letters are signed with the one before as well.

    Called again within that time, the one before that is dropped at once: there are never more than two.
    """
    locked = _lock(webhook)
    secret = webhooks.new_secret()
    locked.previous_secret, locked.secret = locked.secret, strongbox.close(secret, purpose=PURPOSE)
    locked.previous_secret_until = at + timedelta(hours=webhooks.BOTH_SECRETS_HOURS)
    return _save(locked, "secret rotated"), secret


def secrets_of(*, webhook: Webhook, at: datetime) -> list[str]:
    """The secrets that sign now, the newest first."""
    closed = [webhook.secret]
    if webhook.previous_secret is not None and webhook.previous_secret_until and at < webhook.previous_secret_until:
        closed.append(webhook.previous_secret)
    return [strongbox.open_again(box, purpose=PURPOSE) for box in closed]


def begin_test(*, webhook: Webhook, at: datetime) -> None:
    """Claim the right to test an endpoint. Raises TestedJustNow within TEST_PAUSE_SECONDS of the last test."""
    before = at - timedelta(seconds=TEST_PAUSE_SECONDS)
    free = Webhook.objects.filter(Q(tested_at__isnull=True) | Q(tested_at__lte=before), pk=webhook.pk)
    if not free.update(tested_at=at):
        raise TestedJustNow(f"Ask again in {TEST_PAUSE_SECONDS} seconds.")


@transaction.atomic
def replay(
    *, webhook: Webhook, since: int | datetime, until: int | datetime | None, actor: Actor, at: datetime
) -> Replayed:
    """Send again every event of a part of the feed, by position or by the time it happened; both ends are meant too.

    The partner's grants and the endpoint's filters count as they are now. An event keeps its webhook-id, so that
    who has it already knows it. REPLAY_MAX events a call. What is waiting anyway, or was coalesced into a newer
    state, is left as it is. Locks the endpoint.
    """
    locked = _lock(webhook)
    events = wanted_by(locked).filter(position__lte=locked.cursor)
    events = events.filter(**{"position__gte" if isinstance(since, int) else "occurred_at__gte": since})
    if until is not None:
        events = events.filter(**{"position__lte" if isinstance(until, int) else "occurred_at__lte": until})
    rows = list(events.order_by("position")[: REPLAY_MAX + 1])
    more = rows[REPLAY_MAX].position if len(rows) > REPLAY_MAX else None
    chosen = [event for event in rows[:REPLAY_MAX] if names_wanted(webhook=locked, event=event)]
    again = WebhookDelivery.objects.filter(webhook=locked, event__in=[event.pk for event in chosen])
    count = _owe_again(again, at=at)
    known = set(again.values_list("event_id", flat=True))
    made = [delivery_of(webhook=locked, event=event, at=at) for event in chosen if event.pk not in known]
    WebhookDelivery.objects.bulk_create(made)
    return Replayed(count=count + len(made), next_position=more)


@transaction.atomic
def replay_failed(*, webhook: Webhook, actor: Actor, at: datetime) -> Replayed:
    """Try again, with a full set of tries, what was given up; the oldest REPLAY_MAX. Locks the endpoint."""
    locked = _lock(webhook)
    failed = WebhookDelivery.objects.filter(webhook=locked, state=WebhookDelivery.State.FAILED)
    found = list(failed.order_by("position").values_list("pk", "position")[: REPLAY_MAX + 1])
    count = _owe_again(failed.filter(pk__in=[pk for pk, _ in found[:REPLAY_MAX]]), at=at)
    return Replayed(count=count, next_position=found[REPLAY_MAX][1] if len(found) > REPLAY_MAX else None)


@transaction.atomic
def send_again(*, delivery: WebhookDelivery, actor: Actor, at: datetime) -> None:
    """Send one letter again, delivered or not. Raises IllegalStep while it is waiting or was coalesced."""
    _lock(delivery.webhook)
    if not _owe_again(WebhookDelivery.objects.filter(pk=delivery.pk), at=at):
        raise IllegalStep(
            "It is waiting to be sent, or a newer state was sent in its place.",
            currentStatus=delivery.state,
            allowedFrom=["delivered", "failed", "withheld"],
        )


def wanted_by(webhook: Webhook) -> Any:
    """The events its partner may see, of the types it asked for; a query that is not run yet."""
    events = OutboxEvent.objects.in_feed().for_partner(webhook.partner)
    return events.filter(type__in=webhook.event_types) if webhook.event_types else events


def names_wanted(*, webhook: Webhook, event: OutboxEvent) -> bool:
    """An event that names products is of interest when it names a wanted one; one that names none, always."""
    if not webhook.product_ids:
        return True
    named = webhooks.products_of(event.payload)
    return not named or not named.isdisjoint(webhook.product_ids)


def delivery_of(*, webhook: Webhook, event: OutboxEvent, at: datetime) -> WebhookDelivery:
    return WebhookDelivery(
        webhook=webhook,
        event=event,
        position=event.position,  # type: ignore[misc]  # it is in the feed, and so has one
        type=event.type,
        subject=event.subject,
        next_attempt_at=at,
        created_at=at,
    )


def _owe_again(deliveries: Any, *, at: datetime) -> int:
    again = deliveries.filter(state__in=["delivered", "failed", "withheld"])
    return int(
        again.update(
            state=WebhookDelivery.State.PENDING,
            attempts=0,
            next_attempt_at=at,
            in_flight_until=None,
            delivered_at=None,
            created_at=at,
        )
    )


def _lock(webhook: Webhook) -> Webhook:
    return Webhook.objects.living().select_for_update(no_key=True, of=("self",)).select_related("partner").get(
        pk=webhook.pk
    )  # fmt: skip


def _save(webhook: Webhook, reason: str) -> Webhook:
    webhook.version += 1
    webhook._change_reason = reason  # type: ignore[attr-defined]  # read by the history
    webhook.save()
    return webhook


def _go_on(webhook: Webhook) -> None:
    webhook.status, webhook.status_reason = Webhook.Status.ACTIVE, ""
    webhook.failing_since = webhook.rests_until = None
    webhook.failures_in_a_row = 0


def _check(webhook: Webhook) -> None:
    """Every field that cannot be used, at once. Where the name leads is asked by the doors, outside any transaction."""
    found = []
    try:
        outbound.read(webhook.url)
    except outbound.Unsafe as error:
        found.append(("url", str(error)))
    if unknown := sorted(set(webhook.event_types) - set(outbox.TYPES)):
        found.append(("eventTypes", f"No such event: {', '.join(unknown[:5])}; see /api/v1/events/types."))
    if len(webhook.product_ids) > PRODUCTS_MAX:
        found.append(("productIds", f"At most {PRODUCTS_MAX}; leave them out for all."))
    if webhook.min_interval_seconds > INTERVAL_SECONDS_MAX:
        found.append(("minIntervalSeconds", f"At most {INTERVAL_SECONDS_MAX}."))
    if (webhook.below_quantity is None) != (webhook.above_quantity is None):
        found.append(("aboveQuantity", "Send belowQuantity and aboveQuantity together, or neither."))
    elif webhook.below_quantity is not None and webhook.above_quantity is not None:
        if webhook.above_quantity < webhook.below_quantity:
            found.append(("aboveQuantity", "It cannot be less than belowQuantity."))
        # A threshold of one's own choosing, moved about, would find any number out.
        if not webhook.partner.disclosure_rule.is_exact:
            found.append(("belowQuantity", "Thresholds are for partners that are told exact quantities."))
    if found:
        raise InvalidInput.of(found)
