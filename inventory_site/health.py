"""Is the process alive, and can it serve? Two questions for whoever restarts and routes."""

from django.core.cache import cache
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.utils import timezone

from partners import queries

WAITING_SECONDS_MAX = 300


def live(request: HttpRequest) -> JsonResponse:
    """The process answers; touches nothing else, so that a slow database restarts nobody."""
    return JsonResponse({"status": "ok"})


def ready(request: HttpRequest) -> JsonResponse:
    """503 while the database is away, migrations are missing, the cache fails or the relay stands still."""
    checks: dict[str, str] = {}
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
        checks["database"] = "ok"
        checks["migrations"] = f"{len(missing)} not applied" if missing else "ok"
        if not missing:
            _, oldest_seconds = queries.outbox_waiting(at=timezone.now())
            checks["relay"] = "ok" if oldest_seconds < WAITING_SECONDS_MAX else f"{oldest_seconds:.0f} s behind"
            cache.set("readyz", 1, 5)
            checks["cache"] = "ok" if cache.get("readyz") else "does not keep"
    except DatabaseError:
        checks["database"] = "away"
    except OSError:
        checks["cache"] = "away"
    is_ready = all(state == "ok" for state in checks.values())
    return JsonResponse(
        {"status": "ok" if is_ready else "not ready", "checks": checks}, status=200 if is_ready else 503
    )
