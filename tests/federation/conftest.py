"""A realm of these tests' own, made by admin-sync, whose identity providers say what a test tells them to."""

from __future__ import annotations

import html
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from dex_process import Dex, build_meanwhile, dex
from upstream_provider import CLIENT, Issuer, UpstreamServer

from admin_sync.keycloak.connection import Connection, segment
from stack.layout import CHECKOUT
from stack.login import HttpLogin, Login, SavedFactor, Tokens
from stack.login.forms import _Form
from tests.conftest import TEST_STACK

if TYPE_CHECKING:
    from stack.login.forms import PageReader
    from tests.conftest import Stack

DOMAIN = "federated.example"
ASSURANCE = "{claim: acr, levels: {mfa: aal2, phrh: aal3}, methods: [hwk, otp], request: {acr_values: mfa}}"
GROUPS = "{up-research: research, up-ops: platform}"
PROVIDERS = {
    "trusted": f"email_domains: [{DOMAIN}], assurance: {ASSURANCE}, group_mappings: {GROUPS}",
    "plain": f"email_domains: [{DOMAIN}]",
    "nobody": "",
}
"""What `identity_providers.<name>` says beyond the issuer."""


_NO_FORM = _Form("")


@dataclass(frozen=True)
class Member:
    """An account that is known at a provider, with an authenticator app."""

    id: str
    email: str
    app: SavedFactor = field(repr=False)


