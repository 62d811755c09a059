"""The document and the story told against it, once for a test that wants them."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator

from tests.document import story


@cache
def the_document() -> dict[str, Any]:
    return dict(SchemaGenerator().get_schema(request=None, public=True))


@pytest.fixture
def document() -> dict[str, Any]:
    return the_document()


@pytest.fixture
def told(db: None, document: dict[str, Any]) -> story.Story:
    return story.tell(document)
