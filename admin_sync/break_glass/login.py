"""Logging in with a released credential at a terminal: it answers Keycloak's pages in place of a browser.

It is a `Conversation` of `identity.login`, so what comes of it is an ordinary session of this host, verified and
kept like any other. The credential is held in memory and sent to one origin, the issuer's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urljoin, urlsplit

import httpx

from admin_sync.break_glass.credential import Credential
from identity.login import Code, LoginFailed

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_MOST_PAGES: Final = 20
_ARGUMENT: Final = re.compile(r"^\s*(challenge|rpId)\s*:\s*\"((?:[^\"\\]|\\.)*)\"", re.MULTILINE)


class Answering:
    """Answers the pages of one issuer with one credential."""

    def __init__(self, credential: Credential, issuer: str) -> None:
        self._credential = credential
        self._origin = _origin(issuer)

    def open(self, url: str, *, seconds: int) -> None:
        """Walks the pages to their end, which is on this host. Raises LoginFailed at once where they lead elsewhere."""
        try:
            self._walk(url, float(seconds))
        except httpx.HTTPError as problem:
            raise LoginFailed(Code.UNREACHABLE, f"Keycloak did not answer: {type(problem).__name__}") from None

    def invite(self, page: str, user_code: str, *, seconds: int) -> None:
        """Never asked for: this is no login on another device. Raises LoginFailed."""
        raise _stopped("a login on another device needs a person")

    def waiting(self, seconds: int) -> None:
        """Nobody has to be told."""

    def _walk(self, url: str, seconds: float) -> None:
        with httpx.Client(follow_redirects=False, timeout=min(seconds, 15.0), trust_env=False) as http:
            if urlsplit(self._origin).hostname in _LOOPBACK:
                # There a browser sends cookies marked as secure without TLS, and Python's jar does not.
                http.event_hooks["response"] = [lambda _: _unmark(http)]
            start = _origin(url)
            response = http.get(url)
            for _ in range(_MOST_PAGES):
                if response.is_redirect:
                    url = urljoin(url, response.headers["Location"])
                    response = http.get(url)
                    continue
                if _origin(url) == start:
                    # Back on this host: what waits there has the answer.
                    return
                page = _Page(response.text)
                form = self._answer(page)
                action = urljoin(url, page.forms[form.name].action)
                if _origin(action) != self._origin:
                    raise _stopped("a page wanted the credential for somebody else than the issuer")
                url = action
                response = http.post(url, data=form.fields)
        raise _stopped("the login had no end")

    def _answer(self, page: _Page) -> _Answer:
        if "kc-form-login" in page.forms:
            fields = {"username": self._credential.username, "password": self._credential.password.text()}
            return _Answer("kc-form-login", {**page.forms["kc-form-login"].fields, **fields})
        if "webauth" in page.forms:
            told = dict(_ARGUMENT.findall(page.text))
            if not {"challenge", "rpId"} <= told.keys():
                raise _stopped("the page of the security key has no challenge")
            return _Answer("webauth", dict(self._credential.key.answer(told["challenge"], told["rpId"], self._origin)))
        raise _stopped(f"the login stopped at “{page.title.strip() or 'an unknown page'}”")


@dataclass(slots=True)
class _Form:
    action: str
    fields: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Answer:
    name: str
    fields: dict[str, str] = field(repr=False)


class _Page(HTMLParser):
    """The forms of a page by id, and its title."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.forms: dict[str, _Form] = {}
        self.title = ""
        self._form: _Form | None = None
        self._titled = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = self.forms.setdefault(values.get("id", ""), _Form(values.get("action", "")))
        elif tag == "input" and self._form is not None and values.get("name") and values.get("type") != "checkbox":
            self._form.fields[values["name"]] = values.get("value", "")
        self._titled = tag == "title" or values.get("id") == "kc-page-title"

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        self._titled = False

    def handle_data(self, data: str) -> None:
        if self._titled:
            self.title += data


def _stopped(text: str) -> LoginFailed:
    """A page came that this credential does not answer. The text names it and holds no secret."""
    return LoginFailed(Code.LOGIN_REFUSED, text)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _unmark(http: httpx.Client) -> None:
    for cookie in http.cookies.jar:
        cookie.secure = False
