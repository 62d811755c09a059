"""Receivers of webhooks on loopback, with real sockets, that behave as they are told and remember what came."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from unittest import mock

from django.utils import timezone

from partners import outbound


def verify(secret: str, headers: dict[str, str], body: bytes, *, now: float | None = None) -> bool:
    """What a receiver does by Standard Webhooks: a recent timestamp, and one signature that fits, in constant time."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    stamp = headers["webhook-timestamp"]
    if abs((time.time() if now is None else now) - int(stamp)) > 300:
        return False
    signed = b".".join([headers["webhook-id"].encode(), stamp.encode(), body])
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    offered = [text.partition(",")[2] for text in headers["webhook-signature"].split() if text.startswith("v1,")]
    # Each is compared, so that the time does not say which one fitted.
    return sum(hmac.compare_digest(expected, one) for one in offered) > 0


class Hours:
    """A clock that is put forward instead of waited for."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return timezone.now() + self.ahead


@dataclass
class Got:
    headers: dict[str, str]
    body: bytes
    status: int
    port: int

    @property
    def event(self) -> dict[str, Any]:
        return json.loads(self.body)


@dataclass
class Receiver:
    """`answer(number, path)` gives a status, optionally with headers; None drops the connection without a word.

    An event that it `refuses` is answered with 500.
    """

    answer: Callable[[int, str], int | tuple[int, dict[str, str]] | None] = lambda number, path: 204
    refuses: Callable[[dict[str, Any]], bool] = lambda event: False
    got: list[Got] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    url: str = ""
    port: int = 0

    @property
    def accepted(self) -> list[dict[str, Any]]:
        """The events it answered with 2xx, in the order they came."""
        return [got.event for got in self.got if 200 <= got.status < 300]


@contextmanager
def receiving(receiver: Receiver) -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with receiver.lock:
                number = len(receiver.paths)
                receiver.paths.append(self.path)
            answer = 500 if receiver.refuses(json.loads(body)) else receiver.answer(number, self.path)
            status, extra = answer if isinstance(answer, tuple) else (answer, {})
            headers = {name.lower(): value for name, value in self.headers.items()}
            with receiver.lock:
                receiver.got.append(Got(headers, body, status or 0, self.client_address[1]))
            self.close_connection = True
            if status is None:
                return
            self.send_response(status)
            for name, value in extra.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    class Server(ThreadingHTTPServer):
        request_queue_size = 128

        def handle_error(self, *_: Any) -> None: ...

    server = Server(("127.0.0.1", 0), Handler)
    receiver.port = server.server_address[1]
    receiver.url = f"http://127.0.0.1:{receiver.port}/hooks"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def all_answering() -> Iterator[None]:
    """Every name leads to a public address, where whatever is sent is accepted: nothing leaves this process."""
    with mock.patch.multiple(
        outbound,
        resolve=lambda host, port: ["93.184.216.34"],
        post=lambda url, *, body, headers: outbound.Answer(status=204, retry_after=""),
    ):
        yield
