"""/reservations: hold stock, then commit or release it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, ClassVar, cast

from django.db import DatabaseError
from django.db.models import Prefetch
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog import queries as catalog
from catalog.models import Variant
from partners import idempotency, prepared
from partners.api import conditional, doors, fast, plain
from partners.api.doors import Ask, Deed, Door, once
from partners.api.fields import Flag, Quantity, Text
from partners.disclosure import Rule
from partners.models import Partner
from partners.problems import InvalidInput, Problem
from partners.turnstile import Turnstile
from stock import ledger, queries
from stock.api.inventory import SERIALS_MAX, find_warehouse
from stock.models import Allocation, Reservation, ReservationLine
from stock.models.reservation import ReservationQuerySet
from stock.operations import reservations
from stock.operations.promising import InsufficientStock, Wanted, Wish
from stock.operations.reservations import SECONDS_DEFAULT, SECONDS_MAX
from stock.queries import LineShown, ReservationShown

LINES_MAX = 500


class WantedLine(serializers.Serializer[Any]):
    productId = Text(source="sku", max_length=64)
    quantity = Quantity()
    warehouseLocation = Text(source="warehouse_code", max_length=40, required=False, default="", allow_null=True)


class WantedFields(serializers.Serializer[Any]):
    reference = Text(max_length=120, help_text="Your own name for it; asked again, it answers the same.")
    lines = WantedLine(many=True, allow_empty=False, max_length=LINES_MAX)
    expiresInSeconds = Quantity(source="seconds", required=False, default=SECONDS_DEFAULT, max_value=SECONDS_MAX)
    channel = Text(max_length=40, required=False, default="", allow_blank=True)
    allOrNothing = Flag(
        source="is_all_or_nothing", required=False, default=True,
        help_text="Else what there is, as far as it is disclosed to you.",
    )  # fmt: skip


class ExtendFields(serializers.Serializer[Any]):
    expiresInSeconds = Quantity(source="seconds", max_value=SECONDS_MAX)


class CommitFields(serializers.Serializer[Any]):
    orderId = Text(source="reference", max_length=120, required=False, default="", allow_blank=True, allow_null=True)
    serialNumbers = serializers.ListField(
        source="serials", child=Text(max_length=60), required=False, default=list, max_length=SERIALS_MAX,
        help_text="Of products tracked by serial number: each unit that leaves, once.",
    )  # fmt: skip


class AllocationSerializer(serializers.Serializer[Any]):
    """Where units are kept; one row of them all, without place or batch, where numbers are not told exactly."""

    warehouseLocation = serializers.CharField(source="level.location.warehouse.code", allow_null=True)
    batchNumber = serializers.CharField(source="level.batch.number", default=None, allow_null=True)
    quantity = serializers.IntegerField()


class ReservedComponent(serializers.Serializer[Any]):
    productId = serializers.CharField(source="variant.sku")
    quantity = serializers.IntegerField()
    allocations = AllocationSerializer(many=True)


class ReservedLine(ReservedComponent):
    """A line as it was asked for; a kit's holds nothing itself, its components do."""

    components = ReservedComponent(many=True, help_text="Of a kit; empty for any other product.")


class ReservationSerializer(serializers.Serializer[Reservation]):
    reservationId = serializers.UUIDField(source="public_id")
    reference = serializers.CharField()
    channel = serializers.CharField()
    status = serializers.ChoiceField(Reservation.State, source="state")
    expiresAt = serializers.DateTimeField(
        source="expires_at", allow_null=True, help_text="Null while an order holds it."
    )
    lines = ReservedLine(many=True)
    version = serializers.IntegerField()

    def to_representation(self, instance: Reservation) -> dict[str, Any]:
        row: dict[str, Any] = super().to_representation(instance)
        rule: Rule = self.context.get("rule") or self.context["view"].partner.disclosure_rule
        if not rule.is_exact:
            discreet(row["lines"], of_order=instance.expires_at is None)
        return row


