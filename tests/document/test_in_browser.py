"""The documentation in a browser that reaches nothing but the site: it works, and complains of nothing."""

from __future__ import annotations

import shutil

import pytest

from tests import make
from tests.flows.test_guide_workflow import create, site  # noqa: F401  a fixture

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not here: uv sync --group e2e")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PAGES = ["/api/docs/quickstart", "/api/docs/problems", "/api/docs/events", "/api/docs/changelog"]
WAIT_MS = 120_000
# Redoc's own mark, which no option takes off: the site's policy blocks it, and the browser says so.
BLOCKED = "https://cdn.redoc.ly/redoc/logo-mini.svg"


@pytest.fixture
def open_page(site):  # noqa: F811
    """A page whose complaints, and requests for anything outside, are kept."""
    client = create("RET456", "retailer").split(":")
    make.make_variant(sku="HOTSAUCE789")
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(WAIT_MS)
        page.outside, page.complaints, page.site, page.client = [], [], site, client
        page.on("console", lambda row: page.complaints.append(row.text) if is_complaint(row) else None)
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.route("**/*", lambda route: guard(page, route))
        yield page
        browser.close()


def is_complaint(row):
    return row.type in ("error", "warning") and BLOCKED not in row.text


def guard(page, route):
    if route.request.url.startswith((page.site, "data:", "blob:")):
        return route.continue_()
    page.outside.append(route.request.url)
    return route.abort()


@pytest.mark.races
@pytest.mark.skipif(not CHROMIUM, reason="chromium is not here")
def test_both_references_show_the_operations_and_one_can_be_tried_with_a_token(open_page):
    page = open_page
    page.goto(f"{page.site}/api/docs")
    page.wait_for_selector(".opblock-tag")
    assert page.locator(".opblock-tag").count() > 15
    page.click("button.authorize")
    page.fill("#client_id_clientCredentials, #client_id", page.client[0])
    page.fill("#client_secret_clientCredentials, #client_secret", page.client[1])
    page.click(".auth-btn-wrapper button.authorize")
    page.wait_for_selector(".auth-btn-wrapper button:has-text('Logout')")
    page.click(".auth-btn-wrapper button.btn-done")
    page.click("#operations-tag-events .opblock-tag, [data-tag='events']")
    page.click("#operations-events-listEventTypes .opblock-summary-control")
    page.click("#operations-events-listEventTypes .try-out__btn")
    page.click("#operations-events-listEventTypes .execute")
    page.wait_for_selector(
        "#operations-events-listEventTypes .live-responses-table .response-col_status:has-text('200')"
    )
    page.goto(f"{page.site}/api/redoc")
    page.wait_for_selector("[data-section-id*='reserve']", state="attached")
    assert (page.outside, page.complaints) == ([], [])


@pytest.mark.races
@pytest.mark.skipif(not CHROMIUM, reason="chromium is not here")
def test_the_pages_fit_a_phone_and_the_readers_credentials_go_into_the_calls(open_page):
    page = open_page
    for width in (1440, 360):
        page.set_viewport_size({"width": width, "height": 800})
        for path in PAGES:
            page.goto(page.site + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)
    page.goto(f"{page.site}/api/docs/problems#insufficient_stock")
    assert page.locator("#insufficient_stock").is_visible()
    page.goto(f"{page.site}/api/docs/quickstart")
    page.fill("[data-fills=YOUR-CLIENT-ID]", "abc'd")
    assert "CLIENT_ID='abc'\\''d'" in page.locator("code.run").first.inner_text()
    assert page.locator("button.copy").count() == page.locator("code.run").count()
    assert (page.outside, page.complaints) == ([], [])
