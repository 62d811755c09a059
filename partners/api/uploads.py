"""Files that are sent to the API, as multipart/form-data: one file, a few words beside it, and a limit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.http import HttpRequest
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from partners.api.parsing import BodyTooLarge

UPLOAD_BYTES_MAX = 50_000_000


class Upload(dict[str, str]):
    """What was sent, told by name and digest, so that it can be compared like any member of a body."""

    def __init__(self, name: str, content: bytes) -> None:
        super().__init__(name=name, sha256=hashlib.sha256(content).hexdigest())
        self.name, self.content = name, content


class UploadParser(BaseParser):
    """The words as texts, the file as an Upload. Raises BodyTooLarge (data: bytesMax)."""

    media_type = "multipart/form-data"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        request: HttpRequest = (parser_context or {})["request"]
        if int(request.META.get("CONTENT_LENGTH") or 0) > UPLOAD_BYTES_MAX:
            raise BodyTooLarge(f"At most {UPLOAD_BYTES_MAX:,} bytes; send it in parts.", bytesMax=UPLOAD_BYTES_MAX)
        meta = {**request.META, "CONTENT_TYPE": media_type}
        try:
            words, sent = MultiPartParser(meta, stream, [TemporaryFileUploadHandler()], "utf-8").parse()
        except MultiPartParserError as error:
            raise ParseError(f"The body is no multipart/form-data: {error}") from error
        body: dict[str, Any] = {name: text for name, text in words.items() if "\x00" not in f"{name}{text}"}
        files: list[tuple[str, Any]] = list(sent.items())
        for name, file in files:
            body[name] = Upload(str(file.name).replace("\x00", ""), file.read())
            file.close()
        return body
