"""The page on which an account's owner logs in and agrees, and the requests that wait for them."""

from __future__ import annotations

import html
import secrets
import time
from dataclasses import dataclass, field

from starlette.responses import HTMLResponse

COOKIE = "paper_request"

_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width">
<style>body{{font:16px system-ui;max-width:26rem;margin:4rem auto;padding:0 1rem}}
label,input,button{{display:block;width:100%;margin:.4rem 0;padding:.5rem;box-sizing:border-box}}
.wrong{{color:#a00}}</style></head><body><h1>{title}</h1>{body}</body></html>"""

_FORM = """{wrong}<p><b>{client}</b> asks to be allowed:</p><ul>{scopes}</ul>
<form method="post" action="authorize">
<input type="hidden" name="request" value="{request}">
<label for="account">Account</label><input id="account" name="account" autocomplete="username" autofocus>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password">
<button name="answer" value="allow">Allow</button><button name="answer" value="deny">Refuse</button></form>"""

MEANING = {
    "openid": "know which account this is",
    "offline_access": "stay connected while you are away",
    "trade": "place orders",
    "read": "see orders and positions",
}
"""Every scope there is, in words."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An authorization request that is as it must be, and the browser that brought it."""

    client: str
    redirect_uri: str
    state: str | None
    challenge: str
    nonce: str | None
    scopes: tuple[str, ...]
    browser: str
    until: float = field(default_factory=lambda: time.monotonic() + 600)


class Waiting:
    """Requests between the page and the answer, at most a thousand, ten minutes each."""

    def __init__(self) -> None:
        self._asked: dict[str, Asked] = {}

    def add(self, asked: Asked) -> str:
        """Keeps a request and names it."""
        now = time.monotonic()
        self._asked = {name: each for name, each in list(self._asked.items())[-999:] if each.until > now}
        name = secrets.token_urlsafe(24)
        self._asked[name] = asked
        return name

    def of(self, name: str, browser: str) -> Asked | None:
        """The request of that name if this browser brought it."""
        asked = self._asked.get(name)
        fits = asked is not None and asked.until > time.monotonic() and secrets.compare_digest(asked.browser, browser)
        return asked if fits else None

    def drop(self, name: str) -> None:
        """Forgets a request that was answered."""
        self._asked.pop(name, None)


def form(name: str, asked: Asked, *, wrong: bool = False) -> HTMLResponse:
    """The page with the question."""
    items = "".join(f"<li>{html.escape(MEANING.get(scope, scope))}</li>" for scope in asked.scopes)
    body = _FORM.format(
        wrong='<p class="wrong" role="alert">That is not the password of this account.</p>' if wrong else "",
        client=html.escape(asked.client), scopes=items, request=html.escape(name),
    )  # fmt: skip
    answer = page("Paper Broker", body, 403 if wrong else 200)
    answer.set_cookie(COOKIE, asked.browser, httponly=True, samesite="lax", path="/", max_age=600)
    return answer


def page(title: str, body: str, status: int) -> HTMLResponse:
    """A page that loads nothing from anywhere and sits in no frame."""
    return HTMLResponse(
        _PAGE.format(title=html.escape(title), body=body),
        status,
        {
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
        },
    )


def refusal(text: str) -> HTMLResponse:
    """What is shown where nobody can be trusted with a redirect."""
    return page("This request cannot be answered", f"<p>{html.escape(text)}</p>", 400)
