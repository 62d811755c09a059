"""The token keeper in one process: what it keeps, when it asks, and what it never says."""

from __future__ import annotations

import ast
import base64
import json
import logging
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from partners.clients.python import backstock_client
from partners.clients.python.backstock_client import (
    Answer,
    ClientCredentials,
    CredentialsRefused,
    FileStore,
    MemoryStore,
    PasswordGrant,
    StandardSession,
    TokenKeeper,
    TokenUnavailable,
    UnsafePlace,
    kept,
)
from partners.clients.python.backstock_client import (
    keeper as module,
)
from tests.partners.token_site import open_site
from tests.races.crowd import all_at_once

SECRET = "the-secret-nobody-reads"


class Clock:
    """Stands in for the `time` module: two clocks, moved by the test."""

    def __init__(self) -> None:
        self.wall = 1_800_000_000.0
        self.steady = 50.0

    def time(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.steady

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


class Endpoint:
    """A session whose token endpoint is a function of the test; counts how often it was asked."""

    def __init__(self, answer: Any = None) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answer = answer or self.give
        self.lifetime_seconds: Any = 1000

    def __call__(self) -> Endpoint:
        return self

    def request(self, method: str, url: str, **request: Any) -> Answer:
        self.asked.append({"method": method, "url": url, **request})
        answer = self.answer()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def give(self) -> Answer:
        body = {"access_token": f"token-{len(self.asked)}", "token_type": "Bearer", "expires_in": self.lifetime_seconds}
        return Answer(200, "OK", {}, json.dumps(body).encode())

    def close(self) -> None:
        pass


def keeper_of(endpoint: Any, *, secret: str = SECRET, **options: Any) -> TokenKeeper:
    options = {"store": MemoryStore(), "session": endpoint, "token_url": "https://site.test/oauth/token"} | options
    return TokenKeeper(grant=ClientCredentials("me", secret), **options)


def down() -> Exception:
    return ConnectionRefusedError("nobody listens")


def refuse_all(token: str) -> Answer:
    return Answer(401)


class TestTheTokenEndpointIsDown:
    def test_two_processes_ask_ten_times_at_most_in_thirty_seconds(self, clock, tmp_path):
        endpoint = Endpoint(down)
        keepers = [keeper_of(endpoint, store=FileStore(tmp_path / "tokens")) for _ in range(2)]
        for _ in range(600):
            for keeper in keepers:
                with pytest.raises(TokenUnavailable, match="ConnectionRefusedError"):
                    keeper.token()
            clock.pass_by(0.05)
        assert 5 <= len(endpoint.asked) <= 10

    def test_nobody_waits_longer_than_thirty_seconds_once_it_is_back(self, clock):
        endpoint = Endpoint(down)
        keeper = keeper_of(endpoint)
        for _ in range(200):
            with pytest.raises(TokenUnavailable) as raised:
                keeper.token()
            assert 0 < raised.value.retry_after_seconds <= 30
            clock.pass_by(1)
        endpoint.answer = endpoint.give
        clock.pass_by(30)
        assert keeper.token().text == f"token-{len(endpoint.asked)}"

    def test_calls_go_on_with_a_token_that_still_lives(self, clock, monkeypatch):
        endpoint = Endpoint()
        keeper = keeper_of(endpoint)
        keeper.token()
        endpoint.answer = down
        flights = in_the_foreground(monkeypatch)
        clock.pass_by(950)
        assert {keeper.token().text for _ in range(50)} == {"token-1"}
        assert (len(endpoint.asked), len(flights)) == (2, 1)

    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({"retry-after": "120"}, 120),
            ({"retry-after": "Wed, 21 Oct 2015 07:30:00 GMT", "date": "Wed, 21 Oct 2015 07:28:00 GMT"}, 120),
            ({"retry-after": "99999999999999999999"}, 300),
            ({"retry-after": "Wed, 21 Oct 2015 07:30:00 GMT"}, 1),
            ({"retry-after": "²"}, 1),
            ({"retry-after": "soon"}, 1),
        ],
    )
    def test_is_left_alone_as_long_as_it_asks(self, clock, headers, seconds):
        endpoint = Endpoint(lambda: Answer(503, "Busy", headers))
        keeper = keeper_of(endpoint)
        with pytest.raises(TokenUnavailable, match="503") as raised:
            keeper.token()
        assert seconds * 0.75 <= raised.value.retry_after_seconds <= seconds
        clock.pass_by(raised.value.retry_after_seconds - 0.1)
        with pytest.raises(TokenUnavailable):
            keeper.token()
        assert len(endpoint.asked) == 1
        clock.pass_by(0.2)
        with pytest.raises(TokenUnavailable):
            keeper.token()
        assert len(endpoint.asked) == 2

    def test_the_failure_of_one_is_the_failure_of_all_who_waited(self):
        with open_site() as site:
            all_wait = threading.Event()

            def fail(handler: Any) -> bool:
                assert all_wait.wait(60)
                return handler.answer(500, {})

            site.at_token = fail
            keeper = keeper_of(StandardSession, token_url=site.token_url)
            joined = iter(range(64))
            join = keeper._join

            def counted(generation: int) -> Any:
                found = join(generation)
                if next(joined) == 63:
                    all_wait.set()
                return found

            keeper._join = counted
            errors = all_at_once(64, lambda _: keeper.token())
        assert {type(error) for error in errors} == {TokenUnavailable}
        assert len({id(error) for error in errors}) == 64
        assert len(site.token_requests) == 1

    def test_a_refused_client_is_told_so_and_not_asked_for_again_at_once(self, clock):
        endpoint = Endpoint(lambda: Answer(401, "", {}, json.dumps({"error": "invalid_client", "x": SECRET}).encode()))
        keeper = keeper_of(endpoint)
        for _ in range(5):
            with pytest.raises(CredentialsRefused, match="401 invalid_client"):
                keeper.token()
        assert len(endpoint.asked) == 1


