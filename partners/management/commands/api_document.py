"""Whether the API still keeps what it promised, and the promise written anew when it only adds."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from partners.api import compatibility, docs

PROMISE = Path(docs.__file__).with_name("openapi.json")


class Command(BaseCommand):
    help = (
        "Compares the API with partners/api/openapi.json, what callers were promised: exit 1 where something was taken "
        "away or narrowed, each named, or where something was added that the file does not know yet."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--write", action="store_true", help="write what was added into the file")
        parser.add_argument(
            "--even-if-broken",
            action="store_true",
            help="with --write: also what callers will notice; say so in partners/api/CHANGELOG.md",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        now = compatibility.promise(docs.document())
        before = json.loads(PROMISE.read_text()) if PROMISE.is_file() else now
        if faults := compatibility.broken(before, now):
            told = "\n".join(f"  {fault}" for fault in faults)
            if not (options["write"] and options["even_if_broken"]):
                raise CommandError(f"Callers were promised otherwise:\n{told}\nKeep it, or deprecate it for a year.")
            print(f"Written although callers will notice:\n{told}")
        if options["write"]:
            PROMISE.write_text(written(now))
            print(f"{PROMISE.name}: {len(now['paths'])} paths, {len(now['codes'])} codes, {len(now['events'])} events.")
        elif written(now) != (PROMISE.read_text() if PROMISE.is_file() else ""):
            raise CommandError("The API has more than its file knows: manage.py api_document --write")
        else:
            print("The API is what was promised.")


def written(promise: dict[str, Any]) -> str:
    """One line for each leaf, sorted: small differences, and the same from every machine."""
    return json.dumps(promise, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
