"""What a browser does to log in, over HTTP: the click, the redirects, the realm's pages, the page at the end.

It types at once and draws nothing; what is measured is what servers and network take.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin, urlsplit

import httpx

from bench.workspace.people import Person
from stack.login.forms import PageReader

_ARGUMENT: Final = re.compile(r"^\s*(challenge|rpId)\s*:\s*\"((?:[^\"\\]|\\.)*)\"", re.MULTILINE)
_MOST_PAGES: Final = 20
_SECONDS: Final = 30.0


class Stopped(Exception):
    """A login that did not come to its page; the text says where it stopped."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One login: seconds from the click to the last byte of the page, and the requests that it took."""

    seconds: float
    requests: int


class Visitor:
    """A browser window with nobody logged in. Use as a context manager; not thread-safe."""

    def __init__(self, url: str, issuer: str, person: Person) -> None:
        self._url = url
        self._issuer = urlsplit(issuer)
        self._person = person
        self.http = httpx.Client(follow_redirects=False, timeout=_SECONDS, trust_env=False)
        # On loopback a browser sends cookies marked as secure without TLS, and Python's jar does not.
        self.http.event_hooks["response"] = [lambda _: self._unmark()]

    def __enter__(self) -> Visitor:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def log_in(self) -> Visit:
        """Press the button; where the realm knows this window, that is all. Raises Stopped."""
        begun, url, requests = time.perf_counter(), f"{self._url}/auth/login", 1
        try:
            response = self.http.get(url)
            for _ in range(_MOST_PAGES):
                if response.is_redirect:
                    url = urljoin(url, response.headers["Location"])
                    response = self.http.get(url)
                elif url.startswith(f"{self._url}/"):
                    self._mine(response)
                    return Visit(time.perf_counter() - begun, requests)
                else:
                    url, fields = self._answer(url, response)
                    response = self.http.post(url, data=fields)
                requests += 1
        except httpx.HTTPError as problem:
            raise Stopped(f"{type(problem).__name__} at {urlsplit(url).path}") from None
        raise Stopped(f"the login goes round at {urlsplit(url).path}")

    def log_out(self) -> None:
        """Out here and in the realm. Raises Stopped."""
        answered = self.http.post(f"{self._url}/auth/logout", headers={"Origin": self._url})
        if answered.headers.get("location") != "/signed-out":
            raise Stopped(f"logout answers {answered.status_code}")

    def _mine(self, response: httpx.Response) -> None:
        if response.status_code != 200 or self._person.email not in response.text:
            raise Stopped(f"the workspace answers {response.status_code} and shows somebody else")

    def _answer(self, url: str, response: httpx.Response) -> tuple[str, dict[str, str]]:
        if response.status_code != 200:
            raise Stopped(f"the realm answers {response.status_code} at {urlsplit(url).path}")
        page = PageReader(response.text)
        if "kc-form-login" in page.forms:
            known = {"username": self._person.email, "password": self._person.password}
            form = page.forms["kc-form-login"]
            return urljoin(url, form.action), {**form.fields, **known}
        if "webauth" in page.forms:
            told = dict(_ARGUMENT.findall(response.text))
            origin = f"{self._issuer.scheme}://{self._issuer.netloc}"
            answer = self._person.key.answer(told["challenge"], told["rpId"], origin)
            return urljoin(url, page.forms["webauth"].action), dict(answer)
        raise Stopped(page.where)

    def _unmark(self) -> None:
        for cookie in self.http.cookies.jar:
            cookie.secure = False
