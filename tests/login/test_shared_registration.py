"""The web's registration with three kinds of address, and the terminal's: each gives a token that the vault takes."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from identity.login import Kind
from stack.login import HttpLogin, Login
from stack.login.forms import PageReader

if TYPE_CHECKING:
    from stack.login import SavedFactor
    from tests.conftest import Stack
    from tests.login.conftest import Desk
    from tests.realm.conftest import Person, Realm

pytestmark = pytest.mark.integration

CHECKOUT = Path(__file__).resolve().parents[2]
KIND = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CLIENT = "tradepulse"


def assertion(stack: Stack, issuer: str) -> str:
    key = ECKey.import_key(stack.layout.secret(f"client-{CLIENT}.pem").read_text())
    now = int(time.time())
    claims = {"iss": CLIENT, "sub": CLIENT, "aud": issuer, "jti": str(uuid.uuid4()), "iat": now, "exp": now + 60}
    return jwt.encode({"alg": "ES256", "kid": key.thumbprint()}, claims, key)


def came_back(driver: HttpLogin, url: str, redirect_uri: str, login: Login) -> dict[str, str]:
    """The answer that Keycloak sends to a redirect URI, which nobody has to listen at."""
    response = driver._http.get(url)
    for _ in range(20):
        if response.status_code in (302, 303):
            url = urljoin(url, response.headers["Location"])
            if url.startswith(redirect_uri):
                return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
            response = driver._http.get(url)
            continue
        page = PageReader(response.text)
        answered = driver.answer(page, login, None)
        assert answered is not None, page.where
        name, fields = answered
        url = urljoin(url, page.forms[name].action)
        response = driver._http.post(url, data=fields)
    pytest.fail("the login goes round in circles")


def vault_says(stack: Stack, token: str) -> tuple[int, str]:
    answer = httpx.get(
        f"{stack.urls['vault']}/v1/partners/acme-capital/connections",
        headers={"Authorization": f"Bearer {token}"},
        timeout=20,
    )
    return answer.status_code, str(answer.json().get("type", ""))


@pytest.mark.parametrize("kind", ["ui", "admin", "cli"])
def test_the_web_logs_in_at_each_kind_of_address(
    stack: Stack, realm: Realm, app_person: tuple[Person, SavedFactor], kind: str
) -> None:
    person, factor = app_person
    (client,) = realm.admin.get(f"{realm.path}/clients", clientId=CLIENT)
    workspace = stack.urls["workspace"]
    ends = {"ui": f"{workspace}/auth/callback", "admin": "/admin/auth/callback", "cli": "//127.0.0.1/callback"}
    (redirect_uri,) = [uri for uri in client["redirectUris"] if uri.endswith(ends[kind])]
    if kind == "cli":
        redirect_uri = redirect_uri.replace("127.0.0.1", "127.0.0.1:49152")
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code", "client_id": CLIENT, "redirect_uri": redirect_uri, "scope": "openid", "state": state,
        "code_challenge": challenge, "code_challenge_method": "S256",
    }  # fmt: skip
    place = f"{realm.issuer}/protocol/openid-connect"
    with realm.forms(factor) as driver:
        answer = came_back(driver, f"{place}/auth?{urlencode(query)}", redirect_uri, person.again())
    assert (answer["state"], answer["iss"]) == (state, realm.issuer)
    form = {
        "grant_type": "authorization_code", "code": answer["code"], "redirect_uri": redirect_uri,
        "code_verifier": verifier, "client_assertion_type": KIND,
    }  # fmt: skip
    # Without its key it is nobody, so a code that leaks is worth nothing; and a code is good once, for one address.
    assert httpx.post(f"{place}/token", data={**form, "client_id": CLIENT}, timeout=20).status_code in (400, 401)
    got = httpx.post(f"{place}/token", data={**form, "client_assertion": assertion(stack, realm.issuer)}, timeout=20)
    assert got.status_code == 200, got.text
    # Somebody who belongs to no partner is told that there is none: the vault knows who asks, and it is not a 401.
    assert vault_says(stack, got.json()["access_token"]) == (404, "urn:tradepulse:problem:not-found")
    again = {**form, "client_assertion": assertion(stack, realm.issuer)}
    assert httpx.post(f"{place}/token", data=again, timeout=20).status_code == 400


def test_the_terminal_reaches_the_vault_as_its_person(stack: Stack, desk: Desk) -> None:
    desk.session.log_in(store=Kind.FILE)
    assert vault_says(stack, desk.session.bearer().text()) == (404, "urn:tradepulse:problem:not-found")
    environ = {**os.environ, **stack.env, "TRADEPULSE_LOGIN_DIR": str(desk.folder), "VAULT_URL": stack.urls["vault"]}
    command = [sys.executable, "-m", "vault_client", "list", "acme-capital"]
    done = subprocess.run(command, cwd=CHECKOUT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "not-found" in done.stderr
