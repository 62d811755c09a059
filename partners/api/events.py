"""GET /events: the feed by cursor. Webhooks and the stream are hints; this is the record."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from partners import outbox
from partners.api.doors import Door
from partners.api.pagination import BadPage, read_limit
from partners.models import Feed, OutboxEvent
from partners.problems import Problem


class FeedWasReset(Problem):
    """The cursor is of another epoch, or ahead of the head: read state anew. Data: epoch, head."""

    code = "feed_was_reset"
    title = "The feed began anew"
    status = 410
    is_final = False


class EventSerializer(serializers.ModelSerializer[OutboxEvent]):
    """An event in CloudEvents 1.0 shape; `sequence` is its gapless place in the feed."""

    specversion = serializers.CharField(read_only=True, default="1.0")
    id = serializers.UUIDField(source="event_id")
    source = serializers.CharField(read_only=True, default="/backstock")
    time = serializers.DateTimeField(source="occurred_at")
    datacontenttype = serializers.CharField(read_only=True, default="application/json")
    sequence = serializers.IntegerField(source="position", help_text="Place in the feed: use it as `after`.")
    version = serializers.SerializerMethodField(
        help_text="1, 2, 3 … for each subject, without a gap; null about stock whose numbers are not told exactly."
    )
    data = serializers.SerializerMethodField()

    def get_version(self, event: OutboxEvent) -> int | None:
        return event.version_told_to(self.context["view"].partner)

    def get_data(self, event: OutboxEvent) -> dict[str, Any]:
        return event.data_told_to(self.context["view"].partner)

    class Meta:
        model = OutboxEvent
        fields = (
            "specversion", "id", "source", "type", "subject", "time", "datacontenttype", "sequence", "version", "data",
        )  # fmt: skip


class Events(Door):
    """The caller's events in the order they were committed."""

    queryset = OutboxEvent.objects.none()
    serializer_class = EventSerializer
    pagination_class = None
    required_scopes: ClassVar = {"GET": "events:read"}

    @extend_schema(
        operation_id="listEvents",
        parameters=[
            OpenApiParameter("after", int, description="The `sequence` you have seen last; 0 or nothing for all."),
            OpenApiParameter("types", str, description="Event types, separated by commas."),
            OpenApiParameter("epoch", str, description="The epoch your cursor is from; another one answers 410."),
            OpenApiParameter("limit", int, description="Events a page, 1 to 200."),
        ],
        responses=inline_serializer(
            "EventPage",
            {
                "items": EventSerializer(many=True),
                "nextCursor": serializers.IntegerField(help_text="Send it as `after` next time."),
                "epoch": serializers.UUIDField(),
                "head": serializers.IntegerField(help_text="The newest position of the feed."),
            },
        ),
    )
    def get(self, request: Request) -> Response:
        """Events after a position. Ask again with `nextCursor`; nothing is missed and nothing comes twice."""
        query = request.query_params
        after = read_after(query.get("after"))
        feed = Feed.objects.filter(id=1).first() or Feed(id=1, epoch=uuid.UUID(int=0))
        if after > feed.head or query.get("epoch", str(feed.epoch)) != str(feed.epoch):
            raise FeedWasReset(
                "Your cursor is not of this feed. Read the state anew and start from its head.",
                epoch=str(feed.epoch),
                head=feed.head,
            )
        events = (
            OutboxEvent.objects.in_feed().for_partner(self.partner).filter(position__gt=after, position__lte=feed.head)
        )
        if types := [name for name in query.get("types", "").split(",") if name]:
            if unknown := sorted(set(types) - set(outbox.TYPES)):
                raise BadPage(f"types: no such event {unknown[0]!r}; see /api/v1/events/types.")
            events = events.filter(type__in=types)
        limit = read_limit(query.get("limit"))
        page = list(events.order_by("position")[:limit])
        cursor = page[-1].position if len(page) == limit else feed.head
        return Response(
            {
                "items": self.get_serializer(page, many=True).data,
                "nextCursor": cursor,
                "epoch": str(feed.epoch),
                "head": feed.head,
            }
        )


class EventTypes(Door):
    """The catalogue of events."""

    queryset = OutboxEvent.objects.none()
    pagination_class = None
    required_scopes: ClassVar = {"GET": "events:read"}

    @extend_schema(
        operation_id="listEventTypes",
        responses=inline_serializer(
            "EventTypes",
            {
                "items": inline_serializer(
                    "EventType", {"type": serializers.CharField(), "description": serializers.CharField()}, many=True
                )
            },
        ),
    )
    def get(self, request: Request) -> Response:
        """Every type of event there is and what it means."""
        items: list[dict[str, Any]] = [{"type": name, "description": text} for name, text in outbox.TYPES.items()]
        return Response({"items": items})


def read_after(text: str | None) -> int:
    if not text:
        return 0
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise BadPage("after: the sequence of the last event you have seen, a whole number.")
    return int(text)
