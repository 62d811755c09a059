"""/counts: open, write down what lies there, decide, post."""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal
from typing import Any, ClassVar

from django.db.models import Count as Number
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.models import Variant
from partners.api import conditional
from partners.api.doors import Door, once
from partners.api.fields import Amount, ExpirationDate, Flag, Quantity, Text
from partners.models import Partner
from partners.problems import InvalidInput
from stock import abc, queries
from stock.api.inventory import find_warehouse
from stock.models import Count, CountLine, Level
from stock.models.ownership import owners_seen_by, visible_to
from stock.operations import counting
from stock.operations.counting import TO_COUNT, Found, Rules, Scope

LINES_MAX = 500
ID_DIGITS_MAX = 18


class CountFields(serializers.Serializer[Any]):
    """What to count: some bins, some products, a class, or everything in the warehouse."""

    warehouseLocation = Text(source="warehouse_code", max_length=40)
    locations = serializers.ListField(child=Text(max_length=40), required=False, default=list, max_length=LINES_MAX)
    productIds = serializers.ListField(
        source="skus", child=Text(max_length=64), required=False, default=list, max_length=LINES_MAX
    )
    abcClass = serializers.ChoiceField(
        abc.CLASSES, source="abc_class", required=False, allow_null=True, default=None,
        help_text="By the value shipped in 90 days: A the first 80 %, B the next 15 %, C the rest.",
    )  # fmt: skip
    isBlind = Flag(
        source="is_blind", required=False, default=True, help_text="Do not tell what the book says to who counts."
    )
    toleranceUnits = Quantity(
        source="tolerance_units", min_value=0, max_value=2**31 - 1, required=False, default=0,
        help_text="A difference up to this needs no recount.",
    )  # fmt: skip
    tolerancePercent = Amount(
        source="tolerance_percent", max_digits=5, decimal_places=2, min_value=Decimal(0), max_value=Decimal(100),
        required=False, default=Decimal(0), help_text="Of what the book says; the greater of the two tolerances holds.",
    )  # fmt: skip
    approvalValue = Amount(
        source="approval_value", max_digits=14, decimal_places=2, min_value=Decimal(0), required=False,
        allow_null=True, default=None, help_text="A difference worth more waits for approval; null: none does.",
    )  # fmt: skip


class FoundLine(serializers.Serializer[Any]):
    productId = Text(source="sku", max_length=64)
    counted = Quantity(min_value=0, help_text="All that lies there, in stock units.")
    location = Text(
        source="place", max_length=40, required=False, default="", allow_blank=True,
        help_text="The bin's code; empty: the default bin.",
    )  # fmt: skip
    batchNumber = Text(source="batch_number", max_length=60, required=False, default="", allow_blank=True)
    expirationDate = ExpirationDate(source="expires_on", required=False, allow_null=True, default=None)
    condition = serializers.ChoiceField(Level.Condition, required=False, default=Level.Condition.SELLABLE)
    ownerId = Text(
        source="owner_code", max_length=40, required=False, allow_null=True, default=None,
        help_text="Whose it is, where it is not the operator's.",
    )  # fmt: skip


class FoundFields(serializers.Serializer[Any]):
    lines = FoundLine(many=True, allow_empty=False, max_length=LINES_MAX)


class PostFields(serializers.Serializer[Any]):
    closeUncounted = Flag(
        source="close_uncounted", required=False, default=False, help_text="Leave places not counted as they are."
    )


class CountSerializer(serializers.Serializer[Any]):
    countId = serializers.CharField(source="number")
    warehouseLocation = serializers.CharField(source="warehouse.code")
    scope = serializers.CharField(help_text="What is counted, in words.")
    status = serializers.ChoiceField(Count.State, source="state")
    isBlind = serializers.BooleanField(source="is_blind")
    toleranceUnits = serializers.IntegerField(source="tolerance_units")
    tolerancePercent = serializers.DecimalField(source="tolerance_percent", max_digits=5, decimal_places=2)
    approvalValue = serializers.DecimalField(source="approval_value", max_digits=14, decimal_places=2, allow_null=True)
    lines = serializers.IntegerField(source="progress.lines", help_text="Places in the count.")
    linesToCount = serializers.IntegerField(source="progress.to_count", help_text="Not counted yet, or to count again.")
    linesToApprove = serializers.IntegerField(source="progress.to_approve")
    openedAt = serializers.DateTimeField(source="opened_at")
    endedAt = serializers.DateTimeField(source="ended_at", allow_null=True)
    version = serializers.IntegerField()