def discreet(lines: list[dict[str, Any]], *, of_order: bool) -> list[dict[str, Any]]:
    for line in lines:
        for kept in (line, *line["components"]):
            kept["allocations"] = _added_up(kept, of_order=of_order)
    return lines


def _added_up(line: dict[str, Any], *, of_order: bool) -> list[dict[str, Any]]:
    """What is kept for a line, wherever it lies: a promise in two places would tell what the first one has. An
    order waits for the rest, and what it has got of it by then would tell what there is."""
    units = sum(row["quantity"] for row in line["allocations"])
    if not units or (of_order and units < line["quantity"]):
        return []
    return [{"warehouseLocation": None, "batchNumber": None, "quantity": units}]


def shown() -> ReservationQuerySet:
    """Reservations with their lines, where these are kept, and kits with their components. Six queries at most."""
    kept = Prefetch(
        "allocations", Allocation.objects.select_related("level__location__warehouse", "level__batch").order_by("id")
    )
    components = Prefetch("components", ReservationLine.objects.select_related("variant").prefetch_related(kept))
    lines = ReservationLine.objects.filter(kit_line=None).select_related("variant").order_by("id")
    return Reservation.objects.prefetch_related(Prefetch("lines", lines.prefetch_related(kept, components)))


class ReservationDoor(Door):
    queryset = Reservation.objects.none()
    serializer_class = ReservationSerializer
    required_scopes: ClassVar = {"GET": "reservations:read", "POST": "reservations:write"}
    are_steps_matched = True

    def find(self, public_id: Any) -> Reservation:
        reservation: Reservation = get_object_or_404(Reservation.objects.for_partner(self.partner), public_id=public_id)
        return self.seen(reservation, Reservation.objects.filter(pk=reservation.pk))

    def answer(self, reservation: Reservation, status: int = 200) -> Response:
        row = shown().get(pk=reservation.pk)
        response = Response(self.get_serializer(row).data, status=status)
        return conditional.with_etag(response, conditional.etag(row.version), self.request)


class Reservations(ReservationDoor):
    """Promises of stock."""

    keyset = "-id"
    refusals: ClassVar = {"POST": (InsufficientStock, reservations.ReferenceReused)}

    @extend_schema(operation_id="listReservations")
    def get(self, request: Request) -> Response:
        """The caller's reservations, newest first."""
        return self.listed(shown().for_partner(self.partner))

    @extend_schema(
        operation_id="reserve",
        request=WantedFields,
        responses={201: ReservationSerializer},
        parameters=[doors.IDEMPOTENCY_KEY],
    )
    def post(self, request: Request) -> HttpResponseBase:
        """Promise stock: all lines or, with `allOrNothing` false, what there is.

        Batches that expire first are promised first. Asked again with the same `reference` and content it
        answers the same; with other content 409 `reference_reused`. Not enough is 409 `insufficient_stock`
        with `shortages[{productId, requested, available}]`, and nothing is reserved. 429 `too_many_holds` and
        `too_many_units_held` say that open reservations keep all they may; 429 `probing_limited` that too many
        quantities of a product were refused within the hour.
        """
        key = idempotency.read_key(request.headers.get("Idempotency-Key"))
        mark = idempotency.fingerprint(method="POST", path=request.path, body=request.data)
        application_id = self.caller.application.pk
        if answer := doors.replayed(application_id=application_id, key=key, fingerprint=mark):
            return answer
        fields = self.understood(WantedFields)
        wish = reservations.wish_for(
            wanted=wanted_lines(self.partner, fields.pop("lines")),
            partner=self.partner,
            actor=self.actor,
            at=timezone.now(),
            **fields,
        )
        return done(Ask(application_id=application_id, key=key, fingerprint=mark, path=request.path, wish=wish))


