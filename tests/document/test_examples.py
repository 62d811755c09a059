"""The examples of the document: what was really sent and answered, for every operation."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from django.urls import resolve

from partners.api import catalogue
from tests.document.conftest import the_document
from tests.document.schemas import faults_of

WRITING = ("post", "put", "patch", "delete")


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(method, path, row) for path, methods in document["paths"].items() for method, row in methods.items()]


def test_the_story_uses_every_operation_and_its_answers_fit_the_document(told, document):
    if os.environ.get("RECORD_EXAMPLES"):
        record(told, document)
    asked = {row["operationId"]: row for _, _, row in operations(document)}
    assert set(asked) - set(told.told) == set(), "the story has to tell of them, too"
    faults = []
    for name, said in told.told.items():
        answers = asked[name]["responses"]
        if str(said["status"]) not in answers:
            faults.append(f"{name}: {said['status']} is not documented")
        elif "answer" in said:
            schema = answers[str(said["status"])]["content"]["application/json"]["schema"]
            faults += [f"{name} answers {fault}" for fault in faults_of(document, schema, said["answer"])]
        if "request" in said:
            schema = asked[name]["requestBody"]["content"]["application/json"]["schema"]
            faults += [f"{name} takes {fault}" for fault in faults_of(document, schema, said["request"])]
        for code, body in told.refused.get(name, {}).items():
            if code not in codes_of(document, asked[name], body["status"]):
                faults.append(f"{name}: {body['status']} {code} is not documented")
    assert faults == []


def codes_of(document: dict[str, Any], operation: dict[str, Any], status: int) -> list[str]:
    answer = operation["responses"].get(str(status), {})
    if "$ref" in answer:
        answer = document["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    return list(answer.get("x-codes", []))


def test_every_example_of_the_document_fits_its_schema_and_none_is_missing(document):
    faults = []
    for method, path, operation in operations(document):
        name = operation["operationId"]
        if "requestBody" in operation:
            content = operation["requestBody"]["content"]["application/json"]
            faults += checked(document, content, f"{name} takes")
        for status, answer in operation["responses"].items():
            json_content = answer.get("content", {}).get("application/json")
            if json_content and status < "300":
                faults += checked(
                    document, json_content, f"{name} answers {status}", is_needed=status == first(operation)
                )
        assert method in (*WRITING, "get"), path
    for code, example in document["components"]["examples"].items():
        schema = document["components"]["schemas"]["Problem"]
        faults += [f"{code}: {fault}" for fault in faults_of(document, schema, example["value"])]
    assert faults == []


def first(operation: dict[str, Any]) -> str:
    """The status a call that does something new is answered with: 201 rather than the 200 of what is there already."""
    good = [status for status in operation["responses"] if status < "300"]
    return "201" if "201" in good else good[0]


def checked(document: dict[str, Any], content: dict[str, Any], what: str, *, is_needed: bool = True) -> list[str]:
    examples = content.get("examples", {})
    if not examples and is_needed:
        return [f"{what}: no example"]
    return [
        f"{what} ({name}): {fault}"
        for name, example in examples.items()
        for fault in faults_of(document, content["schema"], example["value"])
    ]


def test_an_example_that_does_not_fit_is_found(document):
    """Else the tests above could pass because nothing is compared."""
    schema = {"$ref": "#/components/schemas/Order"}
    assert faults_of(document, schema, {"orderId": 7})
    assert faults_of(document, schema, {"orderId": "O-1"})


def record(told: Any, document: dict[str, Any]) -> None:
    """Write what the story told beside the doors it was told at."""
    by_floor: dict[str, list[str]] = {}
    for _, path, operation in operations(document):
        uuid = "00000000-0000-4000-8000-000000000000"
        filled = path.replace("{reservationId}", uuid).replace("{promiseId}", uuid).replace("{webhookId}", uuid)
        floor = resolve(filled).func.view_class.__module__.split(".")[0]
        by_floor.setdefault(floor, []).append(operation["operationId"])
    for floor, folder in catalogue.floors():
        text = json.dumps(told.examples(by_floor.get(floor, [])), indent=1, ensure_ascii=False)
        Path(folder, "api", "examples.json").write_text(f"{text}\n")


@pytest.fixture(autouse=True)
def fresh_document():
    if os.environ.get("RECORD_EXAMPLES"):
        the_document.cache_clear()