class UnbookedSerializer(serializers.Serializer[Any]):
    """Units of a loss that had left meanwhile, so that there was nothing to take."""

    productId = serializers.CharField()
    location = serializers.CharField()
    batchNumber = serializers.CharField(allow_null=True)
    quantity = serializers.IntegerField()


class PostedSerializer(CountSerializer):
    sentBack = serializers.ListField(
        child=serializers.CharField(),
        help_text="Lines somebody else set right since they were counted. Where there are any, nothing was booked,"
        " the count is still open, and these are to be counted again.",
    )
    unbooked = UnbookedSerializer(many=True)


class CountLineSerializer(serializers.Serializer[Any]):
    """A place of a count. In a blind count the book's numbers are null until the line is settled."""

    lineId = serializers.CharField()
    location = serializers.CharField()
    productId = serializers.CharField()
    batchNumber = serializers.CharField(allow_null=True)
    condition = serializers.ChoiceField(Level.Condition)
    ownerId = serializers.CharField(allow_null=True)
    status = serializers.ChoiceField(CountLine.State)
    expected = serializers.IntegerField(
        allow_null=True, help_text="What the book says; once counted, what it said at that moment."
    )
    firstCounted = serializers.IntegerField(allow_null=True, help_text="The first number, where there was a recount.")
    counted = serializers.IntegerField(allow_null=True)
    variance = serializers.IntegerField(allow_null=True, help_text="counted − expected; this is booked.")
    movedSince = serializers.IntegerField(
        allow_null=True, help_text="What came (or, below zero, went) since it was counted, until it is posted."
    )
    countedBy = serializers.CharField(allow_null=True)
    countedAt = serializers.DateTimeField(allow_null=True)
    decidedBy = serializers.CharField(allow_null=True, help_text="Who approved or rejected.")
    transactionId = serializers.CharField(allow_null=True, help_text="The ledger's row that booked it.")


class RecordedSerializer(serializers.Serializer[Any]):
    items = CountLineSerializer(many=True)


class CountFilter(filters.FilterSet):
    warehouse = filters.CharFilter("warehouse__code")
    status = filters.ChoiceFilter("state", choices=Count.State)


class CountLineFilter(filters.FilterSet):
    status = filters.ChoiceFilter("state", choices=CountLine.State)
    location = filters.CharFilter("location__code")
    productId = filters.CharFilter("variant__sku")


class CountDoor(Door):
    queryset = Count.objects.none()
    serializer_class = CountSerializer
    required_scopes: ClassVar = {"GET": "inventory:read", "POST": "inventory:write"}
    keyset = "-id"
    are_steps_matched = True

    def mine(self) -> Any:
        """The counts the caller may see: none where stock is not told exactly."""
        rows = Count.objects.for_partner(self.partner)
        return rows if self.partner.disclosure_rule.is_exact else rows.none()

    def as_json(self, counts: list[Count]) -> Any:
        """Counts with how far they are, as far as the caller may see their lines. One query for all of them."""
        lines = CountLine.objects.filter(visible_to(self.partner), count__in=counts).order_by()
        numbers: dict[int, Counter[str]] = defaultdict(Counter)
        for count_id, state, number in lines.values_list("count", "state").annotate(number=Number("pk")):
            numbers[count_id][state] = number
        for count in counts:
            count.progress = {  # type: ignore[attr-defined]  # read by the serializer
                "lines": numbers[count.pk].total(),
                "to_count": sum(numbers[count.pk][state] for state in TO_COUNT),
                "to_approve": numbers[count.pk][CountLine.State.APPROVAL],
            }
        return CountSerializer(counts, many=True).data

    def find(self, number: str) -> Count:
        count: Count = get_object_or_404(self.mine().select_related("warehouse"), number=number)
        return self.seen(count, Count.objects.filter(pk=count.pk))

    def find_line(self, number: str, line: str) -> CountLine:
        if not (line.isascii() and line.isdigit() and len(line) <= ID_DIGITS_MAX):
            raise Http404
        rows = CountLine.objects.filter(visible_to(self.partner), count=self.find(number))
        return get_object_or_404(rows.select_related("count"), pk=int(line))

    def answer(self, count: Count, status: int = 200) -> Response:
        row = Count.objects.select_related("warehouse").get(pk=count.pk)
        response = Response(self.as_json([row])[0], status=status)
        return conditional.with_etag(response, conditional.etag(row.version), self.request)

    def lines_as_json(self, count: Count, rows: list[CountLine]) -> list[dict[str, Any]]:
        """Lines as the caller may know them. One query more where the book's numbers are told."""
        is_told = not count.is_blind or "audit:read" in self.caller.scopes
        book = queries.on_hand_of_lines([row.pk for row in rows])
        return [line_as_json(row, book=book.get(row.pk, 0), is_told=is_told) for row in rows]