class OneReservation(ReservationDoor):
    @extend_schema(operation_id="getReservation")
    def get(self, request: Request, public_id: Any) -> Response:
        """One reservation, with its ETag."""
        return self.answer(self.find(public_id))


class Extend(ReservationDoor):
    @extend_schema(operation_id="extendReservation", request=ExtendFields)
    @once
    def post(self, request: Request, public_id: Any) -> Response:
        """Let it run longer, counted from now; twice at most, and only while it lives."""
        reservation = self.find(public_id)
        fields = self.understood(ExtendFields)
        return self.answer(reservations.extend(reservation=reservation, actor=self.actor, at=timezone.now(), **fields))


class Commit(ReservationDoor):
    @extend_schema(operation_id="commitReservation", request=CommitFields)
    @once
    def post(self, request: Request, public_id: Any) -> Response:
        """The goods leave: on hand and reserved both fall. `orderId` is written on the movements.

        To turn a hold into an order here, send its `reservationId` with `POST /orders` instead.
        """
        reservation = self.find(public_id)
        fields = self.understood(CommitFields)
        return self.answer(
            reservations.commit(
                reservation=reservation,
                reference=fields["reference"] or "",
                serials=fields["serials"],
                actor=self.actor,
                at=timezone.now(),
            )
        )


class Release(ReservationDoor):
    @extend_schema(operation_id="releaseReservation", request=None)
    @once
    def post(self, request: Request, public_id: Any) -> Response:
        """Give the promise back."""
        reservation = self.find(public_id)
        return self.answer(reservations.release(reservation=reservation, actor=self.actor, at=timezone.now()))


def grant(wishes: Sequence[Wish]) -> list[Response | Problem]:
    """Reserve for all of them, and answer each. The reading of the answers costs the same for one or fifty."""
    if len(wishes) == 1:
        try:
            outcomes: list[tuple[Reservation, bool] | Problem] = [reservations.reserve_wish(wish=wishes[0])]
        except Problem as refusal:
            outcomes = [refusal]
    else:
        outcomes = reservations.reserve_together(wishes=wishes)
    rows = queries.reservations_as_shown(
        [outcome[0].public_id for outcome in outcomes if not isinstance(outcome, Problem)]
    )
    answers: list[Response | Problem] = []
    for wish, outcome in zip(wishes, outcomes, strict=True):
        if isinstance(outcome, Problem):
            answers.append(outcome)
            continue
        answers.append(_answer(wish, rows[outcome[0].public_id], is_new=outcome[1]))
    return answers


def _answer(wish: Wish, row: ReservationShown, *, is_new: bool) -> Response:
    rule = wish.partner.disclosure_rule if wish.partner else Rule()
    response = Response(as_json(row, rule=rule), status=201 if is_new else 200)
    response["Location"] = f"/api/v1/reservations/{row.public_id}"
    response["ETag"] = conditional.etag(row.version)
    return response


def grant_at_once(ask: Ask) -> HttpResponse | None:
    """The common case of one wish, in two trips to the database; None, and nothing done, where it is not that."""
    wish: Wish = ask.wish
    call = reservations.at_once(wish=wish)
    if call is None:
        return None

    def answer(made: prepared.Rows, shown: prepared.Rows) -> Response | None:
        [(made_id, _)] = made
        if made_id is None:
            return None
        return _answer(wish, queries.as_shown(shown)[wish.header.public_id], is_new=True)

    deed = Deed(call=call, columns=ledger.MADE, reading=queries.showing([wish.header.public_id]))
    try:
        response = doors.once_at_once(ask, deed, answer)
    except DatabaseError as error:
        if ledger.is_pick_gone(error):
            return None
        raise
    if response is not None:
        reservations.note_made(wish=wish)
    return response


