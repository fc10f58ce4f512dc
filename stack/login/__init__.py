"""Log in as a person would, without one: through Keycloak's own pages, for the demo and the tests.

    with open_login(issuer) as driver:
        tokens = driver.first_login(FirstLogin("quant.one@tradepulse.example", temporary, new))
        tokens = driver.login(Login(username, password, acr="aal3"))

- `oidc`     the client's side: PKCE, the authorization URL, the loopback redirect, the code's exchange
- `factor`   the second factor that a first login made, to be kept for later ones; one-time codes (RFC 6238)
- `browser`  Chromium with a virtual security key (the default where Chromium is installed)
- `key`      that key, plugged into a page
- `pages`    the pages that it meets, and the answers
- `forms`    plain HTTP with one-time codes, where there is no browser

A driver keeps its browser session: a second `login` is single sign-on, and one with `acr` a step-up.
"""

from __future__ import annotations

from stack.login.browser import BrowserLogin, chromium
from stack.login.factor import Factor, SavedFactor
from stack.login.forms import HttpLogin
from stack.login.oidc import FirstLogin, Login, LoginFailed, Tokens

__all__ = [
    "BrowserLogin",
    "Factor",
    "FirstLogin",
    "HttpLogin",
    "Login",
    "LoginFailed",
    "SavedFactor",
    "Tokens",
    "open_login",
]


def open_login(
    issuer: str, client_id: str = "tradepulse-cli", *, saved: SavedFactor | None = None
) -> BrowserLogin | HttpLogin:
    """A driver for this machine: the browser if there is one, else plain HTTP. Use it as a context manager.

    `issuer` is the realm's URL. `saved` is the factor of an earlier login of the same person; one that
    is a security key needs the browser.
    """
    if chromium() is not None:
        return BrowserLogin(issuer, client_id, saved=saved)
    return HttpLogin(issuer, client_id, saved=saved)
