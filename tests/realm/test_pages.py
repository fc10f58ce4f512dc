"""Keycloak's pages as people meet them: our look, in their language, for everybody, and with the reason for asking."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from axe_playwright_python.sync_playwright import Axe
from login_texts import spoken, texts
from playwright.sync_api import Page

from stack.login import BrowserLogin

if TYPE_CHECKING:
    from stack.login import SavedFactor
    from tests.realm.conftest import Person, Realm

pytestmark = pytest.mark.integration

CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
"""Of RFC 7636, appendix B: nobody exchanges a code here."""


def address(realm: Realm, **asked: str) -> str:
    """Where a login of the command line's client begins."""
    query = {
        "client_id": "tradepulse-cli",
        "redirect_uri": "http://127.0.0.1/callback",
        "response_type": "code",
        "scope": "openid",
        "state": secrets.token_hex(8),
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return f"{realm.issuer}/protocol/openid-connect/auth?{urlencode(query | asked)}"


@pytest.fixture(scope="module")
def browser(realm: Realm) -> Iterator[BrowserLogin]:
    with realm.browser() as driver:
        yield driver


@pytest.fixture
def problems(browser: BrowserLogin) -> Iterator[Callable[[], list[str]]]:
    """What the page that is open does not give to whoever cannot see it well, in light and in dark."""
    page = browser.page
    page.context.clear_cookies()
    page.set_viewport_size({"width": 1280, "height": 800})

    def look() -> list[str]:
        found = []
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            response = Axe().run(page).response
            found += [f"{scheme}: {one['id']} at {one['nodes'][0]['target']}" for one in response["violations"]]
        return found

    yield look
    page.emulate_media(color_scheme="light")


def overflow(page: Page) -> int:
    """Pixels that a page is wider than its window."""
    wide: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return wide


def test_the_first_page_is_ours_speaks_the_language_of_the_browser_and_fits(
    realm: Realm, browser: BrowserLogin, problems: Callable[[], list[str]]
) -> None:
    page = browser.page
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.goto(address(realm, ui_locales="de"))
    assert page.locator("html").get_attribute("lang") == "de"
    assert page.locator("#kc-header-wrapper").inner_text() == "TradePulse"
    assert "mark.svg" in page.evaluate(
        "getComputedStyle(document.querySelector('#kc-header-wrapper'), '::before').backgroundImage"
    )
    # What a person sees at 400 % on a usual screen (WCAG 2.2, 1.4.10).
    page.set_viewport_size({"width": 320, "height": 640})
    assert overflow(page) == 0
    assert problems() == []
    assert complaints == []


def test_what_we_say_ourselves_is_said_in_every_language(realm: Realm, browser: BrowserLogin) -> None:
    page = browser.page
    page.context.clear_cookies()
    wrong = address(realm, redirect_uri="https://elsewhere.example/callback")
    missing = []
    for tag in spoken():
        shown = page.request.get(wrong, headers={"Accept-Language": tag}).text()
        ours = texts(tag)
        if any(ours[key] not in shown for key in ("tradepulseErrorTitle", "tradepulseErrorNext")):
            missing.append(tag)
    # The two that Keycloak's own themes name otherwise than this extension has to: zh_Hans and zh_Hant.
    assert {"pt-BR", "zh-CN", "zh-TW"} <= set(spoken())
    assert missing == []


def test_a_page_that_is_read_from_the_right_fits_too(
    realm: Realm, browser: BrowserLogin, problems: Callable[[], list[str]]
) -> None:
    page = browser.page
    page.set_extra_http_headers({"Accept-Language": "ar"})
    try:
        page.goto(address(realm, redirect_uri="https://elsewhere.example/callback"))
    finally:
        page.set_extra_http_headers({})
    assert page.locator("html").get_attribute("dir") == "rtl"
    assert texts("ar")["tradepulseErrorNext"] in page.locator("#kc-error-message").inner_text()
    page.set_viewport_size({"width": 320, "height": 640})
    assert overflow(page) == 0
    assert problems() == []


def test_an_error_says_what_to_do_next(realm: Realm, browser: BrowserLogin, problems: Callable[[], list[str]]) -> None:
    page = browser.page
    page.goto(address(realm, redirect_uri="https://elsewhere.example/callback"))
    assert "Go back to the application" in page.locator("#kc-error-message").inner_text()
    assert problems() == []


def test_a_step_up_says_who_asks_and_why_and_a_usual_second_step_does_not(
    realm: Realm, app_holder: tuple[Person, SavedFactor], browser: BrowserLogin, problems: Callable[[], list[str]]
) -> None:
    person, saved = app_holder
    page = browser.page
    page.goto(address(realm))
    page.fill("#username", person.email)
    page.fill("#password", person.password)
    page.click("#kc-login")
    page.wait_for_selector("#otp")
    # The factor is simply the next thing to give.
    assert page.locator(".pf-v5-c-alert").count() == 0
    assert problems() == []
    page.route("http://127.0.0.1/callback*", lambda route: route.fulfill(body="arrived"))
    page.fill("#otp", saved.code())
    page.click("#kc-login")
    page.wait_for_url("http://127.0.0.1/callback*")

    page.goto(address(realm, prompt="login"))
    said = page.locator(".pf-v5-c-alert").inner_text()
    assert "You are logged in already. tradepulse-cli asks you to log in once more" in said
    assert problems() == []

    page.goto(address(realm, acr_values="aal2", max_age="0"))
    said = page.locator(".pf-v5-c-alert").inner_text()
    assert "tradepulse-cli asks you to confirm that it is you" in said
