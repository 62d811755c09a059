"""The pages for whoever writes a program against the API: reference, quick start, refusals, events, changes.

All of it is served by the site itself, and none asks for anything from outside.
"""

from __future__ import annotations

import json
import re
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import condition, require_safe
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer

from partners.api import catalogue
from partners.api import event_types as catalogue_of_events

CHANGES = Path(__file__).with_name("CHANGELOG.md")
PATHS_SHOWN = 6


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document. It depends on the code alone, so each process makes it once, in some seconds."""
    return dict(SchemaGenerator().get_schema(request=None, public=True))


@cache
def written(form: str) -> bytes:
    if form == "yaml":
        return bytes(OpenApiYamlRenderer().render(document(), renderer_context={}))
    return json.dumps(document(), ensure_ascii=False).encode()


@cache
def tag(form: str) -> str:
    return f'"{sha256(written(form)).hexdigest()[:16]}"'


def form_of(request: HttpRequest) -> str:
    return "yaml" if request.GET.get("format") == "yaml" else "json"


@gzip_page
@condition(etag_func=lambda request: tag(form_of(request)))
@require_safe
def schema(request: HttpRequest) -> HttpResponse:
    """The document as JSON, or with `?format=yaml` as YAML."""
    form = form_of(request)
    return HttpResponse(written(form), content_type=f"application/vnd.oai.openapi+{form}; charset=utf-8")


@require_safe
def quick_start(request: HttpRequest) -> HttpResponse:
    """From credentials to the first order by curl; tests/document/test_quick_start.py runs each of them as it stands."""
    return render(request, "docs/quickstart.html", {"site": request.build_absolute_uri("/").rstrip("/")})


@require_safe
def refusals(request: HttpRequest) -> HttpResponse:
    """Every code, with what it means and what to do: where a problem's `type` leads."""
    return render(request, "docs/problems.html", {"entries": _with_paths()})


def _with_paths() -> list[dict[str, Any]]:
    found: dict[str, list[str]] = {}
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            for answer in operation["responses"].values():
                shared = answer.get("$ref", "").rpartition("/")[2]
                answer = document()["components"]["responses"][shared] if shared else answer
                for code in answer.get("x-codes", []):
                    found.setdefault(code, []).append(f"{method.upper()} {path.removeprefix('/api/v1')}")
    rows = []
    for code, entry in catalogue.entries().items():
        paths = found.get(code, [])
        rows.append({"entry": entry, "paths": paths[:PATHS_SHOWN], "more": max(0, len(paths) - PATHS_SHOWN)})
    return rows


@require_safe
def event_types(request: HttpRequest) -> HttpResponse:
    """Every type of event, from the same source as GET /events/types."""
    # As pairs: a payload may have a field called `items`, which a template would take for the dictionary's own.
    rows = [
        row | {"shown": json.dumps(row["example"], indent=2), "fields": list(row["schema"]["properties"].items())}
        for row in catalogue_of_events.types()
    ]
    return render(request, "docs/events.html", {"types": rows})


@require_safe
def changes(request: HttpRequest) -> HttpResponse:
    """What changed for callers, the newest first, and how long what goes is kept."""
    return render(request, "docs/changelog.html", {"text": _as_html(CHANGES.read_text())})


def _as_html(text: str) -> SafeString:
    """The little Markdown the changelog is written in: headings, lists, paragraphs, `code`."""
    blocks = []
    for block in re.split(r"\n\s*\n", text.strip()):
        safe = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(block))
        safe = re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", safe)
        if heading := re.match(r"(#+) (.*)", safe):
            level = len(heading[1])
            blocks.append(f"<h{level}>{heading[2]}</h{level}>")
        elif safe.startswith("- "):
            rows = "".join(f"<li>{row}</li>" for row in re.split(r"(?:^|\n)- ", safe)[1:])
            blocks.append(f"<ul>{rows}</ul>")
        else:
            blocks.append(f"<p>{safe}</p>")
    return mark_safe("\n".join(blocks))  # noqa: S308  the text is ours and was escaped above
