"""A stand-in for a site with a token endpoint: real sockets, and a hand on everything that can happen there."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs


class TokenSite(ThreadingHTTPServer):
    """`POST /oauth/token` gives tokens, anything else wants one that was not revoked.

    With `callers` given, tokens are revoked `revocations` times, each time as soon as every caller was served with the
    newest one: then nobody can be refused twice in a call, and a failed call is the keeper's fault. Who is served
    early gets the answer when all are, so that all come back at the same moment with a token that is good no longer.
    """

    daemon_threads = True
    request_queue_size = 512
    block_on_close = False

    def __init__(self, *, callers: int = 0, revocations: int = 0, lifetime_seconds: float = 3600) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Condition()
        self.lifetime_seconds = lifetime_seconds
        self.callers = callers
        self.revocations_left = revocations
        self.served: set[str] = set()
        self.good: set[str] = set()
        self.token_requests: list[dict[str, Any]] = []
        self.refused = 0
        # What the token endpoint does instead of its duty: takes the handler, answers False to go on as usual.
        self.at_token: Callable[[Handler], bool] = lambda handler: False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def token_url(self) -> str:
        return f"{self.url}/oauth/token"

    def new_token(self) -> str:
        with self.lock:
            token = f"made-{len(self.token_requests)}-{len(self.good)}"
            self.good.add(token)
            return token

    def revoke(self) -> None:
        with self.lock:
            self.good.clear()

    def serve(self, token: str, caller: str) -> tuple[int, bool]:
        """The status, and whether all that was to happen has."""
        with self.lock:
            if token not in self.good:
                self.refused += 1
                return 401, False
            if not self.callers:
                return 200, True
            this_round = self.revocations_left
            self.served.add(caller)
            if len(self.served) == self.callers:
                self.good.clear()
                self.served.clear()
                self.revocations_left -= 1
                self.lock.notify_all()
            self.lock.wait_for(lambda: self.revocations_left < this_round, timeout=60)
            return 200, this_round == 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Callers that are killed leave broken lines behind."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    server: TokenSite

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        form = {name: values[0] for name, values in parse_qs(text).items()}
        with self.server.lock:
            self.server.token_requests.append({"form": form, "headers": dict(self.headers)})
        if not self.server.at_token(self):
            self.answer(
                200, {"access_token": self.server.new_token(), "token_type": "Bearer",
                      "expires_in": self.server.lifetime_seconds},
            )  # fmt: skip

    def do_GET(self) -> None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        status, is_over = self.server.serve(token, self.headers.get("X-Caller", ""))
        self.answer(status, {"isOver": is_over})

    def answer(self, status: int, body: Any, **headers: str) -> bool:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)
        return True

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@contextmanager
def open_site(**options: Any) -> Iterator[TokenSite]:
    with TokenSite(**options) as site:
        thread = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield site
        finally:
            site.shutdown()
            thread.join()
