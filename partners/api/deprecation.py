"""What will go: said in the document, and with every answer of it, a year before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.http import HttpResponseBase
from django.utils.http import http_date

# Partners' releases come seldom; what works today works for a year after we said that it will go.
NOTICE = timedelta(days=365)
CHANGES_AT = "/api/docs/changelog"


@dataclass(frozen=True, kw_only=True)
class Deprecation:
    """A method of a door that will go, or, with `fields`, only those fields of its answer or body.

    `instead` is the path to use from now on, or for fields their new name. Raises ValueError where the time
    between `since` and `sunset` is shorter than we promise.
    """

    since: date
    sunset: date
    instead: str
    fields: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.sunset - self.since < NOTICE:
            raise ValueError(f"What goes on {self.sunset} has to be said by {self.sunset - NOTICE}.")

    @property
    def sentence(self) -> str:
        what = ", ".join(f"`{name}`" for name in self.fields) or "This"
        return f"**Deprecated** since {self.since}: {what} will go on {self.sunset}. Use `{self.instead}` instead."

    def put(self, response: HttpResponseBase) -> None:
        """Deprecation (RFC 9745), Sunset (RFC 8594) and where to read on."""
        response["Deprecation"] = f"@{_seconds(self.since)}"
        response["Sunset"] = http_date(_seconds(self.sunset))
        links = [f'<{CHANGES_AT}>; rel="deprecation"']
        if not self.fields:
            links.append(f'<{self.instead}>; rel="successor-version"')
        response["Link"] = ", ".join(links)

    def mark(self, operation: dict[str, Any]) -> None:
        """The document's operation, so that generated clients warn."""
        operation["description"] = f"{self.sentence}\n\n{operation['description']}"
        if self.fields:
            operation["x-deprecated-fields"] = list(self.fields)
        else:
            operation["deprecated"] = True


def _seconds(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp())
