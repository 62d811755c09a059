"""The worker and its timetable. Tasks only wake; the truth is always a row."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "inventory_site.settings")

app = Celery("backstock")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

