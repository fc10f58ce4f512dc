"""Logging in over plain HTTP with an authenticator app, for machines without a browser.

Keycloak marks its cookies `Secure` even on http://localhost, where a browser sends them all the same and an HTTP
library does not; so this client keeps its own small jar for the one host it talks to.
"""

from __future__ import annotations

import html
import re
from http.cookies import SimpleCookie
from typing import Self
from urllib.parse import urljoin

import httpx

from stack.login.app import PATIENCE, Callback, LoginStuck, NativeApp, Person, Tokens, totp

MOST_PAGES = 25


class HttpLogin:
    """Walks Keycloak's forms with an HTTP client."""

    name = "HTTP with an authenticator app"

    def __init__(self, app: NativeApp) -> None:
        self._app = app
        self._cookies: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._http = httpx.Client(timeout=PATIENCE, follow_redirects=False)
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def login(self, person: Person, *, acr: str | None = None, essential: bool = False, fresh: bool = True) -> Tokens:
        """See `stack.login.app.Login`."""
        if fresh:
            self._cookies.clear()
        if person.factor == "security-key" and person.security_key is None:
            person.factor = "authenticator-app"
        with Callback(self._app, acr, essential) as callback:
            method, url, form = "GET", callback.authorize_url, None
            for _ in range(MOST_PAGES):
                reply = self._send(method, url, form)
                if location := reply.headers.get("Location"):
                    method, url, form = "GET", urljoin(url, location), None
                    if url.startswith(callback.redirect_uri):
                        httpx.get(url, timeout=PATIENCE)
                        return callback.redeem()
                    continue
                method = "POST"
                url, form = _fill(reply, url, person)
            raise LoginStuck(f"the login went over {MOST_PAGES} pages without an end")

    def _send(self, method: str, url: str, form: dict[str, str] | None) -> httpx.Response:
        cookie = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        reply = self._http.request(method, url, data=form, headers={"Cookie": cookie} if cookie else {})
        for line in reply.headers.get_list("Set-Cookie"):
            for name, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0":
                    self._cookies.pop(name, None)
                else:
                    self._cookies[name] = morsel.value
        return reply


def _fill(reply: httpx.Response, url: str, person: Person) -> tuple[str, dict[str, str]]:
    """Where to send the form on this page, and its fields as this person would fill them."""
    page = reply.text
    if complaint := _complaint(page):
        raise LoginStuck(f"Keycloak refused: {complaint}")
    action = re.search(r'<form[^>]*\saction="([^"]+)"', page)
    target = urljoin(url, html.unescape(action.group(1))) if action else url
    if 'id="password-new"' in page:
        person.password = person.new_password = person.new_password or person.password
        return target, {"password-new": person.password, "password-confirm": person.password}
    if 'id="password"' in page:
        fields = {"password": person.password}
        if 'id="username"' in page:
            fields["username"] = person.username
        return target, fields
    if 'name="factor"' in page:
        return target, {"factor": person.factor}
    if secret := re.search(r'id="totpSecret"[^>]*value="([^"]+)"', page):
        person.totp_secret = html.unescape(secret.group(1))
        return target, {"totpSecret": person.totp_secret, "totp": totp(person.totp_secret), "userLabel": "phone"}
    if 'id="otp"' in page and person.totp_secret:
        return target, {"otp": totp(person.totp_secret)}
    title = re.search(r"<h1[^>]*>(.*?)</h1>", page, re.S)
    shown = " ".join(re.sub(r"<[^>]+>", " ", title.group(1)).split()) if title else f"HTTP {reply.status_code}"
    raise LoginStuck(f"the login stopped at the page “{shown}”")


def _complaint(page: str) -> str | None:
    found = re.search(r'<span[^>]*id="input-error[^"]*"[^>]*>(.*?)</span>', page, re.S) or re.search(
        r'id="kc-error-message".*?<p class="instruction"[^>]*>(.*?)</p>', page, re.S
    )
    return " ".join(re.sub(r"<[^>]+>", " ", html.unescape(found.group(1))).split())[:200] if found else None
