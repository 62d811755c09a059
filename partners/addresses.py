"""Where a request came from, as far as it can be known; and which addresses a list allows.

Every header can be written by the caller. Only what the configured proxies wrote is believed: each of
them adds, at the right, the address it was called from. So `TRUSTED_PROXY_HOPS` entries are counted from
the right, and with none (the default) the connection itself is the answer, whatever the headers say.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.http import HttpRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# An IPv6 subscriber is given a whole /64, so one machine may call from any address in it.
IPV6_SUBSCRIBER_BITS = 64


def client_address(request: HttpRequest) -> str:
    """The caller's address in its one canonical form, or "" where the connection has none (a Unix socket).

    What the proxies should have written and is missing, too short or no address is answered by the
    connection: that is a proxy's address, which an allowlist of callers does not hold.
    """
    return address_in(request.META)


def address_in(environ: Mapping[str, Any]) -> str:
    """`client_address`, of a call as the server hands it over (PEP 3333)."""
    hops: int = settings.TRUSTED_PROXY_HOPS
    if hops:
        name = "HTTP_" + settings.TRUSTED_PROXY_HEADER.upper().replace("-", "_")
        entries = environ.get(name, "").split(",")
        if len(entries) >= hops and (found := read(entries[-hops])):
            return str(found)
    return str(read(environ.get("REMOTE_ADDR", "")) or "")


def read(text: str) -> Address | None:
    """An address in any of the forms proxies write: with a port, in brackets, IPv4 inside IPv6, with a zone."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def read_networks(texts: Sequence[str]) -> list[str]:
    """Networks in CIDR, or single addresses, in their canonical form. Raises ValueError with the first wrong one."""
    found = []
    for text in texts:
        try:
            network = ipaddress.ip_network(text.strip())
        except ValueError as error:
            raise ValueError(
                f"{text[:60]!r} is no network; write 203.0.113.0/24, 2001:db8::/32 or one address."
            ) from error
        if mapped := getattr(network.network_address, "ipv4_mapped", None):
            raise ValueError(f"{text[:60]!r} is IPv4 inside IPv6; write {mapped} and its own prefix.")
        found.append(str(network))
    return list(dict.fromkeys(found))


def is_allowed(address: str, networks: Sequence[str]) -> bool:
    """An empty list allows everybody; an address that is not known is in no list."""
    if not networks:
        return True
    found = read(address)
    return found is not None and any(found in ipaddress.ip_network(network) for network in networks)


def subscriber(address: str) -> str:
    """What stands for one caller who may choose among addresses: the address itself, or the /64 it is in."""
    found = read(address)
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((found, IPV6_SUBSCRIBER_BITS), strict=False))
    return str(found or "")