def in_the_foreground(monkeypatch) -> list[threading.Thread]:
    """Background renewals run at once and to their end, and are counted."""
    started = []

    class Now(threading.Thread):
        def start(self) -> None:
            started.append(self)
            self.run()

    monkeypatch.setattr(module.threading, "Thread", Now)
    return started


class TestRenewingAheadOfTime:
    def test_begins_between_80_and_90_percent_of_the_life(self, clock):
        keeper = keeper_of(Endpoint())
        token = keeper.token()
        moments = set()
        for _ in range(40):
            token = keeper.renewed(token)
            moments.add(round(token.renew_at - clock.steady))
        assert min(moments) >= 800
        assert max(moments) <= 900
        assert len(moments) > 5

    def test_makes_nobody_wait(self, monkeypatch):
        monkeypatch.setattr(module.random, "random", lambda: 0.0)
        with open_site() as site:
            keeper = keeper_of(StandardSession, token_url=site.token_url, renew_after=0.0)
            first = keeper.token()
            asked, let_go = threading.Event(), threading.Event()

            def hold(handler: Any) -> bool:
                asked.set()
                return not let_go.wait(60)

            site.at_token = hold
            texts = all_at_once(64, lambda _: [keeper.token().text for _ in range(20)])
            assert asked.wait(60)
            # All have been served while the request for the next token is still unanswered.
            assert texts == [[first.text] * 20] * 64
            let_go.set()
            assert keeper.renewed(first).generation > first.generation
        assert len(site.token_requests) == 2

    def test_is_done_by_one_process_and_found_by_the_other(self, clock, tmp_path, monkeypatch):
        in_the_foreground(monkeypatch)
        endpoint = Endpoint()
        one, other = (keeper_of(endpoint, store=FileStore(tmp_path / "tokens")) for _ in range(2))
        assert one.token().text == other.token().text == "token-1"
        clock.pass_by(910)
        for keeper in (one, other):
            keeper.token()
        assert one.token().text == other.token().text == "token-2"
        assert len(endpoint.asked) == 2


class TestARefusal:
    def test_costs_one_more_try_with_a_newer_token(self):
        endpoint = Endpoint()
        sent = []

        def send(token: str) -> Answer:
            sent.append(token)
            return Answer(401 if token == "token-1" else 200)

        assert keeper_of(endpoint).call(send).status == 200
        assert sent == ["token-1", "token-2"]

    def test_with_a_new_token_is_final_and_no_reason_to_ask_at_the_pace_of_the_calls(self, clock):
        endpoint = Endpoint()
        keeper = keeper_of(endpoint)
        assert keeper.call(refuse_all).status == 401
        for _ in range(50):
            with pytest.raises(TokenUnavailable, match="refused, too"):
                keeper.call(refuse_all)
        assert len(endpoint.asked) == 2
        for _ in range(600):
            clock.pass_by(0.1)
            with suppress(TokenUnavailable):
                assert keeper.call(refuse_all).status == 401
        assert 5 <= len(endpoint.asked) <= 10
        assert keeper.call(lambda token: Answer(200)).status == 200

    def test_of_an_old_token_asks_for_nothing_when_a_newer_is_there(self, clock):
        endpoint = Endpoint()
        keeper = keeper_of(endpoint)
        old = keeper.token()
        newer = keeper.renewed(old)
        assert keeper.renewed(old) == newer
        assert len(endpoint.asked) == 2


