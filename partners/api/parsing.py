"""JSON without surprises: what two readers could understand differently is refused at the door."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from django.http import HttpRequest
from django.utils.http import parse_header_parameters
from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.parsers import BaseParser

from partners.problems import Problem

BODY_BYTES_MAX = 1_000_000
DEPTH_MAX = 32
DIGITS_MAX = 18


class BodyTooLarge(Problem):
    """More bytes than a request may have. Data: bytesMax."""

    code = "body_too_large"
    title = "The body is too large"
    remedy = "Send less at once, or a file to /imports."
    status = 413
    is_final = False


class StrictJSONParser(BaseParser):
    """Refuses duplicate keys, NaN and Infinity, numbers beyond 18 digits, NUL, lone surrogates, depth."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        request: HttpRequest | None = (parser_context or {}).get("request")
        if request:
            _check_kind(request)
        declared = int(request.META.get("CONTENT_LENGTH") or 0) if request else 0
        raw = stream.read(BODY_BYTES_MAX + 1) if declared <= BODY_BYTES_MAX else b" " * (BODY_BYTES_MAX + 1)
        if len(raw) > BODY_BYTES_MAX:
            raise BodyTooLarge(
                f"At most {BODY_BYTES_MAX:,} bytes; large files go to /imports.", bytesMax=BODY_BYTES_MAX
            )
        return parse(raw)


def parse(raw: bytes) -> Any:
    """The value of a JSON text that has one meaning only. Raises ParseError."""
    try:
        value = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_no_duplicates,
            parse_constant=_no_constant,
            parse_int=_bounded_int,
            parse_float=_bounded_float,
        )
    except UnicodeDecodeError as error:
        raise ParseError("The body is not UTF-8.") from error
    except RecursionError as error:
        raise ParseError(f"The body is nested deeper than {DEPTH_MAX} levels.") from error
    except ValueError as error:
        raise ParseError(f"The body is not JSON we can use: {error}.") from error
    _check(value, depth=0)
    return value


def _check_kind(request: HttpRequest) -> None:
    """A parser is chosen by wildcards too, and none looks at how the body is packed."""
    kind, parameters = parse_header_parameters(request.META.get("CONTENT_TYPE") or "")
    charset = parameters.get("charset", "utf-8").lower()
    packing = (request.headers.get("Content-Encoding") or "identity").strip().lower()
    if kind != StrictJSONParser.media_type or charset != "utf-8" or packing != "identity":
        said = f"{kind}; charset={charset}" if packing == "identity" else packing
        raise UnsupportedMediaType(said[:80], detail=f"{said[:80]!r}: send application/json in UTF-8, not packed.")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ParseError(f"The key {twice[:80]!r} is there twice.")
    return result


def _no_constant(name: str) -> NoReturn:
    raise ParseError(f"{name} is not a number in JSON.")


def _bounded_int(text: str) -> int:
    if len(text.lstrip("-")) > DIGITS_MAX:
        raise ParseError(f"A number has more than {DIGITS_MAX} digits.")
    return int(text)


def _bounded_float(text: str) -> float:
    value = float(text)
    if len(text) > 40 or value in (float("inf"), float("-inf")):
        raise ParseError("A number is out of range.")
    return value


def _check(value: Any, *, depth: int) -> None:
    if depth > DEPTH_MAX:
        raise ParseError(f"The body is nested deeper than {DEPTH_MAX} levels.")
    if isinstance(value, str):
        if "\x00" in value:
            raise ParseError("A text holds the character NUL.")
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ParseError("A text holds half of a surrogate pair.") from error
    elif isinstance(value, dict):
        for name, inner in value.items():
            _check(name, depth=depth + 1)
            _check(inner, depth=depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _check(inner, depth=depth + 1)
