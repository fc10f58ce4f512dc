"""The exchange in a real Keycloak: what a token proved goes on, and nothing else can be had by it."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from identity.client_key import ClientKey
from session_broker.app import create_server
from session_broker.broker import open_broker
from session_broker.settings import BrokerSettings
from stack.login import Factor, FirstLogin, HttpLogin, Login, LoginFailed
from tests.conftest import Stack
from tests.session_broker.door_world import Caller, environment, passed_on, refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.integration

REALM = "/tradepulse-dev"
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


@dataclass(frozen=True)
class Person:
    """An account that the workforce provider's subject of the same name belongs to."""

    id: str
    email: str


@dataclass(frozen=True)
class Place:
    """The running stack, as these tests use it."""

    stack: Stack

    @property
    def issuer(self) -> str:
        return self.stack.env["TRADEPULSE_ISSUER"]

    def external(self, email: str, *, provider: str = "WORKFORCE", client: str = "tradepulse", **claims: Any) -> str:
        """An ID token of a provider, by its own login page, with the claims that are typed there."""
        issuer, back = self.stack.env[f"{provider}_ISSUER"], "http://127.0.0.1:9/callback"
        asked = {"client_id": client, "response_type": "code", "scope": "openid", "redirect_uri": back, "nonce": "n"}
        with httpx.Client(trust_env=False, timeout=20) as browser:
            page = browser.get(f"{issuer}/authorize", params={**asked, "state": "s"})
            typed = {"username": email, "claims": json.dumps({"email_verified": True, **claims})}
            code = httpx.URL(browser.post(str(page.url), data=typed).headers["location"]).params["code"]
            form = {"grant_type": "authorization_code", "code": code, "redirect_uri": back, "client_id": client}
            answer = browser.post(f"{issuer}/token", data={**form, "client_secret": "any"})
        return str(answer.json()["id_token"])

    def ask(self, client: str = "session-broker", **form: Any) -> httpx.Response:
        """Keycloak's token endpoint, as a client of ours that proves its key."""
        pem = self.stack.layout.secret(f"client-{client}.pem").read_bytes()
        key = ClientKey(client, pem, audience=self.issuer)
        return httpx.post(
            f"{self.issuer}/protocol/openid-connect/token",
            data={**form, **key.form(time.time())},
            trust_env=False,
            timeout=20,
        )

    @contextmanager
    def person(self, **changes: Any) -> Iterator[Person]:
        """An account without required actions; `changes` are of its representation."""
        email = f"{secrets.token_hex(6)}@tradepulse.example"
        admin, users = self.stack.admin, f"{REALM}/users"
        account = {"username": email, "email": email, "emailVerified": True, "enabled": True, "requiredActions": []}
        identity = admin.post(users, account)
        try:
            admin.put(f"{users}/{identity}", {**admin.get(f"{users}/{identity}"), "requiredActions": [], **changes})
            link = {"identityProvider": "workforce", "userId": email, "userName": email}
            admin.post(f"{users}/{identity}/federated-identity/workforce", link)
            yield Person(str(identity), email)
        finally:
            admin.delete(f"{users}/{identity}")

    @asynccontextmanager
    async def broker(self, folder: Path, access: str | None = None, **settings: str) -> AsyncIterator[Caller]:
        """A broker of the test's own on the stack's realm."""
        given = {
            **self.stack.env,
            "SESSION_BROKER_STATE_DIR": str(folder / "state"),
            "TRADEPULSE_AUDIT_DIR": str(folder / "audit"),
            **{f"SESSION_BROKER_{name.upper()}": value for name, value in settings.items()},
        }
        if access is not None:
            path = folder / "access.toml"
            path.write_text(access)
            given["SESSION_BROKER_ACCESS_FILE"] = str(path)
        with environment(given):
            async with open_broker(BrokerSettings()) as broker:
                transport = httpx.ASGITransport(create_server(broker), client=("127.0.0.1", 1))
                async with httpx.AsyncClient(transport=transport, base_url="http://broker") as http:
                    yield Caller(http, broker)


