"""The end of a login on this host: a server on 127.0.0.1 that takes one answer and goes (RFC 8252, section 7.3).

    /login/<ticket>  where the person's browser starts: gets a cookie and is sent on to the issuer
    /callback        where the issuer sends it back: taken once, with that cookie and this login's state
    /done            what stays in the address bar, so that no code does

The cookie ties the answer to the browser that began: without it, whoever can see our address (in a list of
processes, on a shared screen) could begin a login of ours in a browser of theirs, or end one of theirs in ours.
"""

from __future__ import annotations

import secrets
import socketserver
import threading
from collections.abc import Callable
from html import escape
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from identity.login.errors import Code, LoginFailed
from identity.login.request import CALLBACK, NotOurs

HOST: Final = "127.0.0.1"
_STEP: Final = 30.0
"""Seconds that a browser may take to send a request."""

_PAGE: Final = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>TradePulse</title>'
    '<meta name="viewport" content="width=device-width"><h1>{title}</h1><p>{text}</p></html>'
)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    # Not the machine's name: looking that up can take seconds where DNS is away.
    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, int(self.server_address[1])


class Loopback:
    """One login's server; use it as a context manager.

    begin: the issuer's URL to send the browser to, given our redirect URI
    read:  the code in a callback's request target; raises NotOurs, or LoginFailed to end the login
    grace: seconds to wait at the end for the browser to fetch the page that says how it went
    """

    def __init__(self, begin: Callable[[str], str], read: Callable[[str], str], *, grace: float = 3.0) -> None:
        self._begin = begin
        self._read = read
        self._grace = grace
        self._ticket = secrets.token_urlsafe(16)
        self._cookie = f"tradepulse-login-{secrets.token_hex(4)}"
        self._browser = secrets.token_urlsafe(24)
        self._begun = False
        self._lock = threading.Lock()
        self._settled = threading.Event()
        self._seen = threading.Event()
        self._code: str | None = None
        self._failure: LoginFailed | None = None
        self._server = _Server((HOST, 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)

    @property
    def address(self) -> str:
        """Scheme, host and port."""
        return f"http://{HOST}:{self._server.server_port}"

    @property
    def start(self) -> str:
        """Where the person's browser has to go. It serves one browser, once."""
        return f"{self.address}/login/{self._ticket}"

    @property
    def redirect_uri(self) -> str:
        """What the issuer is told."""
        return self.address + CALLBACK

    def wait(self, seconds: float) -> str:
        """The code. Raises LoginFailed: what ended the login, or timed-out."""
        settled = self._settled.wait(seconds)
        if settled:
            # The browser is on its way to the page that says how it went; it would find nobody.
            self._seen.wait(self._grace)
        if self._failure is not None:
            raise self._failure
        if not settled or self._code is None:
            raise LoginFailed(
                Code.TIMED_OUT,
                f"nobody logged in within {seconds:.0f} s; try again, or use --device where no browser is",
            )
        return self._code

    def answer(self, target: str, host: str | None, cookies: str | None) -> _Answer:
        """What a GET request is answered with."""
        # Another name for this host is a page of somebody else's that reaches us through a browser (DNS rebinding).
        if host != f"{HOST}:{self._server.server_port}":
            return _page(400, "Not here", "This address is for one login of a program on this computer.")
        path = urlsplit(target).path
        with self._lock:
            if secrets.compare_digest(path.encode(), f"/login/{self._ticket}".encode()):
                return self._begin_login(cookies)
            if path == CALLBACK:
                return self._callback(target, cookies)
        if path == "/done":
            return _page(200, "You are logged in", "You can close this page and go back to the terminal.", last=True)
        return _page(404, "Nothing here", "This address is for one login of a program on this computer.")

    def written(self, answer: _Answer) -> None:
        """An answer has reached the browser."""
        if answer.last:
            self._seen.set()

    def _begin_login(self, cookies: str | None) -> _Answer:
        if self._settled.is_set():
            return _page(410, "This login is over", "Begin again in the terminal.")
        if self._begun and not self._knows(cookies):
            self._end(
                LoginFailed(
                    Code.OPENED_ELSEWHERE,
                    "the login's address was opened in two browsers, so nobody is logged in; if one of them was not "
                    "yours, somebody else on this computer can see what you run. Log in again",
                )
            )
            text = "Another browser opened this login before. Begin again in the terminal."
            return _page(410, "Opened twice", text, last=True)
        self._begun = True
        cookie = f"{self._cookie}={self._browser}; Path=/; HttpOnly; SameSite=Lax"
        return _Answer(302, b"", {"Location": self._begin(self.redirect_uri), "Set-Cookie": cookie})

    def _callback(self, target: str, cookies: str | None) -> _Answer:
        if self._settled.is_set():
            return _page(410, "This login is over", "Its answer was taken already.")
        if not self._begun or not self._knows(cookies):
            return _page(400, "Another browser began this login", "Open the address that the terminal shows.")
        try:
            self._code = self._read(target)
        except NotOurs:
            return _page(400, "Not this login", "This answer belongs to another login. Begin again in the terminal.")
        except LoginFailed as failure:
            self._end(failure)
            return _page(400, "You are not logged in", str(failure), last=True)
        self._settled.set()
        gone = f"{self._cookie}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"
        return _Answer(303, b"", {"Location": f"{self.address}/done", "Set-Cookie": gone})

    def _end(self, failure: LoginFailed) -> None:
        self._failure = failure
        self._settled.set()

    def _knows(self, cookies: str | None) -> bool:
        try:
            sent = SimpleCookie(cookies or "").get(self._cookie)
        except CookieError:
            return False
        return sent is not None and secrets.compare_digest(sent.value.encode(), self._browser.encode())


class _Answer:
    """Status, body and headers of one answer. `last`: whether it tells the person how the login ended."""

    def __init__(self, status: int, body: bytes, headers: dict[str, str], *, last: bool = False) -> None:
        self.status = status
        self.body = body
        self.headers = headers
        self.last = last


def _page(status: int, title: str, text: str, *, last: bool = False) -> _Answer:
    page = _PAGE.format(title=escape(title), text=escape(text)).encode()
    return _Answer(status, page, {"Content-Type": "text/html; charset=utf-8"}, last=last)


def _handler(loopback: Loopback) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _STEP
        server_version, sys_version = "tradepulse", ""

        def do_GET(self) -> None:
            cookies = self.headers.get_all("Cookie") or []
            answer = loopback.answer(self.path, self.headers.get("Host"), "; ".join(cookies))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("Referrer-Policy", "no-referrer")
            self.send_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(answer.body)
            loopback.written(answer)

        def log_message(self, *_: object) -> None:
            """Nothing: the line would hold the code."""

    return Handler
