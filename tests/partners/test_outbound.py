"""What somebody outside has us call never is a place of our own, and never takes longer than its time."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager, suppress

import pytest

from partners import outbound
from tests.partners.receivers import Receiver, receiving

PUBLIC = "93.184.216.34"

# No such URL is called, whatever the resolver would say of it.
HOSTILE_URLS = [
    "http://hooks.example.com/", "ftp://hooks.example.com/", "gopher://hooks.example.com:70/_x", "file:///etc/passwd",
    "https:hooks.example.com", "//hooks.example.com/", "https://", "https:///x", "",
    "https://127.0.0.1/", "https://127.1/", "https://127.0.1/", "https://0/", "https://0.0.0.0/", "https://0x7f000001/",
    "https://0x7f.0.0.1/", "https://0177.0.0.1/", "https://2130706433/", "https://017700000001/",
    "https://127.0.0.1.:443/", "https://127.0.0.01/", "https://a.0x7f/",
    "https://10.0.0.1/", "https://172.16.0.1/", "https://192.168.1.1/", "https://169.254.169.254/latest/meta-data/",
    "https://100.64.0.1/", "https://192.0.0.8/", "https://192.0.2.1/", "https://198.18.0.1/", "https://198.51.100.1/",
    "https://203.0.113.1/", "https://224.0.0.1/", "https://239.255.255.250/", "https://240.0.0.1/",
    "https://255.255.255.255/", "https://192.88.99.1/",
    "https://[::]/", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/", "https://[::127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/", "https://[64:ff9b:1::7f00:1]/", "https://[2002:7f00:1::]/", "https://[2001:0:7f00:1::]/",
    "https://[fd00::1]/", "https://[fe80::1]/", "https://[fe80::1%25lo]/", "https://[fec0::1]/", "https://[ff02::1]/",
    "https://[2001:db8::1]/", "https://[3fff::1]/", "https://[100::1]/",
    "https://localhost/", "https://localhost./", "https://LOCALHOST/", "https://router/", "https://a..example.com/",
    "https://ok@hooks.example.com/", "https://ok:ok@hooks.example.com/", "https://hooks.example.com@127.0.0.1/",
    "https://hooks.example.com:22/", "https://hooks.example.com:6379/", "https://hooks.example.com:0/",
    "https://hooks.example.com:99999/", "https://hooks.example.com:x/",
    "https://127。0。0。1/", "https://hooks。example。com/", "https://①②⑦.0.0.1/", "https://bücher.example/",
    "https://hooks.example.com\\@127.0.0.1/", "https://hooks.example.com/ x", "https://hooks.example.com/\r\nHost: x",
    "https://hooks.example.com/\tx", "https://hooks.example.com/#x", "https://hooks.example.com/" + "x" * 500,
    "https://-a.example.com/", "https://" + "a" * 64 + ".example.com/", "https://%6c%6f%63alhost/",
]  # fmt: skip

# What a name may lead to that is none of the partner's business.
HOSTILE_ANSWERS = [
    ["127.0.0.1"], ["0.0.0.1"], ["10.1.2.3"], ["169.254.169.254"], ["100.64.0.1"], ["224.0.0.1"], ["::1"], ["::"],
    ["::ffff:127.0.0.1"], ["::ffff:8.8.8.8"], ["64:ff9b::7f00:1"], ["fd00::1"], ["fe80::1"], ["2002:7f00:1::"],
    [PUBLIC, "127.0.0.1"], ["127.0.0.1", PUBLIC], [PUBLIC, "::1"], ["2606:2800:220:1::1", "fd00::1"], ["not-an-address"],
]  # fmt: skip


@pytest.fixture
def calls(monkeypatch):
    """Every connection that is tried anywhere, and none gets through: the trap."""
    tried = []

    def trap(self, address):
        tried.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", trap)
    return tried


def leads_to(monkeypatch, *answers):
    """A resolver of our own: the first answer for the first asking, the last for all that follow."""
    left = list(answers)
    monkeypatch.setattr(outbound, "resolve", lambda host, port: left.pop(0) if len(left) > 1 else left[0])


@pytest.mark.parametrize("url", HOSTILE_URLS)
def test_no_connection_is_made_to_a_hostile_url(monkeypatch, calls, url):
    monkeypatch.setattr(outbound, "resolve", lambda host, port: [host.strip("[]")])
    with pytest.raises(outbound.Unsafe) as refusal:
        outbound.check(url)
    assert str(refusal.value).endswith(".")
    with pytest.raises(outbound.Unsafe):
        outbound.post(url, body=b"{}", headers={})
    assert calls == []


@pytest.mark.parametrize("addresses", HOSTILE_ANSWERS)
def test_a_name_is_called_only_when_every_address_is_public(monkeypatch, calls, addresses):
    leads_to(monkeypatch, addresses)
    with pytest.raises(outbound.Unsafe):
        outbound.check("https://hooks.example.com/")
    with pytest.raises(outbound.Unsafe):
        outbound.post("https://hooks.example.com/", body=b"{}", headers={})
    assert calls == []


def test_a_good_name_is_called_at_the_address_that_was_checked(monkeypatch, calls):
    """The negative control of the two above; and a name that changes between two askings is asked once."""
    leads_to(monkeypatch, [PUBLIC], ["127.0.0.1"])
    with pytest.raises(outbound.Unreachable, match="connection"):
        outbound.post("https://hooks.example.com/", body=b"{}", headers={})
    assert calls == [(PUBLIC, 443)]


def test_a_name_that_was_good_when_saved_is_looked_at_again_when_called(monkeypatch, calls):
    leads_to(monkeypatch, [PUBLIC], ["127.0.0.1"])
    outbound.check("https://hooks.example.com/")
    with pytest.raises(outbound.Unsafe):
        outbound.post("https://hooks.example.com/", body=b"{}", headers={})
    assert calls == []


def test_a_name_that_does_not_resolve_cannot_be_saved(monkeypatch, calls):
    def fail(host, port):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(outbound, "resolve", fail)
    with pytest.raises(outbound.Unsafe, match="does not resolve"):
        outbound.check("https://hooks.example.com/")
    with pytest.raises(outbound.Unreachable, match="dns"):
        outbound.post("https://hooks.example.com/", body=b"{}", headers={})


def test_the_environments_proxy_is_not_asked(monkeypatch, calls):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:3128")
    leads_to(monkeypatch, [PUBLIC])
    with pytest.raises(outbound.Unreachable):
        outbound.post("https://hooks.example.com/", body=b"{}", headers={})
    assert calls == [(PUBLIC, 443)]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_not_an_invitation(settings, status):
    settings.WEBHOOKS_TO_LOOPBACK = True
    with receiving(Receiver()) as trap:
        with receiving(Receiver(lambda number, path: (status, {"Location": trap.url}))) as redirecting:
            assert outbound.post(redirecting.url, body=b"{}", headers={}).status == status
        assert trap.paths == []


def test_the_host_and_the_path_are_sent_as_the_partner_wrote_them(settings):
    settings.WEBHOOKS_TO_LOOPBACK = True
    with receiving(Receiver()) as receiver:
        outbound.post(f"http://localhost:{receiver.port}/a?b=c", body=b"{}", headers={"X-One": "1"})
    [got] = receiver.got
    assert (receiver.paths, got.headers["host"], got.headers["x-one"]) == (
        ["/a?b=c"],
        f"localhost:{receiver.port}",
        "1",
    )
    assert got.body == b"{}"


@contextmanager
def talking(talk):
    """A server that says what it likes, byte by byte."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve():
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            with suppress(OSError):
                talk(connection, over)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        over.set()
        thread.join()
        listener.close()