def as_json(row: ReservationShown, *, rule: Rule) -> dict[str, Any]:
    """What ReservationSerializer makes of a reservation, made of what one query has read."""
    lines = [
        line_as_json(line) | {"components": [line_as_json(part) for part in line.components]} for line in row.lines
    ]
    return {
        "reservationId": str(row.public_id),
        "reference": row.reference,
        "channel": row.channel,
        "status": row.state,
        "expiresAt": row.expires_at.isoformat().replace("+00:00", "Z") if row.expires_at else None,
        "lines": lines if rule.is_exact else discreet(lines, of_order=row.expires_at is None),
        "version": row.version,
    }


def line_as_json(line: LineShown) -> dict[str, Any]:
    return {
        "productId": line.sku,
        "quantity": line.quantity,
        "allocations": [
            {"warehouseLocation": code, "batchNumber": batch_number, "quantity": quantity}
            for code, batch_number, quantity in line.allocations
        ],
    }


def _together(asks: Sequence[Ask]) -> list[HttpResponseBase | Problem]:
    if len(asks) == 1 and (answer := grant_at_once(asks[0])):
        return [answer]
    return doors.once_together(asks, grant)


def _marks(ask: Ask) -> set[Hashable]:
    return {("key", ask.application_id, ask.key), ("reference", ask.wish.header.partner_id, ask.wish.header.reference)}


def done(ask: Ask) -> HttpResponseBase:
    """The answer to a wish, kept with its key. Raises what cannot be kept."""
    # Who wants one product only goes through with all who want it now; a basket goes by itself.
    wanted = ask.wish.wanted
    outcome = TURNSTILE.pass_through(wanted[0].variant.pk if len(wanted) == 1 else object(), ask)
    if isinstance(outcome, Problem):
        raise outcome
    return outcome


TURNSTILE: Turnstile[Ask, HttpResponseBase | Problem] = Turnstile(_together, marks=_marks)


def wanted_lines(partner: Partner, lines: list[dict[str, Any]]) -> list[Wanted]:
    """The lines of a body as what they mean; unknown products and warehouses are named by field. Few queries."""
    skus = [line["sku"] for line in lines]
    found = catalog.stocked_named(skus, partner=partner, is_active=True)
    variants = {sku: Variant.from_db("default", ["id", "sku"], [row.pk, sku]) for sku, row in found.items()}
    unknown = [
        (f"lines[{place}].productId", f"There is no product {sku} for you that can be promised.")
        for place, sku in enumerate(skus)
        if sku not in variants
    ]
    if unknown:
        raise InvalidInput.of(unknown)
    named = {line.get("warehouse_code") for line in lines} - {"", None}
    places = {code: next(at for at, line in enumerate(lines) if line["warehouse_code"] == code) for code in named}
    for code in named:
        find_warehouse(partner, str(code), f"lines[{places[code]}].warehouseLocation")
    return [
        Wanted(
            variant=variants[line["sku"]], quantity=line["quantity"], warehouse_code=line.get("warehouse_code") or ""
        )
        for line in lines
    ]


READ_PLAINLY = plain.reader(WantedFields)


def answer_shortly(call: fast.Call) -> fast.Answer:
    """`post` without the framework. A key that has its answer already gets that from the transaction below."""
    key = idempotency.read_key(call.idempotency_key)
    fields = READ_PLAINLY(call.body)
    wish = reservations.wish_for(
        wanted=wanted_lines(call.caller.partner, fields.pop("lines")),
        partner=call.caller.partner,
        actor=call.caller.actor,
        at=timezone.now(),
        **fields,
    )
    ask = Ask(
        application_id=call.caller.application.pk,
        key=key,
        fingerprint=idempotency.fingerprint(method="POST", path=call.path, body=call.body),
        path=call.path,
        wish=wish,
    )
    answer = cast(HttpResponse, done(ask))  # what is kept has its bytes
    return fast.Answer(status=answer.status_code, headers=answer.headers, body=answer.content)


SHORT_WAY = fast.Room(
    route="api/v1/reservations",
    scope=Reservations.required_scopes["POST"],
    allow="GET, POST, HEAD, OPTIONS",
    answer=answer_shortly,
)
