"""Logging in without a browser: Keycloak's forms by plain HTTP, with an authenticator app as the factor.

Keycloak marks its cookies as Secure even on http://localhost, where a browser sends them all the
same. Python's cookie jar does not, so there, and only there, the mark is taken off.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import chain
from types import TracebackType
from typing import Final, Self
from urllib.parse import urljoin, urlsplit

import httpx

from identity.trust import authorities
from stack.login.factor import Factor, SavedFactor
from stack.login.oidc import AuthorizationRequest, FirstLogin, Login, LoginFailed, Redirect, Tokens

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_SAME_PAGE: Final = 3
_SELECT: Final = "kc-select-credential-form"
_OTHER_WAY: Final = "kc-select-try-another-way-form"
_ERROR_CLASSES: Final = ("pf-v5-c-alert__title", "kc-feedback-text")


@dataclass(frozen=True, slots=True)
class _Way:
    """A page that is not the first that asks for a factor: its form, and what the list of ways calls it."""

    asked: Callable[[Login], bool]
    form: str
    choice: str


_WAYS: Final = (
    _Way(lambda login: login.recovery_code, "kc-recovery-code-login-form", "Recovery Authentication Code"),
    _Way(lambda login: login.emergency_code, "tradepulse-mfa-bypass", "Emergency code"),
)


@dataclass(slots=True)
class _Form:
    action: str
    fields: dict[str, str] = field(default_factory=dict)


class PageReader(HTMLParser):
    """The forms of a page by id, its heading, and the errors that it shows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: dict[str, _Form] = {}
        self.ids: set[str] = set()
        self.title = ""
        self.errors = ""
        self.choices: dict[str, str] = {}
        """The ways to prove a factor that a page offers: its heading -> the execution to send."""
        self._form: _Form | None = None
        self._into: str | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        identity = values.get("id", "")
        self.ids.add(identity)
        if tag == "form":
            self._form = self.forms.setdefault(identity, _Form(values.get("action", "")))
        elif tag == "input" and self._form is not None and values.get("name") and values.get("type") != "checkbox":
            self._form.fields[values["name"]] = values.get("value", "")
        if tag == "h2" and self._form is None:
            self._into = "choice"
        elif identity == "kc-page-title" or tag == "h1":
            self._into = "title"
        elif identity.startswith(("input-error", "kc-error-message")) or any(
            name in values.get("class", "") for name in _ERROR_CLASSES
        ):
            self._into = "errors"

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        if tag in ("h1", "h2", "span", "div", "p"):
            self._into = None

    def handle_data(self, data: str) -> None:
        if self._into == "title":
            self.title = " ".join((self.title + " " + data).split())
        elif self._into == "choice" and data.strip() and _SELECT in self.forms:
            self.choices[data.strip()] = self.forms[_SELECT].fields.get("authenticationExecution", "")
        elif self._into == "errors":
            self.errors = " ".join((self.errors + " " + data).split())

    @property
    def where(self) -> str:
        """The page in words."""
        return f"at “{self.title or 'unknown page'}”" + (f": {self.errors}" if self.errors else "")