class TestTime:
    def test_a_token_that_ended_while_it_was_waited_for_is_not_handed_out(self, clock):
        endpoint = Endpoint()
        endpoint.lifetime_seconds = 5

        def slow_once() -> Answer:
            clock.pass_by(6 if len(endpoint.asked) == 1 else 0)
            return endpoint.give()

        endpoint.answer = slow_once
        assert keeper_of(endpoint).token().text == "token-2"

    def test_tokens_that_all_end_too_soon_are_given_up(self, clock):
        endpoint = Endpoint()
        endpoint.lifetime_seconds = 5

        def always_slow() -> Answer:
            clock.pass_by(6)
            return endpoint.give()

        endpoint.answer = always_slow
        with pytest.raises(TokenUnavailable, match="lives long enough"):
            keeper_of(endpoint).token()
        assert len(endpoint.asked) <= 6

    @pytest.mark.parametrize("seconds", [-86_400.0, 86_400.0])
    def test_a_clock_that_is_set_changes_nothing_for_the_process_that_has_the_token(self, clock, seconds):
        endpoint = Endpoint()
        keeper = keeper_of(endpoint)
        token = keeper.token()
        clock.wall += seconds
        assert keeper.token() == token
        clock.pass_by(1001)
        assert keeper.token().text == "token-2"

    @pytest.mark.parametrize(("seconds", "requests"), [(-86_400.0, 1), (86_400.0, 2)])
    def test_a_clock_that_is_set_costs_another_process_one_request_at_most(self, clock, tmp_path, seconds, requests):
        endpoint = Endpoint()
        keeper_of(endpoint, store=FileStore(tmp_path / "tokens")).token()
        clock.wall += seconds
        keeper = keeper_of(endpoint, store=FileStore(tmp_path / "tokens"))
        assert keeper.token().text == f"token-{requests}"
        assert keeper.renewed(keeper.token()).text == f"token-{requests + 1}"

    @pytest.mark.parametrize("lifetime", [None, "soon", -1, 0, 1e300, float("nan"), [], {}])
    def test_a_life_that_cannot_be_is_taken_for_five_minutes(self, clock, lifetime):
        endpoint = Endpoint()
        endpoint.lifetime_seconds = lifetime
        assert round(keeper_of(endpoint).token().ends_at - clock.steady) == 300

    def test_an_endpoint_that_drips_is_cut_off(self):
        over = threading.Event()

        def drip(handler: Any) -> bool:
            handler.send_response(200)
            handler.send_header("Content-Length", "100000")
            handler.end_headers()
            try:
                while not over.wait(0.02):
                    handler.wfile.write(b" ")
                    handler.wfile.flush()
            except OSError:
                pass
            return True

        with open_site() as site:
            site.at_token = drip
            keeper = keeper_of(StandardSession, token_url=site.token_url, timeout_seconds=0.2)
            with pytest.raises(TokenUnavailable, match="TimeoutError"):
                keeper.token()
            over.set()


def the_file(folder: Path) -> Path:
    [file] = folder.glob("*.token")
    return file