class Counts(CountDoor):
    """Counts of stock."""

    filterset_class = CountFilter

    @extend_schema(operation_id="listCounts")
    def get(self, request: Request) -> Response:
        """The counts of the caller's warehouses, newest first."""
        page = self.paginate_queryset(self.filter_queryset(self.mine().select_related("warehouse"))) or []
        return self.get_paginated_response(self.as_json(page))

    @extend_schema(operation_id="openCount", request=CountFields, responses={201: CountSerializer})
    @once
    def post(self, request: Request) -> Response:
        """Start a count: a line for each place in scope where something lies.

        Name `locations`, `productIds` or an `abcClass`, or none of them for everything. More than 50,000 places
        are 409 `count_too_large`. The warehouse goes on working meanwhile.
        """
        fields = self.understood(CountFields)
        code = fields.pop("warehouse_code")
        warehouse = find_warehouse(self.partner, code)
        if self.partner.assortment == Partner.Assortment.OWN or not self.partner.disclosure_rule.is_exact:
            raise InvalidInput.at("warehouseLocation", f"There is no warehouse {code} for you to count.")
        scope = Scope(
            locations=tuple(fields.pop("locations")),
            skus=tuple(fields.pop("skus")),
            abc_class=fields.pop("abc_class") or "",
        )
        count = counting.open(
            warehouse=warehouse,
            scope=scope,
            rules=Rules(**fields),
            partner=self.partner,
            actor=self.actor,
            at=timezone.now(),
        )
        response = self.answer(count, 201)
        response["Location"] = f"/api/v1/counts/{count.number}"
        return response


class OneCount(CountDoor):
    @extend_schema(operation_id="getCount")
    def get(self, request: Request, number: str) -> Response:
        """One count and how far it is, with its ETag."""
        return self.answer(self.find(number))


class Lines(CountDoor):
    """The places of a count."""

    queryset = CountLine.objects.none()
    serializer_class = CountLineSerializer
    filterset_class = CountLineFilter
    keyset = "id"

    @extend_schema(operation_id="listCountLines")
    def get(self, request: Request, number: str) -> Response:
        """The places of a count, bin by bin. A blind count tells `expected` and `variance` when a line is settled."""
        count = self.find(number)
        page = self.paginate_queryset(self.filter_queryset(self.shown_lines(count))) or []
        return self.get_paginated_response(self.lines_as_json(count, page))

    @extend_schema(operation_id="recordCountLines", request=FoundFields, responses={200: RecordedSerializer})
    @once
    def post(self, request: Request, number: str) -> Response:
        """Write down what lies in these places; all of them or none.

        What nobody expected there becomes a line of its own. A difference above the tolerance makes the line
        `recount`: count it again and send it again, and that number decides. One worth more than
        `approvalValue` becomes `approval` and waits for another person.
        """
        count = self.find(number)
        found = found_lines(self.partner, self.understood(FoundFields)["lines"])
        lines = counting.record(count=count, found=found, actor=self.actor, at=timezone.now())
        rows = self.shown_lines(count).in_bulk([line.pk for line in lines])
        return Response({"items": self.lines_as_json(count, [rows[line.pk] for line in lines])})

    def shown_lines(self, count: Count) -> Any:
        rows = CountLine.objects.filter(visible_to(self.partner), count=count)
        return rows.select_related("location", "variant", "batch", "owner")


