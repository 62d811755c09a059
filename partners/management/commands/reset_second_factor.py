"""manage.py reset_second_factor: for the last superuser whose phone and recovery codes are gone."""

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from partners.operations import second_factor


class Command(BaseCommand):
    help = "Forgets a member of staff's second factor; the next log-in asks for a new one where one is needed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["username"]).first()
        if user is None:
            raise CommandError(f"There is no user {options['username']}.")
        was_there = second_factor.remove(user=user)
        self.stdout.write("Forgotten." if was_there else "There was none.")
