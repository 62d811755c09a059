"""Calls to addresses that somebody outside has chosen: none reaches our own network, none outlasts its time.

A name is resolved once, every address it has must be a public one, and the connection goes to the address
that was checked; what the name says a moment later is of no consequence. Redirects are not followed, proxies
of the environment not asked, and of the answer only its head is read.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from urllib.parse import urlsplit

from django.conf import settings

URL_CHARACTERS_MAX = 500
CONNECT_SECONDS_MAX = 5.0
TOTAL_SECONDS_MAX = 10.0
HEAD_BYTES_MAX = 16_384

LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
# The last label has a letter, and not as 0x does: resolvers take all else for an address in disguise.
NAME = re.compile(rf"(?!.*\.0[xX][0-9a-fA-F]*\Z)({LABEL}\.)+(?=[A-Za-z0-9-]*[A-Za-z]){LABEL}\Z")
STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?\Z")
VISIBLE = re.compile(r"[\x21-\x7e]+\Z")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_V6_GLOBAL = ipaddress.IPv6Network("2000::/3")
# Networks that carry a v4 address within, which a gateway on the way would unpack, and what is not for hosts.
_NOT_FOR_US = [
    ipaddress.ip_network(text) for text in ("2001::/23", "2002::/16", "3fff::/20", "192.88.99.0/24", "192.0.0.0/24")
]


class Unsafe(Exception):
    """The address is none we call; `args[0]` is the sentence that says what to mend."""


class Unreachable(Exception):
    """Nobody answered as HTTP asks. `code` is one of dns, connection, tls, timeout, malformed."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Target:
    """A URL taken apart and found to be one we may call, were its addresses public."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """As the Host header says it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == {"https": 443, "http": 80}[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    retry_after: str


def read(url: str) -> Target:
    """Take a URL apart, without asking anybody. Raises Unsafe."""
    if len(url) > URL_CHARACTERS_MAX:
        raise Unsafe(f"At most {URL_CHARACTERS_MAX} characters.")
    if not VISIBLE.match(url) or "\\" in url:
        raise Unsafe("Only visible ASCII: write a name in other letters as xn--…, and a space as %20.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise Unsafe("This is no URL.") from error
    schemes = {"https": 443, "http": 80} if settings.WEBHOOKS_TO_LOOPBACK else {"https": 443}
    if parts.scheme not in schemes:
        raise Unsafe("The URL has to begin with https://.")
    if "@" in parts.netloc:
        raise Unsafe("No user and password in the URL: requests are signed instead.")
    if parts.fragment:
        raise Unsafe("No #fragment: it would never be sent.")
    if not _is_name_or_address(host):
        raise Unsafe(f"{host or 'Nothing'!r} is no full name of a host on the Internet.")
    port = schemes[parts.scheme] if port is None else port
    if port not in settings.WEBHOOK_PORTS and not settings.WEBHOOKS_TO_LOOPBACK:
        allowed = ", ".join(map(str, settings.WEBHOOK_PORTS))
        raise Unsafe(f"Port {port} is not allowed; there are {allowed}.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(scheme=parts.scheme, host=host, port=port, path=path)


def check(url: str) -> None:
    """Whether we would call this URL as things stand: its form, and where its name leads. Asks the resolver.

    Raises Unsafe; a name that does not resolve is Unsafe too, since nothing could be sent there.
    """
    target = read(url)
    try:
        addresses_of(target, deadline=time.monotonic() + CONNECT_SECONDS_MAX)
    except Unreachable as error:
        raise Unsafe(f"The name {target.host} does not resolve.") from error


def post(url: str, *, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Send these very bytes and read the head of the answer. Blocks for TOTAL_SECONDS_MAX at most.

    Raises Unsafe before any connection, Unreachable when there is no answer to speak of.
    """
    deadline = time.monotonic() + TOTAL_SECONDS_MAX
    target = read(url)
    addresses = addresses_of(target, deadline=time.monotonic() + CONNECT_SECONDS_MAX)
    lines = {
        "Host": target.authority,
        "User-Agent": "Backstock-Webhooks/1",
        "Content-Length": str(len(body)),
        "Accept": "*/*",
        "Connection": "close",
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    request = f"POST {target.path} HTTP/1.1\r\n{head}\r\n".encode("ascii") + body
    try:
        with _connected(target, addresses, deadline) as connection:
            _send(connection, request, deadline)
            return _read_head(connection, deadline)
    except TimeoutError as error:
        raise Unreachable("timeout") from error
    except ssl.SSLError as error:
        raise Unreachable("tls") from error
    except OSError as error:
        raise Unreachable("connection") from error


def addresses_of(target: Target, *, deadline: float) -> list[str]:
    """Where the name leads, at one asking. Raises Unsafe when a single address is not public, and Unreachable."""
    found = _resolved(target.host, target.port, deadline)
    if not found:
        raise Unreachable("dns")
    for text in found:
        if not _is_allowed(text):
            raise Unsafe(f"{target.host} leads to an address that is not public.")
    return found


def resolve(host: str, port: int) -> list[str]:
    """What the resolver of this machine says, in its order."""
    rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(row[4][0]) for row in rows))


def _resolved(host: str, port: int, deadline: float) -> list[str]:
    """The resolver has no time-out of its own to set, hence a thread that may be left behind."""
    answers: SimpleQueue[list[str] | OSError] = SimpleQueue()

    def ask() -> None:
        try:
            answers.put(resolve(host, port))
        except (OSError, UnicodeError) as error:
            answers.put(OSError(str(error)))

    threading.Thread(target=ask, name="resolve", daemon=True).start()
    try:
        answer = answers.get(timeout=_left(deadline))
    except (Empty, TimeoutError) as error:
        raise Unreachable("dns") from error
    if isinstance(answer, OSError):
        raise Unreachable("dns") from answer
    return answer


def _is_name_or_address(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        is_loopback_name = settings.WEBHOOKS_TO_LOOPBACK and host == "localhost"
        return len(host) <= 253 and (bool(NAME.match(host)) or is_loopback_name)
    return str(address) == host.lower() and _is_allowed(host)


def _is_allowed(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return is_public(address) or (settings.WEBHOOKS_TO_LOOPBACK and address.is_loopback)


def is_public(address: Address) -> bool:
    """A host on the Internet, and not one of ours by a detour (mapped, translated or tunnelled)."""
    if isinstance(address, ipaddress.IPv6Address) and (address.scope_id or address not in _V6_GLOBAL):
        return False
    if any(address in network for network in _NOT_FOR_US if network.version == address.version):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _connected(target: Target, addresses: list[str], deadline: float) -> socket.socket:
    """A connection to the first of the checked addresses that answers, the others being tried in the time that is left."""
    until = min(deadline, time.monotonic() + CONNECT_SECONDS_MAX)
    for place, address in enumerate(addresses):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.settimeout(_left(until))
            connection.connect((address, target.port))
            if target.scheme == "http":
                return connection
            connection.settimeout(_left(until))
            return tls().wrap_socket(connection, server_hostname=target.host)
        except OSError as error:
            connection.close()
            if place == len(addresses) - 1 or isinstance(error, ssl.SSLError):
                raise
    raise AssertionError("addresses_of gives one at least")


def tls() -> ssl.SSLContext:
    """Certificates are checked against the machine's own authorities, names included."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _send(connection: socket.socket, request: bytes, deadline: float) -> None:
    unsent = memoryview(request)
    while unsent:
        connection.settimeout(_left(deadline))
        unsent = unsent[connection.send(unsent) :]


def _read_head(connection: socket.socket, deadline: float) -> Answer:
    read_bytes = b""
    while True:
        head, end, rest = read_bytes.partition(b"\r\n\r\n")
        if end:
            status, headers = _understood(head)
            if status >= 200:
                return Answer(status=status, retry_after=headers.get("retry-after", ""))
            read_bytes = rest  # 1xx only announces the answer
            continue
        if len(read_bytes) >= HEAD_BYTES_MAX:
            raise Unreachable("malformed")
        connection.settimeout(_left(deadline))
        more = connection.recv(HEAD_BYTES_MAX - len(read_bytes))
        if not more:
            raise Unreachable("malformed" if read_bytes else "connection")
        read_bytes += more


def _understood(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.split(b"\r\n")
    found = STATUS_LINE.match(first)
    if found is None:
        raise Unreachable("malformed")
    pairs = (line.decode("latin-1").partition(":") for line in lines)
    return int(found[1]), {name.strip().lower(): value.strip() for name, _, value in pairs}


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
