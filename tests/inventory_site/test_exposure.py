"""What the site shows to strangers: headers, error pages, methods and hosts (OWASP API8)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings as site
from django.test import Client

from partners.api import events

PAGES = ["/", "/admin/login/", "/api/v1/products", "/api/v1/nowhere", "/api/docs", "/oauth/token", "/livez", "/nowhere"]
TRACES = re.compile(r"Traceback|File \"|site-packages|SECRET_KEY|settings\.py|DEBUG = ", re.IGNORECASE)


@pytest.fixture
def browser(db) -> Client:
    return Client(raise_request_exception=False)


@pytest.mark.parametrize("page", PAGES)
def test_every_answer_forbids_sniffing_framing_and_telling_where_one_came_from(browser, page):
    headers = browser.get(page).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    # The API's own page lets the window of an OAuth log-in talk back; it has no session to steal.
    assert headers["Cross-Origin-Opener-Policy"] == ("unsafe-none" if page == "/api/docs" else "same-origin")
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert "Server" not in headers


@pytest.mark.parametrize("page", PAGES)
def test_no_other_site_may_read_an_answer(browser, page):
    for method in ("GET", "OPTIONS"):
        sent = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
        headers = browser.generic(method, page, headers=sent).headers
        assert [name for name in headers if name.lower().startswith("access-control-")] == []


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "localhost:8000@evil.example", ""])
def test_a_host_that_is_not_ours_is_refused_and_not_repeated(browser, page, host):
    answer = browser.get(page, headers={"Host": host}, HTTP_X_FORWARDED_HOST="evil.example")
    if page in {"/livez"}:
        assert answer.status_code in {200, 400}
    else:
        assert answer.status_code == 400
    assert "evil" not in answer.content.decode() + str(answer.headers)
    assert not TRACES.search(answer.content.decode())


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("method", ["TRACE", "TRACK", "CONNECT", "DEBUG"])
def test_methods_that_only_help_strangers_repeat_nothing(browser, page, method):
    answer = browser.generic(method, page, headers={"Authorization": "Bearer not-to-be-repeated"})
    assert "not-to-be-repeated" not in answer.content.decode() + str(answer.headers)
    assert answer.headers.get("Content-Type", "") != "message/http"
    if page.startswith("/api/v1/products"):
        assert answer.status_code in {401, 405}


@pytest.mark.parametrize("path", ["/api/v1/nowhere", "/nowhere", "/admin/nowhere", "/api/v1/products/%00", "/%ff"])
def test_what_is_not_there_is_said_without_our_addresses(browser, path):
    answer = browser.get(path)
    assert answer.status_code in {302, 401, 404}
    assert not TRACES.search(answer.content.decode())
    assert "urlconf" not in answer.content.decode().lower()


def test_a_fault_of_ours_shows_a_number_and_not_its_trace(api, retailer, monkeypatch, caplog):
    def break_down(*args, **kwargs):
        raise RuntimeError("the inner secret")

    monkeypatch.setattr(events, "read_after", break_down)
    answer = api(retailer).get("/events")
    assert (answer.status_code, answer.headers["Content-Type"]) == (500, "application/problem+json")
    assert answer.json()["requestId"] == answer.headers["X-Request-Id"]
    assert "inner secret" not in answer.content.decode()
    assert not TRACES.search(answer.content.decode())
    # Those who run it do see it.
    assert "the inner secret" in caplog.text


def test_production_speaks_tls_only_and_says_so_for_a_year(browser, settings):
    settings.SECURE_SSL_REDIRECT, settings.SECURE_HSTS_SECONDS = True, 31_536_000
    fresh = Client()
    assert fresh.get("/admin/login/").status_code == 301
    headers = fresh.get("/admin/login/", secure=True).headers
    assert headers["Strict-Transport-Security"].startswith("max-age=31536000")


def test_every_exception_from_the_safety_lint_says_why():
    # Ruff's S rules are bandit's; each is either on, or waived beside the line or at a file's head with its reason.
    waivers = [
        f"{file.relative_to(site.BASE_DIR)}:{number}"
        for floor in ("partners", "catalog", "stock", "orders", "inventory_site")
        for file in (Path(site.BASE_DIR) / floor).rglob("*.py")
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if re.search(r"noqa: (S\d+(, )?)+\s*$", line)
    ]
    assert waivers == []