def drip(connection, over):
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not over.wait(0.05):
        connection.sendall(b"x")


def flood(connection, over):
    while not over.is_set():
        connection.sendall(b"X-More: " + b"x" * 4_000)


def silence(connection, over):
    over.wait(30)


@pytest.mark.parametrize(("talk", "code"), [(drip, "timeout"), (silence, "timeout"), (flood, "malformed")])
def test_who_is_slow_or_never_ends_holds_nobody_longer_than_the_time(settings, monkeypatch, talk, code):
    settings.WEBHOOKS_TO_LOOPBACK = True
    monkeypatch.setattr(outbound, "TOTAL_SECONDS_MAX", 0.6)
    with talking(talk) as url:
        began = time.monotonic()
        with pytest.raises(outbound.Unreachable, match=code):
            outbound.post(url, body=b"{}", headers={})
        assert time.monotonic() - began < 0.6 * 3


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        (b"HTTP/1.0 200\r\n\r\n", 200),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\nabc", 201),
        (b"HTTP/1.1 999 x\r\n\r\n", "malformed"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\n", "malformed"),
        (b"", "connection"),
    ],
)
def test_the_answer_is_its_status_or_none_at_all(settings, said, expected):
    settings.WEBHOOKS_TO_LOOPBACK = True
    with talking(lambda connection, over: connection.sendall(said)) as url:
        if isinstance(expected, int):
            assert outbound.post(url, body=b"{}", headers={}).status == expected
        else:
            with pytest.raises(outbound.Unreachable, match=expected):
                outbound.post(url, body=b"{}", headers={})


def test_a_certificate_that_nobody_vouches_for_ends_the_call(monkeypatch, settings):
    settings.WEBHOOKS_TO_LOOPBACK = True
    with (
        talking(lambda connection, over: connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")) as url,
        pytest.raises(outbound.Unreachable, match="tls"),
    ):
        outbound.post(url.replace("http:", "https:"), body=b"{}", headers={})
