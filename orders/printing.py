"""A paper as the answer to somebody who asked for it, in the browser or by the API."""

from __future__ import annotations

from django.http import HttpResponse

TYPES = {"pdf": "application/pdf", "zpl": "text/plain; charset=utf-8"}


def printed(paper: bytes | str, name: str, *, content_type: str = "") -> HttpResponse:
    """A PDF is shown, ready to be printed; ZPL is saved, and sent to the printer. Of the type asked for, else the
    usual one."""
    kind = name.rpartition(".")[2]
    shown = "inline" if kind == "pdf" else "attachment"
    return HttpResponse(
        paper, content_type=content_type or TYPES[kind], headers={"Content-Disposition": f'{shown}; filename="{name}"'}
    )
