"""A client whose every answer is held against the OpenAPI document: no status and no field that it does not name."""

from __future__ import annotations

import copy
import re
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from tests.conftest import ApiClient
from tests.gate.cases import BASE, document


@cache
def _closed_components() -> dict[str, Any]:
    """The schemas with every object closed, so that a field nobody described is found; problems stay open."""
    components = copy.deepcopy(document()["components"])
    for name, schema in components["schemas"].items():
        if name != "Problem":
            _close(schema)
    return components


def _close(schema: Any) -> None:
    if isinstance(schema, dict):
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
        for inner in schema.values():
            _close(inner)
    elif isinstance(schema, list):
        for inner in schema:
            _close(inner)


@cache
def _ways() -> list[tuple[re.Pattern[str], str]]:
    """The document's paths as patterns, those with the fewest parameters first."""
    paths = sorted(document()["paths"], key=lambda path: path.count("{"))
    # A batch's number may hold a slash, which no path of OpenAPI can say; none here does.
    return [(re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), path) for path in paths]


def path_of(url: str) -> str:
    return next(path for pattern, path in _ways() if pattern.fullmatch(url))


@cache
def _validator(path: str, method: str, status: str, kind: str) -> Draft202012Validator | None:
    answers = document()["paths"][path][method]["responses"]
    assert status in answers, f"{method} {path} answers {status}, which the document does not name"
    answer = answers[status]
    if "$ref" in answer:
        answer = document()["components"]["responses"][answer["$ref"].rsplit("/", 1)[1]]
    content = answer.get("content", {})
    assert kind in content, f"{method} {path} answers {status} as {kind}, the document says {list(content)}"
    if not kind.endswith("json"):
        return None
    schema = copy.deepcopy(content[kind]["schema"])
    formats = Draft202012Validator.FORMAT_CHECKER
    return Draft202012Validator(schema | {"components": _closed_components()}, format_checker=formats)


def check(method: str, url: str, answer: Any) -> None:
    """The answer is one the document describes. Raises AssertionError naming the place."""
    if not answer.content or answer.status_code == 405:
        return
    kind = answer["Content-Type"].split(";")[0]
    found = _validator(path_of(url.split("?")[0]), method.lower(), str(answer.status_code), kind)
    errors = list(found.iter_errors(answer.json())) if found else []
    said = [f"{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}" for error in errors[:5]]
    assert not said, (method, url, answer.status_code, said)


class Held:
    """The same calls as the client's, each answer checked."""

    def __init__(self, client: ApiClient) -> None:
        self.client = client

    def request(self, method: str, path: str, *args: Any, **kwargs: Any) -> Any:
        answer = self.client.request(method, path, *args, **kwargs)
        check(method, f"{BASE}{path}", answer)
        return answer
