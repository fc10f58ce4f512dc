"""What a browser is told, and what it has to prove: the headers of every answer, and the origin of every change.

A change is taken only from our own pages: by `Sec-Fetch-Site`, which scripts cannot set, and where a browser does not
send it by `Origin` (OWASP, Cross-Site Request Forgery Prevention). No token in forms is needed for that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from identity.problem import Problem

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
SERVER_TO_SERVER: Final = frozenset({"/auth/backchannel-logout"})
"""What no browser sends, and what carries its own proof."""

_STATIC: Final = "/static/"


def policy(issuer: str) -> str:
    """The content security policy: nothing inline, nothing of others; forms go to us, and on to the realm's login."""
    realm = urlsplit(issuer)
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            # Pico's marks on form fields are pictures inside its style sheet.
            "img-src 'self' data:",
            "connect-src 'self'",
            f"form-action 'self' {realm.scheme}://{realm.netloc}",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        )
    )


def headers(issuer: str, *, secure: bool) -> Mapping[str, str]:
    """What every answer carries."""
    always = {
        "Content-Security-Policy": policy(issuer),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    }
    return always | ({"Strict-Transport-Security": "max-age=31536000; includeSubDomains"} if secure else {})


def refused(origin: str, method: str, path: str, given: Mapping[str, str]) -> bool:
    """Whether a request changes something and does not come from a page of ours. Header names are in lower case."""
    if method in _SAFE or path in SERVER_TO_SERVER:
        return False
    site = given.get("sec-fetch-site")
    if site is not None:
        return site != "same-origin"
    return given.get("origin") != origin


class Guard:
    """Both of it around an application (pure ASGI)."""

    def __init__(self, app: ASGIApp, *, origin: str, issuer: str) -> None:
        self._app = app
        self._origin = origin
        self._headers = [
            (name.lower().encode(), value.encode())
            for name, value in headers(issuer, secure=origin.startswith("https://")).items()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in message["headers"]}
                more = [(name, value) for name, value in self._headers if name not in own]
                if not scope["path"].startswith(_STATIC) and b"cache-control" not in own:
                    more.append((b"cache-control", b"no-store"))
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        given = Headers(scope=scope)
        if refused(self._origin, scope["method"], scope["path"], given):
            response = foreign().response()
            await response(scope, receive, guarded)
            return
        await self._app(scope, receive, guarded)


def foreign() -> Problem:
    """403: the change does not come from a page of ours."""
    return Problem(
        403,
        "foreign-origin",
        "Not from here",
        "Open the page of the workspace itself and do it there; a change is not taken from another site.",
    )
