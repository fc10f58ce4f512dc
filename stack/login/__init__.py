"""Logging in as a person would, for the story and for the tests.

Two drivers walk the same pages. `browser.py` uses a real Chromium with a virtual security key (CDP WebAuthn);
`http.py` speaks plain HTTP and uses an authenticator app (TOTP, RFC 6238) where there is no browser. Neither knows the
order of the pages: each looks at what is shown and does what a person would do next, so a flow may change without
them. Both end at a loopback redirect (RFC 8252) with PKCE (RFC 7636) and redeem the code for tokens (`app.py`).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from stack.login.app import Login, LoginStuck, NativeApp, Person, Tokens, totp
from stack.login.browser import BrowserLogin
from stack.login.http import HttpLogin

__all__ = [
    "BrowserLogin",
    "HttpLogin",
    "Login",
    "LoginStuck",
    "NativeApp",
    "Person",
    "Tokens",
    "find_browser",
    "open_login",
    "totp",
]

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_browser() -> str | None:
    """The path of a Chromium that is installed, or None."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


@contextmanager
def open_login(app: NativeApp) -> Iterator[Login]:
    """The best driver that this machine has: a browser with a security key, or plain HTTP with TOTP."""
    browser = find_browser()
    with HttpLogin(app) if browser is None else BrowserLogin(app, browser) as login:
        yield login
