"""Logging in with Chromium and a virtual security key, driven by Playwright and the DevTools protocol.

The browser must see `http://localhost`, a secure context: WebAuthn does not work on 127.0.0.1.
"""

from __future__ import annotations

import shutil
import time
from contextlib import nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from playwright.sync_api import Dialog, Page, Playwright, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from stack.login.factor import SavedFactor
from stack.login.key import plugged_in
from stack.login.oidc import AuthorizationRequest, FirstLogin, Login, LoginFailed, Redirect, Tokens
from stack.login.pages import KEY_PAGES, PAGES, answer, passed_over

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_LABEL: Final = "virtual security key"
_SAME_PAGE: Final = 3
"""How often one page may come back (a wrong code, a slow page) before it counts as stuck."""

_ERRORS: Final = "#kc-error-message, .pf-v5-c-alert__title, .kc-feedback-text, [id^=input-error]"


def chromium() -> Path | None:
    """Chromium, if this machine has it."""
    return next((Path(found) for name in _NAMES if (found := shutil.which(name))), None)


class BrowserLogin:
    """Logs one person in, in one browser session. Use as a context manager; not thread-safe.

    `saved` is the factor of an earlier login; `factor` is what this one knows, to be kept. With
    `passkey` the key also holds passkeys, and a saved one is used instead of the password.
    """

    def __init__(
        self,
        issuer: str,
        client_id: str = "tradepulse-cli",
        *,
        saved: SavedFactor | None = None,
        timeout: float = 45.0,
        passkey: bool = False,
    ) -> None:
        self._issuer = issuer.rstrip("/")
        self._client_id = client_id
        self._timeout = timeout
        self.visited: list[str] = []
        """The pages that the last login answered, in order."""
        self._saved = saved or SavedFactor()
        self._passkey = passkey
        self._playwright: Playwright | None = None
        self._page: Page | None = None

    def __enter__(self) -> Self:
        binary = chromium()
        if binary is None:
            raise LoginFailed(f"no browser: install one of {', '.join(_NAMES)}, or use HttpLogin")
        self._playwright = sync_playwright().start()
        try:
            browser = self._playwright.chromium.launch(executable_path=str(binary), headless=True, args=list(FLAGS))
            self._page = browser.new_context().new_page()
            self._page.set_default_timeout(self._timeout * 1000)
            # Keycloak asks for the key's label with a JavaScript prompt.
            self._page.on("dialog", _accept)
        except BaseException:
            self._playwright.stop()
            raise
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._playwright is not None:
            if self._page is not None and self._page.context.browser is not None:
                self._page.context.browser.close()
            self._playwright.stop()

    @property
    def page(self) -> Page:
        """The page of the session, for whoever goes on in it after a login."""
        if self._page is None:
            raise LoginFailed("the browser is not open")
        return self._page

    @property
    def factor(self) -> SavedFactor:
        """The person's factor; what a security key holds changes with each use."""
        return self._saved

    def first_login(self, login: FirstLogin) -> Tokens:
        """Replace the temporary password, register the factor. Raises LoginFailed."""
        return self._run(login.login)

    def login(self, login: Login) -> Tokens:
        """Log in, or use the running session. Raises LoginFailed."""
        return self._run(login)

    def _needs_key(self, name: str, login: Login) -> bool:
        return name in KEY_PAGES or (name == "password" and self._uses_passkey and not login.forgotten)

    @property
    def _uses_passkey(self) -> bool:
        return self._passkey and any(credential["isResidentCredential"] for credential in self._saved.key)

    def _run(self, login: Login) -> Tokens:
        if self._page is None:
            raise LoginFailed("the driver is closed: use it in a with statement")
        with Redirect() as redirect:
            request = AuthorizationRequest(self._issuer, self._client_id, redirect, login)
            try:
                answer = self._walk(self._page, request.url, redirect, login)
            except PlaywrightError as problem:
                # The message of Playwright quotes the page's address, which holds the code after a login.
                raise LoginFailed(f"the browser failed {_where(self._page)}: {type(problem).__name__}") from None
            return request.tokens(answer)

    def _walk(self, page: Page, url: str, redirect: Redirect, login: Login) -> dict[str, str]:
        deadline = time.monotonic() + self._timeout
        self.visited = []
        page.goto(url)
        while time.monotonic() < deadline:
            if redirect.answer is not None:
                return redirect.answer
            name = next((name for name, selector in PAGES.items() if page.locator(selector).count()), None)
            if name is None:
                if page.locator("#kc-error-message").count():
                    break
                redirect.arrived.wait(0.1)
                continue
            self.visited.append("passed-over" if passed_over(name, login) else name)
            if self.visited.count(self.visited[-1]) > _SAME_PAGE:
                break
            page.evaluate("window.tradepulseSeen = true")
            with (
                plugged_in(page, self._saved, passkey=self._passkey) if self._needs_key(name, login) else nullcontext()
            ):
                answer(page, name, login, self._saved, passkey=self._uses_passkey)
                self._await_next(page, redirect, deadline)
        raise LoginFailed(f"the login of {login.username} stopped {_where(page)}")

    def _await_next(self, page: Page, redirect: Redirect, deadline: float) -> None:
        """Wait until the page that was answered is gone."""
        while time.monotonic() < deadline and redirect.answer is None:
            try:
                if not page.evaluate("window.tradepulseSeen === true && document.readyState !== 'loading'"):
                    page.wait_for_load_state("domcontentloaded")
                    return
            except PlaywrightError:
                # The page is being replaced while we ask it.
                page.wait_for_load_state("domcontentloaded")
            redirect.arrived.wait(0.05)


def _accept(dialog: Dialog) -> None:
    dialog.accept(_LABEL)


def _where(page: Page) -> str:
    """The page in words: its heading and visible error, never its address or its fields."""
    try:
        title: Any = page.locator("#kc-page-title, h1").first.inner_text(timeout=1000)
    except PlaywrightError:
        title = "unknown page"
    try:
        errors = " ".join(page.locator(_ERRORS).all_inner_texts())
    except PlaywrightError:
        errors = ""
    shown = " ".join(errors.split())
    return f"at “{' '.join(str(title).split())}”" + (f": {shown}" if shown else "")
