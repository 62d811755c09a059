"""Where a caller comes from, and which headers are believed."""

from __future__ import annotations

import pytest
from django.test import RequestFactory

from partners import addresses

SPOOFED = {
    "HTTP_X_FORWARDED_FOR": "6.6.6.6",
    "HTTP_FORWARDED": "for=6.6.6.6",
    "HTTP_X_REAL_IP": "6.6.6.6",
    "HTTP_CLIENT_IP": "6.6.6.6",
    "HTTP_X_CLIENT_IP": "6.6.6.6",
    "HTTP_TRUE_CLIENT_IP": "6.6.6.6",
}


def seen(*, connection: str = "192.0.2.1", **headers: str) -> str:
    return addresses.client_address(RequestFactory().get("/", REMOTE_ADDR=connection, **headers))


def test_without_proxies_no_header_says_who_calls():
    assert seen(**SPOOFED) == "192.0.2.1"


@pytest.mark.parametrize(
    ("hops", "header", "found"),
    [
        (1, "198.51.100.7", "198.51.100.7"),
        (1, "6.6.6.6, 198.51.100.7", "198.51.100.7"),
        (1, "6.6.6.6,7.7.7.7 ,  198.51.100.7 ", "198.51.100.7"),
        (2, "6.6.6.6, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
        (1, "198.51.100.7:4711", "198.51.100.7"),
        (1, "2001:db8::7", "2001:db8::7"),
        (1, "[2001:DB8:0::7]:4711", "2001:db8::7"),
        (1, '"[2001:db8::7]"', "2001:db8::7"),
        (1, "::ffff:198.51.100.7", "198.51.100.7"),
        (1, "fe80::1%eth0", "fe80::1"),
    ],
)
def test_the_address_a_proxy_saw_is_counted_from_the_right(settings, hops, header, found):
    settings.TRUSTED_PROXY_HOPS = hops
    assert seen(**SPOOFED | {"HTTP_X_FORWARDED_FOR": header}) == found


@pytest.mark.parametrize(
    "header", ["", " ", ",", "unknown", "_hidden", "6.6.6.6,", "1.2.3", "999.1.1.1", "a" * 9_000, "٦.٦.٦.٦"]
)
def test_what_no_proxy_wrote_falls_back_to_the_connection(settings, header):
    settings.TRUSTED_PROXY_HOPS = 1
    assert seen(HTTP_X_FORWARDED_FOR=header) == "192.0.2.1"


def test_fewer_entries_than_proxies_are_not_believed(settings):
    settings.TRUSTED_PROXY_HOPS = 2
    assert seen(HTTP_X_FORWARDED_FOR="6.6.6.6") == "192.0.2.1"


def test_the_operator_may_name_another_header(settings):
    settings.TRUSTED_PROXY_HOPS, settings.TRUSTED_PROXY_HEADER = 1, "Callers"
    assert seen(**SPOOFED | {"HTTP_CALLERS": "198.51.100.7"}) == "198.51.100.7"


def test_a_connection_without_an_address_is_in_no_list():
    assert seen(connection="") == ""
    assert not addresses.is_allowed("", ["0.0.0.0/0", "::/0"])
    assert addresses.is_allowed("", [])


@pytest.mark.parametrize(
    ("address", "network", "inside"),
    [
        ("203.0.113.9", "203.0.113.0/24", True),
        ("203.0.114.9", "203.0.113.0/24", False),
        ("203.0.113.9", "203.0.113.9", True),
        ("2001:db8:1::5", "2001:db8:1::/48", True),
        ("2001:db8:2::5", "2001:db8:1::/48", False),
        ("203.0.113.9", "::/0", False),
        ("2001:db8::1", "0.0.0.0/0", False),
    ],
)
def test_a_list_allows_what_is_in_it(address, network, inside):
    assert addresses.is_allowed(address, addresses.read_networks([network])) is inside


@pytest.mark.parametrize(
    "wrong", ["", "x", "203.0.113.9/24", "203.0.113.0/33", "::ffff:1.2.3.4/120", "1.2.3.4-1.2.3.9", "\x00"]
)
def test_what_is_no_network_is_refused(wrong):
    with pytest.raises(ValueError, match=r"no network|inside IPv6"):
        addresses.read_networks(["203.0.113.0/24", wrong])


def test_lockout_and_metrics_ask_the_same_function(client, settings):
    from axes.helpers import get_client_ip_address

    settings.TRUSTED_PROXY_HOPS = 1
    request = RequestFactory().get("/", REMOTE_ADDR="127.0.0.1", HTTP_X_FORWARDED_FOR="6.6.6.6, 198.51.100.7")
    assert get_client_ip_address(request) == "198.51.100.7"
    assert client.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1, 198.51.100.7"}).status_code == 404
