"""Logging in to the operations page at the hospital's own OpenID provider: authorization code with PKCE (RFC 7636)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.contract.http_service import HttpService
from tests.parts.chromium import accessibility_faults

IN_TIME = 20_000
HOSPITAL = "Log in at Spijkenisse Medisch Centrum"

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """In English; a fault of the page fails the test."""
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    page.set_default_timeout(IN_TIME)
    expect.set_options(timeout=IN_TIME)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    yield page
    context.close()
    assert faults == []


def test_logged_in_at_the_hospital(page: Page, service: HttpService) -> None:
    """There and back to the place that was asked for; the service sees no code, and no token in an address."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{service.url}/ops#/messages/file/normal")
    assert accessibility_faults(page) == []
    page.get_by_role("button", name=HOSPITAL).click()
    page.get_by_role("link", name="De Wit").click()
    expect(page.locator("#live")).to_have_text("live")
    expect(page.locator("main")).to_contain_text("Nothing waits here now.")
    assert page.url == f"{service.url}/ops#/messages/file/normal"
    token = page.evaluate("sessionStorage.getItem('staff-token')")
    ours = [url for url in asked if url.startswith(service.url)]
    assert not any("code=" in url.partition("#")[0] or token in url for url in ours)
    assert page.evaluate("sessionStorage.getItem('login-begun')") is None
    page.click("#leave")
    expect(page.get_by_role("button", name=HOSPITAL)).to_be_visible()


def test_refused_there(page: Page, service: HttpService) -> None:
    """The provider sends somebody back without a code: the page says so and can be tried again."""
    service.provider.refuses = True
    try:
        page.goto(f"{service.url}/ops")
        page.get_by_role("button", name=HOSPITAL).click()
        page.get_by_role("link", name="De Wit").click()
        expect(page.get_by_role("alert")).to_have_text("Logging in did not succeed. Try again.")
        assert page.url == f"{service.url}/ops"
    finally:
        service.provider.refuses = False


@pytest.mark.parametrize("said", ["code=stolen&state=guessed", "code=stolen&state="])
def test_a_code_that_this_tab_did_not_ask_for(page: Page, service: HttpService, said: str) -> None:
    """Somebody's link with a code of their own logs nobody in, and no token is asked for (RFC 6749 section 10.12)."""
    posted: list[str] = []
    page.on("request", lambda request: posted.append(request.url) if request.method == "POST" else None)
    page.goto(f"{service.url}/ops#{said}")
    expect(page.get_by_role("alert")).to_have_text("Logging in did not succeed. Try again.")
    assert posted == []
    assert page.evaluate("sessionStorage.length") == 0


def test_from_another_issuer(page: Page, service: HttpService) -> None:
    """An answer that names another issuer than was asked is refused (RFC 9207)."""
    page.goto(f"{service.url}/ops")
    page.get_by_role("button", name=HOSPITAL).click()
    back = page.get_by_role("link", name="De Wit").get_attribute("href")
    assert back is not None
    page.goto(back.replace("iss=https", "iss=http"))
    expect(page.get_by_role("alert")).to_have_text("Logging in did not succeed. Try again.")
