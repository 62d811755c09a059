#!/usr/bin/env python
"""Backstock's command line. Without DATABASE_URL it brings a PostgreSQL of its own."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

# Commands that neither need nor want a server started for them.
WITHOUT_DATABASE = {"help", "--help", "-h", "version", "--version", "collectstatic", "compilemessages"}
# What Django answers even when the settings cannot be read.
WITHOUT_SETTINGS = {"help", "--help", "-h", "version", "--version"}


def main(arguments: list[str]) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "inventory_site.settings")
    command = arguments[1] if len(arguments) > 1 else "help"
    with contextlib.ExitStack() as stack:
        if "DATABASE_URL" not in os.environ and command not in WITHOUT_DATABASE:
            stack.enter_context(own_database())
        from django.conf import settings
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line

        try:
            settings.MODE  # noqa: B018  reads the settings: the refusal names one, and a traceback buries it
        except ImproperlyConfigured as problem:
            if command not in WITHOUT_SETTINGS:
                sys.exit(str(problem))
        execute_from_command_line(arguments)


@contextlib.contextmanager
def own_database() -> Iterator[None]:
    from inventory_site import postgres

    if os.environ.get("BACKSTOCK_MODE") == "production":
        sys.exit("DATABASE_URL is not set. In production Backstock runs on a PostgreSQL you name.")
    try:
        with postgres.running(Path(__file__).resolve().parent / ".backstock" / "postgres") as url:
            os.environ["DATABASE_URL"] = url
            yield
    except postgres.Unavailable as problem:
        sys.exit(f"No PostgreSQL: {problem}")


if __name__ == "__main__":
    main(sys.argv)
