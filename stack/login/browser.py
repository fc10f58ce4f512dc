"""A real headless Chromium with a virtual security key (CDP domain WebAuthn).

The key lives only as long as the page, so after enrolment it is copied into the `Person` and put back before the
next login, the way somebody carries a key from one computer to another. Use Keycloak by the name `localhost`: a page
on 127.0.0.1 is no valid relying party for WebAuthn.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Self

from playwright.sync_api import BrowserContext, CDPSession, Dialog, Page, Playwright, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from stack.login.app import PATIENCE, Callback, LoginStuck, NativeApp, Person, Tokens, totp

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

KEY = {
    "protocol": "ctap2",
    "ctap2Version": "ctap2_1",
    "transport": "usb",
    "hasResidentKey": False,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


class BrowserLogin:
    """Logs people in through Keycloak's own pages."""

    name = "browser with a security key"

    def __init__(self, app: NativeApp, executable: str) -> None:
        self._app = app
        self._executable = executable
        self._playwright: Playwright | None = None
        self._context: BrowserContext | None = None

    def __enter__(self) -> Self:
        self._playwright = sync_playwright().start()
        self._browser = self._playwright.chromium.launch(
            executable_path=self._executable, headless=True, args=list(FLAGS)
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._browser.close()
        if self._playwright is not None:
            self._playwright.stop()

    def login(self, person: Person, *, acr: str | None = None, essential: bool = False, fresh: bool = True) -> Tokens:
        """See `stack.login.app.Login`."""
        if fresh or self._context is None:
            if self._context is not None:
                self._context.close()
            self._context = self._browser.new_context()
        page = self._context.new_page()
        page.on("dialog", _name_the_key)
        try:
            with Callback(self._app, acr, essential) as callback:
                session, authenticator = _plug_in(page, person)
                page.goto(callback.authorize_url)
                self._walk(page, person, callback)
                _remember_key(session, authenticator, person)
                return callback.redeem()
        except PlaywrightError as problem:
            # The first line names the failed step; the rest is a call log with the URL and its parameters.
            raise LoginStuck(f"the browser failed: {str(problem).splitlines()[0][:160]}") from problem
        finally:
            page.close()

    def _walk(self, page: Page, person: Person, callback: Callback) -> None:
        deadline = time.monotonic() + PATIENCE
        last = ""
        while not callback.arrived.is_set():
            step = _next_step(page, person)
            if step and step != last:
                deadline = time.monotonic() + PATIENCE
                last = step
            if time.monotonic() > deadline:
                raise LoginStuck(f"the login stopped at {_describe(page)}")
            page.wait_for_timeout(80)


def _next_step(page: Page, person: Person) -> str:
    """Does what the page asks for and says what that was; empty when it asks for nothing we know."""
    try:
        if error := _complaint(page):
            raise LoginStuck(f"Keycloak refused: {error}")
        for name, asked, act in STEPS:
            if page.locator(asked).first.is_visible():
                act(page, person)
                return name
    except PlaywrightError as problem:
        # The page may navigate between the look and the act; the next look sees the new page.
        if not any(word in str(problem) for word in ("navigat", "detached", "destroyed")):
            raise
    return ""


def _choose_password(page: Page, person: Person) -> None:
    person.password = person.new_password = person.new_password or person.password
    page.fill("#password-new", person.password)
    page.fill("#password-confirm", person.password)
    _submit(page, "#password-new")


def _give_password(page: Page, person: Person) -> None:
    if page.locator("#username").is_visible():
        page.fill("#username", person.username)
    page.fill("#password", person.password)
    _submit(page, "#password")


def _choose_factor(page: Page, person: Person) -> None:
    page.click(f'button[name="factor"][value="{person.factor}"]')


def _press(button: str) -> Callable[[Page, Person], None]:
    def press(page: Page, person: Person) -> None:
        page.click(button)
        # The ceremony runs in the page's script; asking again at once would start a second one.
        page.wait_for_timeout(300)

    return press


def _register_app(page: Page, person: Person) -> None:
    person.totp_secret = page.locator("#totpSecret").input_value()
    page.fill("#totp", totp(person.totp_secret))
    if page.locator("#userLabel").is_visible():
        page.fill("#userLabel", "phone")
    _submit(page, "#totp")


def _use_app(page: Page, person: Person) -> None:
    if person.totp_secret is None:
        raise LoginStuck("Keycloak asks for a code of an authenticator app that this person does not have")
    page.fill("#otp", totp(person.totp_secret))
    _submit(page, "#otp")


STEPS: tuple[tuple[str, str, Callable[[Page, Person], None]], ...] = (
    ("new password", "#password-new", _choose_password),
    ("password", "#password", _give_password),
    ("choose factor", 'button[name="factor"]', _choose_factor),
    ("register key", "#registerWebAuthn", _press("#registerWebAuthn")),
    ("use key", "#authenticateWebAuthnButton", _press("#authenticateWebAuthnButton")),
    ("register app", "form:has(#totpSecret) #totp", _register_app),
    ("use app", "#otp", _use_app),
)
"""What a page may ask for: the step's name, the element that asks, and what a person then does."""


def _submit(page: Page, field: str) -> None:
    """Sends the form that a field belongs to, by the button a person would press."""
    page.locator(f"form:has({field})").locator('input[type="submit"], button[type="submit"]').first.click()
    page.wait_for_load_state()


def _complaint(page: Page) -> str | None:
    """What the page reports as wrong, if it does."""
    for selector in (
        "#input-error",
        "[id^='input-error-']",
        "#kc-error-message .instruction",
        ".pf-m-danger .kc-feedback-text",
    ):
        found = page.locator(selector)
        if found.count() and found.first.is_visible():
            return " ".join(found.first.inner_text().split())[:200]
    return None


def _describe(page: Page) -> str:
    heading = page.locator("h1")
    title = heading.first.inner_text() if heading.count() else page.title()
    return f"the page “{' '.join(title.split())}” ({urlpath(page.url)})"


def urlpath(url: str) -> str:
    """A URL without its query, which may hold a code or a session."""
    return url.split("?", 1)[0]


def _plug_in(page: Page, person: Person) -> tuple[CDPSession, str]:
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable", {"enableUI": False})
    authenticator = str(session.send("WebAuthn.addVirtualAuthenticator", {"options": KEY})["authenticatorId"])
    if person.security_key is not None:
        session.send("WebAuthn.addCredential", {"authenticatorId": authenticator, "credential": person.security_key})
    return session, authenticator


def _remember_key(session: CDPSession, authenticator: str, person: Person) -> None:
    held: list[dict[str, Any]] = session.send("WebAuthn.getCredentials", {"authenticatorId": authenticator})[
        "credentials"
    ]
    if held:
        person.security_key = held[0]


def _name_the_key(dialog: Dialog) -> None:
    """Keycloak asks for the key's label with a JavaScript prompt."""
    dialog.accept("security key")