class TestTheFile:
    @pytest.mark.parametrize(
        "spoil",
        [
            lambda text: b"",
            lambda text: text[: len(text) // 2],
            lambda text: b"\xff\x00" * 300,
            lambda text: b"[" * 50_000,
            lambda text: text.replace(b'"token-1"', b'"to\\r\\nX-Evil: 1"'),
            lambda text: text.replace(b'"token-1"', b'"token-1 "'),
            lambda text: text.replace(b"1000.0", b"NaN"),
            lambda text: text.replace(b"1000.0", b"1e9999"),
            lambda text: text.replace(b"1000.0", b'"1000"'),
            lambda text: text.replace(b'"failures": 0', b'"failures": -1'),
            lambda text: text.replace(b'"failures": 0', b'"failures": true'),
            lambda text: text.replace(b'"failures"', b'"fail"'),
        ],
    )
    def test_that_was_spoilt_costs_a_new_process_one_request(self, clock, tmp_path, spoil):
        endpoint = Endpoint()
        folder = tmp_path / "tokens"
        old = keeper_of(endpoint, store=FileStore(folder))
        old.token()
        text = the_file(folder).read_bytes()
        assert spoil(text) != text
        the_file(folder).write_bytes(spoil(text))
        clock.pass_by(1)
        new = keeper_of(endpoint, store=FileStore(folder))
        assert new.token().text == "token-2"
        # Even so the generations go on: the process that kept the first one takes this for newer.
        assert old.renewed(old.token()).text == "token-2"
        assert len(endpoint.asked) == 2

    def test_that_others_can_open_is_not_read_and_made_private_again(self, clock, tmp_path, caplog):
        endpoint = Endpoint()
        keeper_of(endpoint, store=FileStore(tmp_path / "tokens")).token()
        file = the_file(tmp_path / "tokens")
        file.chmod(0o644)
        assert keeper_of(endpoint, store=FileStore(tmp_path / "tokens")).token().text == "token-2"
        assert oct(file.stat().st_mode)[-3:] == "600"
        assert "others can open" in caplog.text

    def test_is_never_followed_as_a_link(self, clock, tmp_path):
        endpoint = Endpoint()
        keeper_of(endpoint, store=FileStore(tmp_path / "tokens")).token()
        file = the_file(tmp_path / "tokens")
        elsewhere = file.rename(tmp_path / "elsewhere")
        file.symlink_to(elsewhere)
        before = elsewhere.read_text()
        assert keeper_of(endpoint, store=FileStore(tmp_path / "tokens")).token().text == "token-2"
        assert elsewhere.read_text() == before
        assert not file.is_symlink()

    def test_is_not_kept_in_a_folder_that_is_open_to_others(self, tmp_path):
        (tmp_path / "open").mkdir(mode=0o755)
        (tmp_path / "link").symlink_to(tmp_path)
        for name in ("open", "link"):
            with pytest.raises(UnsafePlace, match="chmod 700"):
                FileStore(tmp_path / name)

    def test_that_cannot_be_written_leaves_each_process_for_itself(self, clock, monkeypatch, caplog):
        store = MemoryStore()

        def full(*args: Any) -> Any:
            raise OSError(28, "No space left on device")

        for name in ("load", "save", "try_lock"):
            monkeypatch.setattr(store, name, full)
        endpoint = Endpoint()
        keeper = keeper_of(endpoint, store=store)
        assert {keeper.token().text for _ in range(5)} == {"token-1"}
        endpoint.answer = down
        for _ in range(5):
            with pytest.raises(TokenUnavailable):
                keeper.renewed(keeper.token())
        assert len(endpoint.asked) == 2
        assert "No space left" in caplog.text

    def test_of_another_secret_is_another_file(self, clock, tmp_path):
        endpoint = Endpoint()
        keeper_of(endpoint, store=FileStore(tmp_path / "tokens")).token()
        assert keeper_of(endpoint, store=FileStore(tmp_path / "tokens"), secret="rotated").token().text == "token-2"


class TestWhatIsSaid:
    def test_at_the_token_endpoint_by_each_grant(self, clock):
        grants = [
            ClientCredentials("me:1", "a b", "orders:read"),
            ClientCredentials("me", "s", secret_in="body", extra={"audience": "stock"}),
            PasswordGrant("ann", "p", extra={"tenant": "shop"}),
            PasswordGrant("ann", "p", client_id="app", client_secret="s"),
        ]
        said = []
        for grant in grants:
            endpoint = Endpoint()
            TokenKeeper(token_url="https://site.test/token", grant=grant, store=MemoryStore(), session=endpoint).token()
            [request] = endpoint.asked
            form = {name: value for name, [value] in parse_qs(request["body"].decode()).items()}
            basic = request["headers"].get("Authorization", "").removeprefix("Basic ")
            said.append((form, base64.b64decode(basic).decode()))
        assert said == [
            ({"grant_type": "client_credentials", "scope": "orders:read"}, "me%3A1:a+b"),
            (
                {"grant_type": "client_credentials", "client_id": "me", "client_secret": "s", "audience": "stock"},
                "",
            ),
            ({"grant_type": "password", "username": "ann", "password": "p", "tenant": "shop"}, ""),
            ({"grant_type": "password", "username": "ann", "password": "p"}, "app:s"),
        ]

    def test_nothing_secret_in_logs_names_or_errors(self, clock, tmp_path, caplog):
        caplog.set_level(logging.DEBUG)
        endpoint = Endpoint()
        grants = [
            ClientCredentials("me", SECRET, secret_in="body", extra={"key": SECRET}),
            PasswordGrant("me", SECRET, "app", SECRET),
        ]
        texts = [repr(grants)]
        for grant in grants:
            keeper = TokenKeeper(
                token_url="https://site.test/token", grant=grant, store=FileStore(tmp_path / "tokens"), session=endpoint
            )
            token = keeper.token()
            endpoint.answer = lambda: Answer(400, "", {}, json.dumps({"error": SECRET, "token": "token-1"}).encode())
            with pytest.raises(TokenUnavailable) as raised:
                keeper.renewed(token)
            endpoint.answer = endpoint.give
            texts += [repr(keeper), repr(token), repr(raised.value), repr(keeper._known), repr(endpoint.give())]
        texts += [caplog.text, *(file.name for file in (tmp_path / "tokens").iterdir())]
        assert "A new token" in caplog.text
        assert "No new token" in caplog.text
        for text in texts:
            assert SECRET not in text
            assert "token-1" not in text
            assert "token-3" not in text

    def test_secrets_do_not_follow_redirects(self):
        with open_site() as stranger, open_site() as site:
            site.at_token = lambda handler: handler.answer(307, {}, Location=stranger.token_url)
            with pytest.raises(TokenUnavailable, match="307"):
                keeper_of(StandardSession, token_url=site.token_url).token()
        assert stranger.token_requests == []

    @pytest.mark.parametrize("url", ["http://site.test/token", "ftp://site.test/token", "file:///etc/passwd", "token"])
    def test_secrets_do_not_travel_in_the_clear(self, url):
        with pytest.raises(ValueError, match="https"):
            keeper_of(StandardSession, token_url=url).token()

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"[]",
            b"<html>",
            b'{"access_token": 1}',
            b'{"access_token": "a\\nb"}',
            b'{"access_token": ""}',
            b'{"access_token": "t", "token_type": "mac"}',
        ],
    )
    def test_an_answer_without_a_usable_token_is_a_failure(self, clock, body):
        endpoint = Endpoint(lambda: Answer(200, "OK", {}, body))
        with pytest.raises(TokenUnavailable, match=r"access_token|bearer"):
            keeper_of(endpoint).token()

    def test_an_endless_answer_is_not_read_to_its_end(self, monkeypatch):
        monkeypatch.setattr(sys.modules[StandardSession.__module__], "BODY_BYTES_MAX", 1000)
        with open_site() as site:
            site.at_token = lambda handler: handler.answer(200, b" " * 5000)
            with pytest.raises(TokenUnavailable, match="HTTPException"):
                keeper_of(StandardSession, token_url=site.token_url).token()