@dataclass(frozen=True)
class Federation:
    """The realm and the providers."""

    admin: Connection
    path: str
    issuer: str
    upstream: UpstreamServer
    dex: Dex

    def at(self, name: str) -> Issuer:
        """One of the providers."""
        return self.upstream.issuers[name]

    def forms(self, app: SavedFactor | None = None) -> FederatedLogin:
        """A fresh session without a browser."""
        return FederatedLogin(self.issuer, saved=app)

    def login(self, provider: str, app: SavedFactor | None = None, **asked: Any) -> Tokens:
        """Log in by a provider in a fresh session, as whoever it says."""
        with self.forms(app) as driver:
            return driver.by(provider, **asked)

    def account(self, email: str) -> dict[str, Any] | None:
        """The account of an address."""
        found = self.admin.get(f"{self.path}/users", email=email, exact=True)
        return found[0] if found else None

    def links(self, account: str) -> set[str]:
        """The providers that an account is linked to."""
        return {one["identityProvider"] for one in self.admin.get(f"{self.path}/users/{account}/federated-identity")}

    def begin(self, provider: str) -> httpx.URL:
        """The address at a provider to which Keycloak sends the browser."""
        query = {"client_id": "tradepulse-cli", "redirect_uri": "http://127.0.0.1:1/callback", "response_type": "code"}
        pkce = {"code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "code_challenge_method": "S256"}
        place = f"{self.issuer}/protocol/openid-connect/auth"
        with httpx.Client(timeout=20, trust_env=False) as http:
            answer = http.get(place, params={**query, **pkce, "scope": "openid", "kc_idp_hint": provider})
            for cookie in http.cookies.jar:
                cookie.secure = False
            return httpx.URL(http.get(answer.headers["Location"]).headers["Location"])

    def refusals(self, provider: str) -> set[str]:
        """The reasons of the refused logins by a provider that the server has on record."""
        events = self.admin.get(f"{self.path}/events", type="IDENTITY_PROVIDER_LOGIN_ERROR", max=100)
        return {one["error"] for one in events if one.get("details", {}).get("identity_provider") == provider}


class FederatedLogin(HttpLogin):
    """Goes to a provider at once; there nobody has to do anything."""

    instead_of_password: str | None = None
    """The provider to which to go from a page that asks for a password."""
    page = ""
    """The text of the last page."""

    def __init__(self, issuer: str, *, saved: SavedFactor | None = None) -> None:
        super().__init__(issuer, saved=saved)
        self._http.event_hooks["response"].append(self._keep_page)

    def _keep_page(self, response: httpx.Response) -> None:
        response.read()
        self.page = response.text

    def by(self, provider: str, **asked: Any) -> Tokens:
        """Log in by a provider."""
        return self.login(Login(asked.pop("username", ""), asked.pop("password", ""), provider=provider, **asked))

    def login_again(self, **asked: Any) -> Tokens:
        """Log in by no provider, by the running session if there is one."""
        return self.login(Login(asked.pop("username", ""), asked.pop("password", ""), **asked))

    def answer(self, page: PageReader, login: Login, new_password: str | None) -> tuple[str, dict[str, str]] | None:
        """The ordinary answers, and yes to linking an account."""
        if "login" in page.forms.get("", _NO_FORM).fields:
            return "", {"login": login.username, "password": login.password}
        if "kc-register-form" in page.forms and "kc-form-login" not in page.forms:
            return "kc-register-form", {"submitAction": "linkAccount"}
        if "kc-form-login" in page.forms and self.instead_of_password is not None:
            # Keycloak takes the link to a provider as a form as well, and the other provider comes back by itself.
            (link,) = re.findall(rf'id="social-{self.instead_of_password}"[^>]*href="([^"]+)"', self.page)
            page.forms["kc-form-login"].action = html.unescape(link)
            return "kc-form-login", {}
        return super().answer(page, login, new_password)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Dex takes a minute of a core to build, which the tests before these leave idle often enough."""
    if any("federation" in getattr(item, "fixturenames", ()) for item in session.items):
        build_meanwhile(TEST_STACK)


@pytest.fixture(scope="session")
def federation(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    """The realm, made from nothing and gone afterwards."""
    place = tmp_path_factory.mktemp("federation")
    name = f"federation{secrets.token_hex(3)}"
    with UpstreamServer(*PROVIDERS) as upstream, dex(stack.layout, secrets.token_urlsafe(16)) as other:
        realm = f"{name}-dev"
        base = stack.env["TRADEPULSE_ISSUER"].rpartition("/")[0]
        other.redirects.append(f"{base}/{realm}/broker/dex/endpoint")
        other.run()
        roles = configuration(place / "iam", name, upstream, other)
        keep = ("ADMIN_SYNC_KEYCLOAK_URL", "ADMIN_SYNC_REALM", "ADMIN_SYNC_CLIENT_ID", "ADMIN_SYNC_CLIENT_SECRET_FILE")
        environ = {key: stack.env[key] for key in keep if key in stack.env} | {
            **{f"SECRET_{one.upper()}": issuer.secret for one, issuer in upstream.issuers.items()},
            "SECRET_DEX": other.secret,
            "TRADEPULSE_AUDIT_DIR": str(place / "audit"),
            "PATH": os.environ["PATH"],
        }

        done = subprocess.run(
            [sys.executable, "-m", "admin_sync", "apply", "--config", str(roles.parent), "--env", "dev"],
            cwd=CHECKOUT,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        try:
            yield Federation(stack.admin, f"/{realm}", f"{base}/{realm}", upstream, other)
        finally:
            stack.admin.delete(f"/{realm}")


def configuration(directory: Path, name: str, upstream: UpstreamServer, other: Dex) -> Path:
    """The sample with the test's own providers instead of its own."""
    shutil.copytree(CHECKOUT / "configs" / "iam", directory)
    roles = directory / "roles.yaml"
    text = roles.read_text("utf-8").replace("name: tradepulse ", f"name: {name} ")
    head, _, _ = text.partition("\nidentity_providers:")
    issuers = {one: issuer.url for one, issuer in upstream.issuers.items()} | {"dex": other.url}
    of_dex = f"email_domains: [{DOMAIN}], scopes: [groups], group_mappings: {GROUPS}"
    google = f"type: google, client_id: of-google, client_secret: {{env: SECRET_DEX}}, email_domains: [{DOMAIN}]"
    lines = [f"  google: {{{google}}}"]
    lines += [
        f"  {one}: {{type: oidc, issuer: {issuers[one]}, client_id: {CLIENT}, "
        f"client_secret: {{env: SECRET_{one.upper()}}}{', ' + more if more else ''}}}"
        for one, more in {**PROVIDERS, "dex": of_dex}.items()
    ]
    roles.write_text("\n".join([head, "identity_providers:", *lines, ""]), "utf-8")
    return roles


@pytest.fixture
def newcomer() -> str:
    """An address that nobody here has."""
    return f"{secrets.token_hex(6)}@{DOMAIN}"


@pytest.fixture(scope="session")
def new_member(federation: Federation) -> Callable[..., AbstractContextManager[Member]]:
    """Makes an account that is known at a provider as `at-<address>`, with an authenticator app."""

    @contextmanager
    def make(*providers: str, password: str | None = None, app: bool = True) -> Iterator[Member]:
        email, secret = f"{secrets.token_hex(6)}@{DOMAIN}", secrets.token_hex(10)
        credentials: list[dict[str, Any]] = []
        if app:
            data = {"subType": "totp", "period": 30, "digits": 6, "algorithm": "HmacSHA1"}
            credentials.append(
                {
                    "type": "otp",
                    "secretData": json.dumps({"value": secret}),
                    "credentialData": json.dumps(data),
                }
            )
        if password is not None:
            credentials.append({"type": "password", "value": password, "temporary": False})
        body = {"username": email, "email": email, "emailVerified": True, "enabled": True, "credentials": credentials}
        identity = federation.admin.post(f"{federation.path}/users", body)
        assert identity is not None
        account = f"{federation.path}/users/{segment(identity)}"
        for provider in providers:
            link = {"userId": f"at-{email}", "userName": email}
            federation.admin.post(f"{account}/federated-identity/{provider}", link)
        try:
            yield Member(identity, email, SavedFactor(secret=secret))
        finally:
            federation.admin.delete(account)

    return make