class PostCount(CountDoor):
    @extend_schema(operation_id="postCount", request=PostFields, responses={200: PostedSerializer})
    @once
    def post(self, request: Request, number: str) -> Response:
        """Book the differences and close the count. They are added or taken, so what moved meanwhile stays right.

        Lines still to count or to approve are 409 `lines_open`. A line whose place somebody else set right since
        it was counted is in `sentBack`: nothing was booked then, the count is still `open`, and that line is to
        be counted again. `unbooked` names units of a loss that had left meanwhile. Differences of products
        tracked by serial number are 409 `serials_differ`: adjust those with `serialNumbers`.
        """
        count = self.find(number)
        fields = self.understood(PostFields)
        posted = counting.post(count=count, actor=self.actor, at=timezone.now(), **fields)
        sent_back = CountLine.objects.filter(visible_to(self.partner), pk__in=posted.sent_back).order_by("pk")
        seen = {None, *owners_seen_by(self.partner)}
        response = self.answer(count)
        response.data |= {
            "sentBack": [str(line_id) for line_id in sent_back.values_list("pk", flat=True)],
            "unbooked": [row.as_json() for row in posted.unbooked if row.owner_id in seen],
        }
        return response


class CancelCount(CountDoor):
    @extend_schema(operation_id="cancelCount", request=None)
    @once
    def post(self, request: Request, number: str) -> Response:
        """Give the count up; nothing of it is booked."""
        return self.answer(counting.cancel(count=self.find(number), actor=self.actor, at=timezone.now()))


class DecisionDoor(CountDoor):
    serializer_class = CountLineSerializer
    step: ClassVar[Any]

    def decide(self, number: str, line: str) -> Response:
        row = type(self).step(line=self.find_line(number, line), actor=self.actor, at=timezone.now())
        shown = CountLine.objects.select_related("count", "location", "variant", "batch", "owner").get(pk=row.pk)
        return Response(self.lines_as_json(shown.count, [shown])[0])


class Approve(DecisionDoor):
    step = staticmethod(counting.approve)

    @extend_schema(operation_id="approveCountLine", request=None)
    @once
    def post(self, request: Request, number: str, line: str) -> Response:
        """The difference is real. Who recorded it cannot approve it: 409 `same_person`."""
        return self.decide(number, line)


class Reject(DecisionDoor):
    step = staticmethod(counting.reject)

    @extend_schema(operation_id="rejectCountLine", request=None)
    @once
    def post(self, request: Request, number: str, line: str) -> Response:
        """The place is to be counted again. Who recorded it cannot reject it: 409 `same_person`."""
        return self.decide(number, line)


def found_lines(partner: Partner, lines: list[dict[str, Any]]) -> list[Found]:
    """The lines of a body as what they mean; what is unknown is named by field. Three queries."""
    visible = Variant.objects.for_partner(partner).stocked()
    variants = {row.sku: row for row in visible.filter(sku__in={line["sku"] for line in lines})}
    owners = {row.code: row for row in Partner.objects.filter(pk__in=owners_seen_by(partner))}
    unknown = [
        (f"lines[{place}].productId", f"There is no product {line['sku']} for you that can be stocked.")
        for place, line in enumerate(lines)
        if line["sku"] not in variants
    ] + [
        (f"lines[{place}].ownerId", f"There is no owner {line['owner_code']} for you.")
        for place, line in enumerate(lines)
        if line["owner_code"] and line["owner_code"] not in owners
    ]
    if unknown:
        raise InvalidInput.of(unknown)
    return [
        Found(
            variant=variants[line["sku"]],
            owner=owners.get(line["owner_code"]),
            **{name: line[name] for name in ("counted", "place", "batch_number", "expires_on", "condition")},
        )
        for line in lines
    ]


def line_as_json(line: CountLine, *, book: int, is_told: bool) -> dict[str, Any]:
    """A line as its reader may know it; `book` is what lies there now, by the book."""
    is_open = line.counted is None
    is_hidden = is_open and not is_told
    is_living = not is_open and line.state != CountLine.State.POSTED
    return {
        "lineId": str(line.pk),
        "location": line.location.code,
        "productId": line.variant.sku,
        "batchNumber": line.batch.number if line.batch else None,
        "condition": line.condition,
        "ownerId": line.owner.code if line.owner else None,
        "status": line.state,
        "expected": None if is_hidden else book if is_open else line.balance,
        "firstCounted": None if is_hidden else line.first_counted,
        "counted": line.counted,
        "variance": line.variance,
        "movedSince": book - line.balance if is_living and line.balance is not None else None,
        "countedBy": line.counted_by or None,
        "countedAt": line.counted_at.isoformat().replace("+00:00", "Z") if line.counted_at else None,
        "decidedBy": line.approved_by or None,
        "transactionId": str(line.movement_id) if line.movement_id else None,
    }