def test_a_line_the_site_has_closed_meanwhile_is_opened_anew():
    with open_site() as site:
        session = StandardSession()
        keeper = keeper_of(StandardSession, token_url=site.token_url)

        def send(token: str) -> Answer:
            headers = {"Authorization": f"Bearer {token}"}
            return session.request("GET", f"{site.url}/", headers=headers, body=None, timeout_seconds=30)

        assert keeper.call(send).status == 200
        [idle] = session._idle.values()
        idle[0].sock.shutdown(2)
        assert keeper.call(send).status == 200
        session.close()


def test_an_interrupted_call_does_not_end_the_others():
    def interrupt() -> Answer:
        raise KeyboardInterrupt

    endpoint = Endpoint(interrupt)
    keeper = keeper_of(endpoint)
    with pytest.raises(KeyboardInterrupt):
        keeper.token()
    endpoint.answer = endpoint.give
    assert keeper.token().text == "token-2"


def test_quiet_times_double_up_to_half_a_minute():
    seconds = [kept.backoff_seconds(before, 0) for before in range(8)]
    assert seconds == [1, 2, 4, 8, 16, 30, 30, 30]
    assert kept.backoff_seconds(0, 1) == 0.75


def test_the_client_needs_nothing_but_python_3_10():
    folder = Path(backstock_client.__file__).parent
    outside = set()
    for file in folder.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(), feature_version=(3, 10))):
            if isinstance(node, ast.Import):
                outside |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                outside.add(str(node.module).split(".")[0])
    assert outside - sys.stdlib_module_names == set()
    assert outside > {"json", "http"}
