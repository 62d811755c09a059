from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage
from django.db.models import Func, GeneratedField, TextField


class PlainKey(Func):
    """A name without case, accents, spaces and punctuation, so that "F-150" is found as "f150".

    The database's own function, made by the migration: one definition for what is stored and what is asked. It
    makes spellings of one name alike and equates no two names: "F150 Pickup 2WD" stays another than "F-150".
    """

    function = "catalog_plain_key"
    arity = 1
    output_field = TextField()


class KeptKey(GeneratedField):
    """A key the database keeps beside what it is made of; in migrations a plain `GeneratedField`.

    Django asks a live connection whether the database can keep such a column. Ours is always PostgreSQL, and
    `manage.py check --deploy` has to work where no database can be reached.
    """

    def __init__(self, **options: Any) -> None:
        settled: dict[str, Any] = {"output_field": TextField(), "db_persist": True}
        super().__init__(**settled | options)

    def check(self, **options: Any) -> list[CheckMessage]:
        return super().check(**options | {"databases": []})

    def deconstruct(self) -> Any:
        name, _, args, options = super().deconstruct()
        return name, "django.db.models.GeneratedField", args, options
