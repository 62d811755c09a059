"""GET /metrics: read from the floors' own queries when asked; no operation counts for telemetry."""

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from partners import addresses, queries


def show(request: HttpRequest) -> HttpResponse:
    """For the machine itself, or for whoever sends METRICS_TOKEN as a bearer token; a 404 to others."""
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    is_known = bool(settings.METRICS_TOKEN) and constant_time_compare(token, settings.METRICS_TOKEN)
    came_from = addresses.read(addresses.client_address(request))
    if not is_known and not (came_from and came_from.is_loopback):
        raise Http404
    registry = CollectorRegistry()
    waiting, oldest_seconds = queries.outbox_waiting(at=timezone.now())
    Gauge("outbox_waiting_events", "Events not yet in the feed", registry=registry).set(waiting)
    Gauge("outbox_oldest_seconds", "Age of the oldest of them", registry=registry).set(oldest_seconds)
    backlog, oldest_seconds, stopped = queries.webhooks_waiting(at=timezone.now())
    Gauge("webhook_backlog_letters", "Letters not delivered yet", registry=registry).set(backlog)
    Gauge("webhook_oldest_seconds", "Age of the oldest of them that goes to a served endpoint", registry=registry).set(
        oldest_seconds
    )
    Gauge("webhook_stopped_endpoints", "Endpoints that are paused or disabled", registry=registry).set(stopped)
    return HttpResponse(generate_latest(registry), content_type="text/plain; version=0.0.4; charset=utf-8")
