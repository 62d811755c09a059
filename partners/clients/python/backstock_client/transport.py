"""One HTTP request with bounds: no redirect is followed, no answer is endless, no wait is for ever."""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, Protocol
from urllib.parse import SplitResult, urlsplit

from .forks import renew_in_child

BODY_BYTES_MAX = 16 * 1024 * 1024
LOOPBACK = ("localhost", "127.0.0.1", "::1")
# What a broken or refused line raises, whichever layer notices it.
BROKEN = (OSError, http.client.HTTPException)


@dataclass(frozen=True)
class Answer:
    """What came back. Header names are in lower case."""

    status: int
    reason: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

    def retry_after_seconds(self) -> float | None:
        """How long the other side asks to be left alone; a date is read against its own clock, not ours."""
        value = self.headers.get("retry-after", "").strip()
        if value.isascii() and value.isdigit():
            return float(value[:9])
        try:
            until = parsedate_to_datetime(value)
            return max(0.0, (until - parsedate_to_datetime(self.headers["date"])).total_seconds())
        except (KeyError, TypeError, ValueError):
            return None


class Session(Protocol):
    """How requests travel. Give your own to go through a proxy, pin certificates or guard addresses.

    It raises OSError or http.client.HTTPException when no answer came, and follows no redirect: whoever
    receives the request receives the credentials in it.
    """

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, timeout_seconds: float
    ) -> Answer: ...

    def close(self) -> None: ...


class StandardSession:
    """The standard library's client with connections kept open; any number of threads may share it.

    `timeout_seconds` bounds the whole request, however slowly its answer drips.
    """

    def __init__(
        self, *, context: ssl.SSLContext | None = None, idle_max: int = 64, allow_plain_http: bool = False
    ) -> None:
        self._context = context
        self._idle_max = idle_max
        self._allow_plain_http = allow_plain_http
        self._forget()
        renew_in_child(self, StandardSession._forget)

    def _forget(self) -> None:
        """Of a forked child: the parent's connections are the parent's."""
        self._idle: dict[tuple[str, str], deque[http.client.HTTPConnection]] = {}

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, timeout_seconds: float
    ) -> Answer:
        target = urlsplit(url)
        self._check(target)
        idle = self._idle.setdefault((target.scheme, target.netloc), deque(maxlen=self._idle_max))
        path = (target.path or "/") + (f"?{target.query}" if target.query else "")
        while True:
            connection, is_new = self._connection(target, idle)
            try:
                answer, is_reusable = _exchange(connection, method, path, headers, body, timeout_seconds)
            except BROKEN as error:
                connection.close()
                # The other side closes idle lines when it likes; nothing of the request was read then.
                if is_new or not isinstance(error, ConnectionError):
                    raise
                continue
            except BaseException:
                connection.close()
                raise
            if is_reusable and len(idle) < self._idle_max:
                idle.append(connection)
            else:
                connection.close()
            return answer

    def _check(self, target: SplitResult) -> None:
        if target.scheme not in {"http", "https"} or not target.hostname:
            raise ValueError("An address starts with https:// and names a host.")
        if target.scheme == "http" and target.hostname not in LOOPBACK and not self._allow_plain_http:
            raise ValueError(
                f"{target.hostname} is asked without TLS: secrets would travel in the clear. Use https://."
            )

    def _connection(
        self, target: SplitResult, idle: deque[http.client.HTTPConnection]
    ) -> tuple[http.client.HTTPConnection, bool]:
        try:
            return idle.pop(), False
        except IndexError:
            pass
        host = str(target.hostname)
        if target.scheme == "http":
            return http.client.HTTPConnection(host, target.port), True
        self._context = self._context or ssl.create_default_context()
        return http.client.HTTPSConnection(host, target.port, context=self._context), True

    def close(self) -> None:
        for idle in self._idle.values():
            while idle:
                idle.pop().close()


def _exchange(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes | None,
    timeout_seconds: float,
) -> tuple[Answer, bool]:
    until = time.monotonic() + timeout_seconds
    connection.timeout = timeout_seconds
    connection.response_class = partial(_BoundedResponse, until=until)  # type: ignore[assignment]
    if connection.sock is not None:
        connection.sock.settimeout(timeout_seconds)
    connection.request(method, path, body, dict(headers))
    response = connection.getresponse()
    content = response.read(BODY_BYTES_MAX + 1)
    if len(content) > BODY_BYTES_MAX:
        raise http.client.HTTPException(f"The answer is larger than {BODY_BYTES_MAX} bytes.")
    named = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, response.reason, named, content), not response.will_close


class _BoundedResponse(http.client.HTTPResponse):
    """Reads until a moment and no longer; a socket's own time-out starts anew with each byte that drips in."""

    def __init__(self, sock: socket.socket, *args: Any, until: float, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_Bounded(sock, until))


class _Bounded(io.RawIOBase):
    def __init__(self, sock: socket.socket, until: float) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._until = until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("The answer took too long.")
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
