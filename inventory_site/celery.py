"""The worker and its timetable. Tasks only wake; what is to be done is in the rows.

A task may run twice (a worker died holding it) and may be lost (the broker was emptied): both are
harmless, since each looks in the database for its work and the timetable calls it again.
"""

import os
from typing import Any

from celery import Celery
from celery.schedules import crontab

from inventory_site import queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "inventory_site.settings")

# A wake-up that found no worker is dropped after this time, so that a long outage leaves no pile.
# Generous, because beat's clock and the worker's may differ by some seconds.
EXPIRES_SECONDS = 30

TIMETABLE: dict[str, dict[str, Any]] = {
    "relay events": {"task": "partners.tasks.relay_events", "schedule": 2.0},
    "forget look-ups": {"task": "stock.tasks.forget_lookups", "schedule": crontab(minute="43")},
    "deliver webhooks": {"task": "partners.tasks.deliver_webhooks", "schedule": 5.0},
    "expire reservations": {"task": "stock.tasks.expire_reservations", "schedule": 10.0},
    "work on imports": {"task": "catalog.tasks.work_on_imports", "schedule": 15.0},
    "work on stock imports": {"task": "stock.tasks.work_on_stock_imports", "schedule": 15.0},
    "forget idempotency keys": {"task": "partners.tasks.purge_idempotency_keys", "schedule": crontab(minute="7")},
    "index attributes": {"task": "catalog.tasks.index_attributes", "schedule": crontab(minute="22")},
    "forget webhook deliveries": {"task": "partners.tasks.forget_webhook_deliveries", "schedule": crontab(minute="31")},
    "clear expired tokens": {"task": "partners.tasks.clear_expired_tokens", "schedule": crontab(minute="37")},
    "forget authentication attempts": {
        "task": "partners.tasks.forget_authentication_attempts",
        "schedule": crontab(minute="43"),
    },
    "forget import rows": {"task": "catalog.tasks.forget_import_rows", "schedule": crontab(minute="11")},
    "fill backorders": {"task": "orders.tasks.fill_backorders", "schedule": 30.0},
    "forget unclaimed promises": {"task": "orders.tasks.forget_unclaimed_promises", "schedule": crontab(minute="53")},
    "value the ledger": {"task": "stock.tasks.value_ledger", "schedule": 60.0},
    "seal the ledger": {"task": "stock.tasks.seal_ledger", "schedule": crontab(hour="1", minute="47")},
    "prove the ledger": {"task": "stock.tasks.audit_ledger", "schedule": crontab(hour="2", minute="17")},
    "take a snapshot": {"task": "stock.tasks.take_snapshot", "schedule": crontab(hour="3", minute="17")},
}


def configuration() -> dict[str, Any]:
    """Read when first needed, because the settings import this package before they exist."""
    from django.conf import settings

    return {
        **queue.configuration(settings.CELERY_BROKER_URL),
        "accept_content": ["json"],
        "beat_schedule": {name: {"options": {"expires": EXPIRES_SECONDS}, **row} for name, row in TIMETABLE.items()},
        "beat_schedule_filename": str(settings.STATE_DIR / "beat-schedule"),
        "broker_connection_max_retries": None,  # a worker outlives any outage of its broker
        "broker_connection_retry_on_startup": True,
        "task_acks_late": True,
        "task_default_queue": "backstock",
        "task_ignore_result": True,
        "task_reject_on_worker_lost": True,
        "task_serializer": "json",
        "task_soft_time_limit": queue.TASK_SECONDS_MAX - 60,
        "task_time_limit": queue.TASK_SECONDS_MAX,
        "timezone": "UTC",
        "worker_hijack_root_logger": False,
        "worker_prefetch_multiplier": 1,
    }


app = Celery("backstock")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.add_defaults(configuration)
app.autodiscover_tasks()