@pytest.fixture(scope="module")
def place(stack: Stack) -> Place:
    return Place(stack)


@pytest.fixture(scope="module")
def person(place: Place) -> Iterator[Person]:
    with place.person() as made:
        yield made


def claims_of(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    read: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return read


PROVED = {
    "nothing that it lists": ({"acr": "pwd"}, None, "aal1", []),
    "our own word for a level": ({"acr": "aal3", "assurance_level": "aal3", "groups": ["admin"]}, 5, "aal1", []),
    "a second factor": ({"acr": "mfa", "amr": ["pwd", "otp", "sms"]}, 30, "aal2", ["pwd", "otp"]),
    "a second factor without its time": ({"acr": "mfa", "amr": ["pwd", "otp"]}, None, "aal1", []),
    "a second factor of yesterday": ({"acr": "mfa", "amr": ["pwd", "otp"]}, 90_000, "aal1", []),
    "a security key": ({"acr": "phrh", "amr": ["hwk"]}, 30, "aal3", ["hwk"]),
    "a security key an hour ago": ({"acr": "phrh", "amr": ["hwk"]}, 3_500, "aal2", ["hwk"]),
}


async def test_an_exchanged_token_says_what_the_provider_proved_and_no_more(
    place: Place, person: Person, tmp_path: Path
) -> None:
    async with place.broker(tmp_path) as broker:
        for case, (claims, age, level, methods) in PROVED.items():
            proved = {} if age is None else {"auth_time": int(time.time()) - age}
            external = place.external(person.email, **claims, **proved)
            internal = claims_of(passed_on(await broker.authorize(external)))
            assert (internal["acr"], internal["assurance_level"], internal["amr"]) == (level, level, methods), case
            assert internal.get("auth_time") in (None, proved.get("auth_time")), case
            assert ("auth_time" in internal) >= (level != "aal1"), case
            assert (internal["sub"], internal["email"], internal["groups"]) == (person.id, person.email, []), case
            assert (internal["aud"], internal["azp"]) == (
                place.stack.env["TRADEPULSE_OAUTH2_AUDIENCE"],
                "session-broker",
            )
            assert internal["exp"] <= claims_of(external)["exp"], case
            assert "sid" not in internal, case
            assert not {"realm_access", "resource_access"} & internal.keys(), case


async def test_who_has_no_account_or_no_finished_one_gets_nothing(place: Place, tmp_path: Path) -> None:
    async with place.broker(tmp_path) as broker:
        nobody = place.external(f"{secrets.token_hex(6)}@tradepulse.example")
        assert refusal(await broker.authorize(nobody)) == 403
        with place.person(enabled=False) as disabled, place.person(requiredActions=["webauthn-register"]) as unfinished:
            assert refusal(await broker.authorize(place.external(disabled.email))) == 403
            assert refusal(await broker.authorize(place.external(unfinished.email))) == 403
    lines = (tmp_path / "audit" / "api_events.jsonl").read_text().splitlines()
    assert [json.loads(line)["reason"] for line in lines] == [
        "account_unknown",
        "account_disabled",
        "account_incomplete",
    ]


async def test_an_account_that_guessing_has_locked_gets_nothing_until_it_is_unlocked(
    place: Place, tmp_path: Path
) -> None:
    admin = place.stack.admin
    with place.person() as person:
        admin.put(f"{REALM}/users/{person.id}/reset-password", {"type": "password", "value": secrets.token_urlsafe(18)})
        async with place.broker(tmp_path, revocation_seconds="1", refusal_seconds="0") as broker:
            assert passed_on(await broker.authorize(place.external(person.email)))
            with HttpLogin(place.issuer) as browser:
                for _ in range(6):
                    with pytest.raises(LoginFailed):
                        browser.login(Login(person.email, "a wrong guess"))
            assert admin.get(f"{REALM}/attack-detection/brute-force/users/{person.id}")["disabled"]
            assert refusal(await broker.authorize(place.external(person.email))) == 403
            admin.delete(f"{REALM}/attack-detection/brute-force/users/{person.id}")
            assert passed_on(await broker.authorize(place.external(person.email)))
    lines = (tmp_path / "audit" / "api_events.jsonl").read_text().splitlines()
    assert [json.loads(line)["reason"] for line in lines if '"denied"' in line] == ["account_locked"]


async def test_tokens_of_others_are_refused_here_and_by_keycloak_itself(
    place: Place, person: Person, tmp_path: Path
) -> None:
    bound = place.external(person.email, cnf={"jkt": "thumbprint"})
    others = {
        "another client's": (place.external(person.email, client="somebody-else"), "Invalid token audience"),
        "a bound one": (bound, "Sender-constrained tokens are not exchanged"),
        "one byte off": (bound[:-4] + ("AAAA" if bound[-4:] != "AAAA" else "BBBB"), "Invalid signature"),
    }
    async with place.broker(tmp_path) as broker:
        for case, (token, said) in others.items():
            assert refusal(await broker.authorize(token)) == 401, case
            answer = place.ask(grant_type=JWT_GRANT, assertion=token)
            assert (answer.status_code, answer.json()["error_description"]) == (400, said), case
        # A provider that Keycloak knows and the access file does not.
        assert refusal(await broker.authorize(place.external(person.email, provider="MOCK"))) == 401


def test_keycloak_refuses_every_wish_for_more(place: Place, person: Person) -> None:
    external = place.external(person.email)
    for scope in ("openid", "offline_access", "roles", "organization"):
        answer = place.ask(grant_type=JWT_GRANT, assertion=external, scope=scope)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")
    broad = place.ask(grant_type=JWT_GRANT, assertion=external).json()
    assert "refresh_token" not in broad
    subject = {"grant_type": EXCHANGE, "subject_token": broad["access_token"], "subject_token_type": ACCESS_TOKEN}
    audience = place.stack.env["TRADEPULSE_OAUTH2_AUDIENCE"]
    wishes: dict[str, dict[str, Any]] = {
        "no audience": {},
        "two audiences": {"audience": [audience, "vault-api"]},
        "a client's audience": {"audience": "vault-api"},
        "the administration": {"audience": "realm-management"},
        "an unknown audience": {"audience": "nowhere"},
        "a scope": {"audience": audience, "scope": "openid"},
        "a refresh token": {
            "audience": audience,
            "requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token",
        },
        "another person": {"audience": audience, "requested_subject": "admin"},
        "another issuer": {"audience": audience, "subject_issuer": "workforce"},
    }
    for case, more in wishes.items():
        answer = place.ask(**subject, **more)
        assert answer.status_code in (400, 403), case
        assert "access_token" not in answer.json(), case
    assert place.ask(**subject, audience=audience).status_code == 200


def test_no_other_client_can_redeem_or_exchange(place: Place, person: Person) -> None:
    external = place.external(person.email)
    broad = place.ask(grant_type=JWT_GRANT, assertion=external).json()["access_token"]
    for client in ("vault-api", "vault-rotator"):
        redeemed = place.ask(client, grant_type=JWT_GRANT, assertion=external)
        assert (redeemed.status_code, "access_token" in redeemed.json()) == (400, False)
        exchanged = place.ask(
            client,
            grant_type=EXCHANGE,
            subject_token=broad,
            subject_token_type=ACCESS_TOKEN,
            audience=place.stack.env["TRADEPULSE_OAUTH2_AUDIENCE"],
        )
        assert (exchanged.status_code, "access_token" in exchanged.json()) == (400, False)


async def test_a_disabled_account_is_out_within_the_window(place: Place, tmp_path: Path) -> None:
    with place.person() as person:
        path = f"{REALM}/users/{person.id}"
        async with place.broker(tmp_path, revocation_seconds="1") as broker:
            token = place.external(person.email)
            assert passed_on(await broker.authorize(token))
            place.stack.admin.put(path, {**place.stack.admin.get(path), "enabled": False})
            disabled_at = time.monotonic()
            while (await broker.authorize(token)).status_code == 204:
                assert time.monotonic() < disabled_at + 30
            # The window, and one exchange on a busy machine.
            assert refusal(await broker.authorize(token)) == 403


async def test_a_service_with_an_audience_of_its_own_gets_tokens_for_that_one_alone(
    place: Place, person: Person, tmp_path: Path
) -> None:
    admin = place.stack.admin
    (client,) = admin.get(f"{REALM}/clients?clientId=session-broker")
    name = f"reports-{secrets.token_hex(4)}"
    nothing = {"clientId": name, "standardFlowEnabled": False, "clientAuthenticatorType": "client-jwt"}
    stand_in = admin.post(f"{REALM}/clients", {**nothing, "fullScopeAllowed": False})
    wider = {**client, "attributes": {**client["attributes"], "tradepulse.exchange.audiences": name}}
    access = f"""
[providers.workforce]
issuer = "${{WORKFORCE_ISSUER}}"
jwks_url = "${{WORKFORCE_ISSUER}}/jwks"
audiences = ["tradepulse"]
accepts = ["id_token"]
[services.reports]
audience = "{name}"
providers = ["workforce"]
[services.vault]
audience = "tradepulse-internal"
providers = ["workforce"]
internal = true
"""
    try:
        admin.put(f"{REALM}/clients/{client['id']}", wider)
        async with place.broker(tmp_path, access) as broker:
            external = place.external(person.email)
            given = passed_on(await broker.authorize(external, "reports"))
            assert claims_of(given)["aud"] == name
            assert claims_of(passed_on(await broker.authorize(external, "vault")))["aud"] == "tradepulse-internal"
            assert refusal(await broker.authorize(given, "vault")) == 401
            async with httpx.AsyncClient(base_url=place.stack.urls["vault"], trust_env=False) as vault:
                headers = {"Authorization": f"Bearer {given}"}
                assert (await vault.get("/v1/partners/acme-capital/connections", headers=headers)).status_code == 401
    finally:
        # What is left out of a representation stays; an empty value takes it away.
        without = {**client["attributes"], "tradepulse.exchange.audiences": ""}
        admin.put(f"{REALM}/clients/{client['id']}", {**client, "attributes": without})
        admin.delete(f"{REALM}/clients/{stand_in}")


def test_a_logout_in_keycloak_ends_the_session_at_the_door_and_what_it_borrowed(place: Place) -> None:
    admin, email, password = place.stack.admin, f"{secrets.token_hex(6)}@tradepulse.example", secrets.token_urlsafe(18)
    temporary = secrets.token_urlsafe(18)
    account = admin.post(
        f"{REALM}/users",
        {
            "username": email,
            "email": email,
            "emailVerified": True,
            "enabled": True,
            "credentials": [{"type": "password", "value": temporary, "temporary": True}],
        },
    )
    door = f"{place.stack.urls['session-broker']}/authorize"
    try:
        with HttpLogin(place.issuer) as browser:
            tokens = browser.first_login(FirstLogin(email, temporary, password, Factor.AUTHENTICATOR_APP))
        headers = {"Authorization": f"Bearer {tokens.access_token}", "X-TradePulse-Service": "vault"}
        assert httpx.get(door, headers=headers, trust_env=False).status_code == 204
        form = {"client_id": "tradepulse-cli", "refresh_token": tokens.refresh_token}
        logout = f"{place.issuer}/protocol/openid-connect/logout"
        assert httpx.post(logout, data=form, trust_env=False).status_code == 204
        # Keycloak tells the broker before it answers, so there is nothing to wait for.
        assert httpx.get(door, headers=headers, trust_env=False).status_code == 401
        events = Path(place.stack.env["TRADEPULSE_AUDIT_DIR"]) / "api_events.jsonl"
        deadline = time.monotonic() + 30
        while not any(_ended_by_the_vault(line) for line in events.read_text().splitlines()):
            assert time.monotonic() < deadline, "the vault was not told, or refused"
            time.sleep(0.2)
    finally:
        admin.delete(f"{REALM}/users/{account}")


def _ended_by_the_vault(line: str) -> bool:
    event = json.loads(line)
    return event["source"] == "vault-api" and event["actor"] == "session-broker" and event["outcome"] == "success"