class HttpLogin:
    """Logs one person in, in one cookie session, with one-time codes. Use as a context manager; not thread-safe."""

    def __init__(
        self, issuer: str, client_id: str = "tradepulse-cli", *, saved: SavedFactor | None = None, timeout: float = 45.0
    ) -> None:
        self._issuer = issuer.rstrip("/")
        self._client_id = client_id
        self._timeout = timeout
        self.visited: list[str] = []
        """The pages that the last login answered, in order."""
        self.factor = saved or SavedFactor()
        self._http = httpx.Client(
            verify=authorities(), follow_redirects=False, timeout=max(15.0, timeout / 3), trust_env=False
        )
        if urlsplit(self._issuer).hostname in _LOOPBACK:
            self._http.event_hooks["response"] = [self._keep_cookies]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._http.close()

    def first_login(self, login: FirstLogin) -> Tokens:
        """Replace the temporary password, register an authenticator app. Raises LoginFailed."""
        if login.factor is not Factor.AUTHENTICATOR_APP:
            raise LoginFailed("a security key needs a browser: choose the authenticator app, or install Chromium")
        return self._run(login.login)

    def login(self, login: Login) -> Tokens:
        """Log in, or use the running session. Raises LoginFailed."""
        return self._run(login)

    def _keep_cookies(self, _response: httpx.Response) -> None:
        for cookie in self._http.cookies.jar:
            cookie.secure = False

    def _run(self, login: Login) -> Tokens:
        with Redirect() as redirect:
            request = AuthorizationRequest(self._issuer, self._client_id, redirect, login)
            try:
                answer = self._walk(request.url, redirect, login)
            except httpx.HTTPError as problem:
                raise LoginFailed(f"Keycloak did not answer: {type(problem).__name__}") from None
            return request.tokens(answer)

    def _walk(self, url: str, redirect: Redirect, login: Login) -> dict[str, str]:
        deadline = time.monotonic() + self._timeout
        self.visited = []
        response = self._http.get(url)
        page = PageReader("")
        while time.monotonic() < deadline:
            if response.status_code in _REDIRECTS:
                url = urljoin(url, response.headers["Location"])
                if url.startswith(redirect.uri) and redirect.take(url) and redirect.answer is not None:
                    return redirect.answer
                response = self._http.get(url)
                continue
            page = PageReader(response.text)
            answered = self.answer(page, login, login.new_password)
            if answered is None:
                break
            name, fields = answered
            self.visited.append(name)
            if self.visited.count(name) > _SAME_PAGE:
                break
            url = urljoin(url, page.forms[name].action)
            response = self._http.post(url, data=fields)
        raise LoginFailed(f"the login of {login.username} stopped {page.where}")

    def answer(self, page: PageReader, login: Login, new_password: str | None) -> tuple[str, dict[str, str]] | None:
        """The form to send and its fields, or None on a page that a program cannot answer."""
        if "kc-passwd-update-form" in page.forms:
            if new_password is None:
                raise LoginFailed(f"{login.username} has to set a new password: use first_login")
            return "kc-passwd-update-form", {"password-new": new_password, "password-confirm": new_password}
        wanted = next((way for way in _WAYS if way.asked(login)), None)
        if wanted and "kc-form-login" not in page.forms and (chosen := self._other_way(page, wanted)) is not None:
            return chosen
        return next(chain(self._registration(page, login), self._proof(page, login)), None)

    def _registration(self, page: PageReader, login: Login) -> Iterator[tuple[str, dict[str, str]]]:
        forms = page.forms
        if "tradepulse-choose-factor" in forms:
            wanted = {"recovery-codes": "on"} if login.recovery_codes else {}
            yield "tradepulse-choose-factor", {"factor": Factor.AUTHENTICATOR_APP.value, **wanted}
        if "kc-totp-settings-form" in forms:
            fields = forms["kc-totp-settings-form"].fields
            self.factor.secret = fields["totpSecret"]
            yield "kc-totp-settings-form", {**fields, "totp": self.factor.code(), "userLabel": "authenticator app"}
        if "kc-recovery-codes-settings-form" in forms:
            fields = forms["kc-recovery-codes-settings-form"].fields
            self.factor.recovery_codes = fields["generatedRecoveryAuthnCodes"].split(",")
            yield "kc-recovery-codes-settings-form", fields

    def _proof(self, page: PageReader, login: Login) -> Iterator[tuple[str, dict[str, str]]]:
        forms = page.forms
        if "kc-recovery-code-login-form" in forms:
            yield "kc-recovery-code-login-form", {"recoveryCodeInput": self.factor.recovery_code()}
        if "tradepulse-mfa-bypass" in forms and self.factor.emergency_code is not None:
            # Typed once, right or wrong: five wrong ones close it.
            (own, handed), self.factor.emergency_code = self.factor.emergency_code, None
            yield "tradepulse-mfa-bypass", {"own": own, "handed": handed}
        if "kc-otp-login-form" in forms:
            yield "kc-otp-login-form", {**forms["kc-otp-login-form"].fields, "otp": self.factor.code()}
        if "username" in forms.get("", _Form("")).fields and not forms[""].action:
            # The stack's own identity provider takes anybody's word.
            yield "", {"username": login.username, "claims": login.claims}
        if "kc-form-login" in forms:
            fields = forms["kc-form-login"].fields
            yield "kc-form-login", {**fields, "username": login.username, "password": login.password}

    @staticmethod
    def _other_way(page: PageReader, wanted: _Way) -> tuple[str, dict[str, str]] | None:
        """The way to the page that is wanted, from any other that asks for a factor."""
        if wanted.form in page.forms:
            return None
        if wanted.choice in page.choices:
            return _SELECT, {"authenticationExecution": page.choices[wanted.choice]}
        return (_OTHER_WAY, {"tryAnotherWay": "on"}) if _OTHER_WAY in page.forms else None
