from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from inventory_site import queue


class Command(BaseCommand):
    help = "Make the message queue's tables in PostgreSQL; needed once when the broker is pgmq://."

    def handle(self, **options: object) -> None:
        if not settings.CELERY_BROKER_URL.startswith("pgmq:"):
            self.stdout.write("Nothing to prepare: CELERY_BROKER_URL names a broker of its own.")
            return
        try:
            is_made = queue.prepare()
        except queue.QueueNotPrepared as problem:
            raise CommandError(str(problem)) from problem
        self.stdout.write("The queue is made." if is_made else "The queue is there already.")
