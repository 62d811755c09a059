"""Partners are heard: what they say is kept, looked into, answered and closed."""

from __future__ import annotations

from datetime import datetime

from django.db import IntegrityError, connection, transaction

from catalog.models import Variant
from orders.models import Feedback, Order
from partners import outbox
from partners.actors import Actor
from partners.models import Partner
from partners.problems import Conflict, IllegalStep, InvalidInput, Problem
from stock.models import Batch, Count, Warehouse
from stock.operations import counting, holds

Kind, Status = Feedback.Kind, Feedback.Status
# More than people can answer in a week is not read by anybody.
OPEN_MAX = 200


class AlreadyRated(Conflict):
    """The partner has rated this order before. Data: feedbackId."""

    code = "already_rated"
    title = "This order is rated already"


class TooMuchFeedback(Problem):
    """So much of this partner's waits for an answer that no more is taken. Data: openMax."""

    code = "too_much_feedback"
    title = "Too much waits for an answer"
    remedy = "Wait until what you said is answered; the event feedback.answered tells it."
    status = 429
    retry_after_seconds = 3_600
    is_final = False


@transaction.atomic
def hear(
    *,
    partner: Partner,
    kind: str,
    actor: Actor,
    at: datetime,
    variant: Variant | None = None,
    order: Order | None = None,
    warehouse: Warehouse | None = None,
    batch: Batch | None = None,
    counted_quantity: int | None = None,
    rating: int | None = None,
    comment: str = "",
) -> Feedback:
    """Keep what a partner says. Of a discrepancy, the product is counted at the warehouse, by somebody who is not
    told what the partner or the book says; where such a count is open already, that one is named.

    Said twice it is there twice, but an order is rated once by a partner. Raises InvalidInput where a kind lacks what
    it is about, AlreadyRated (data: feedbackId) and TooMuchFeedback. Locks nothing but the pair of product and
    warehouse, against twins that would open two counts.
    """
    _check(kind, variant, order, warehouse, counted_quantity, rating, comment)
    if Feedback.objects.for_partner(partner).open()[:OPEN_MAX].count() >= OPEN_MAX:
        raise TooMuchFeedback(f"{OPEN_MAX} of yours wait for an answer. Wait for some.", openMax=OPEN_MAX)
    said = Feedback(
        partner=partner, kind=kind, variant=variant, order=order, warehouse=warehouse, batch=batch,
        counted_quantity=counted_quantity, rating=rating, comment=comment, said_at=at,
    )  # fmt: skip
    if kind == Kind.DISCREPANCY and variant is not None and warehouse is not None:
        said.count = _count(variant, warehouse, actor=actor, at=at)
    try:
        with transaction.atomic():
            said.save()
    except IntegrityError as error:
        if "feedback_one_rating_per_order" not in str(error):
            raise
        earlier = Feedback.objects.get(partner=partner, order=order, rating__isnull=False)
        raise AlreadyRated("You have rated this order.", feedbackId=earlier.number) from error
    _tell(said, "feedback.received", actor=actor, at=at)
    return said


@transaction.atomic
def answer(*, feedback: Feedback, text: str, actor: Actor, at: datetime) -> Feedback:
    """Tell the partner what came of it; answered again, the later answer counts.

    Locks the feedback. Raises IllegalStep for what is closed.
    """
    locked = _lock(feedback)
    if locked.status == Status.CLOSED:
        raise IllegalStep(
            "It is closed.", currentStatus=locked.status, allowedFrom=[str(Status.OPEN), str(Status.ANSWERED)]
        )
    if locked.status == Status.ANSWERED and locked.answer == text:
        return locked
    locked.status, locked.answer, locked.answered_at = Status.ANSWERED, text, at
    return _step(locked, "answered", actor=actor, at=at)


@transaction.atomic
def close(*, feedback: Feedback, actor: Actor, at: datetime) -> Feedback:
    """Nothing more is to be done about it. Closed twice answers the same. Locks the feedback."""
    locked = _lock(feedback)
    if locked.status == Status.CLOSED:
        return locked
    locked.status, locked.closed_at = Status.CLOSED, at
    return _step(locked, "closed", actor=actor, at=at)


@transaction.atomic
def hold_back(*, feedback: Feedback, actor: Actor, at: datetime) -> Feedback:
    """Hold back the batch somebody complained of, everywhere, until it is looked at: see `holds.quarantine_batch`.

    Done twice answers the same. Raises IllegalStep where it is about no batch, or one that is recalled.
    """
    locked = _lock(feedback)
    if locked.batch is None:
        raise IllegalStep("It names no batch.", currentStatus=locked.status, allowedFrom=[])
    holds.quarantine_batch(batch=locked.batch, reason=f"Feedback {locked.number}", actor=actor, at=at)
    return locked


def _check(
    kind: str,
    variant: Variant | None,
    order: Order | None,
    warehouse: Warehouse | None,
    counted_quantity: int | None,
    rating: int | None,
    comment: str,
) -> None:
    wrong = []
    if kind == Kind.DISCREPANCY and variant is None:
        wrong.append(("productId", "Of which product?"))
    if kind == Kind.DISCREPANCY and warehouse is None:
        wrong.append(("warehouseLocation", "Where?"))
    if kind == Kind.DELAY and order is None:
        wrong.append(("orderId", "Of which order?"))
    if kind == Kind.QUALITY and variant is None and order is None:
        wrong.append(("productId", "Name the product, or the order."))
    if kind != Kind.DISCREPANCY and counted_quantity is not None:
        wrong.append(("countedQuantity", "Only a discrepancy has one."))
    if kind == Kind.OTHER and not comment and rating is None:
        wrong.append(("comment", "Say what it is."))
    if wrong:
        raise InvalidInput.of(wrong)


def _count(variant: Variant, warehouse: Warehouse, *, actor: Actor, at: datetime) -> Count:
    """The count that feedback has opened there, while it is open; else a new one, blind."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"orders.hearing/{warehouse.pk}/{variant.pk}"])
    heard = Feedback.objects.filter(variant=variant, warehouse=warehouse, count__state=Count.State.OPEN)
    if earlier := heard.select_related("count").first():
        return earlier.count  # type: ignore[return-value]  # filtered by its state
    scope = counting.Scope(skus=(variant.sku,))
    return counting.open(warehouse=warehouse, scope=scope, rules=counting.Rules(), actor=actor, at=at)


def _lock(feedback: Feedback) -> Feedback:
    return Feedback.objects.lock().select_related("partner", "batch", "variant", "order").get(pk=feedback.pk)


def _step(feedback: Feedback, verb: str, *, actor: Actor, at: datetime) -> Feedback:
    feedback.version += 1
    feedback._change_reason = f"feedback {verb}"  # type: ignore[attr-defined]  # read by the history
    feedback.save()
    _tell(feedback, f"feedback.{verb}", actor=actor, at=at)
    return feedback


def _tell(feedback: Feedback, event_type: str, *, actor: Actor, at: datetime) -> None:
    outbox.record(
        event_type,
        subject=f"feedback/{feedback.number}",
        payload={
            "feedbackId": feedback.number,
            "kind": feedback.kind,
            "status": feedback.status,
            "productId": feedback.variant.sku if feedback.variant else None,
            "orderId": feedback.order.number if feedback.order else None,
        },
        actor=actor,
        at=at,
        addressee_ids=[feedback.partner_id],
    )
