"""One contract for every internal token, however it was come by: the claims of `docs/architecture.md` and no others."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest
from assurance_rows import Row
from assurance_walk import Walk

from identity.jwks import JwksCache
from identity.verify import TokenPolicy, TokenVerifier
from stack.login import Tokens
from tests.session_broker.test_broker_on_keycloak import ACCESS_TOKEN, EXCHANGE, JWT_GRANT, Place

if TYPE_CHECKING:
    from tests.conftest import Stack
    from tests.realm.conftest import Realm

pytestmark = pytest.mark.integration

EVERY: Final = {"iss", "aud", "sub", "azp", "exp", "iat", "jti", "typ", "scope", "groups", "acr", "assurance_level"}
PERSON: Final = EVERY | {"email", "amr", "auth_time", "sid"}
SERVICE: Final = EVERY | {"amr", "client_id"}

EXCHANGED: Final = EVERY | {"email", "amr", "auth_time"}
"""No session of the person is behind a token that was exchanged for a provider's."""

APP: Final = "authenticator app"
PEOPLE: Final = (
    Row("password", APP, "aal2"),
    Row("password", "recovery codes", "aal2"),
    Row("password", "nothing", "nothing"),
    Row("workforce", "nothing", "aal1"),
    Row("workforce saying mfa", "nothing", "aal2"),
    Row("mock", "nothing", "aal1"),
    Row("device", APP, "nothing"),
    Row("refresh", APP, "aal2"),
)
PROGRAMS: Final = (Row("service account", "nothing", "nothing"), Row("workload", "nothing", "nothing"))


@dataclass(frozen=True)
class Issued:
    """A token of one path, and what its claims are."""

    token: str
    claims: dict[str, Any]


@pytest.fixture(scope="module")
def walk(stack: Stack, realm: Realm) -> Iterator[Walk]:
    walker = Walk(stack, realm, in_browser=False)
    try:
        yield walker
    finally:
        walker.forget()


@pytest.fixture(scope="module")
def exchange(stack: Stack) -> Place:
    return Place(stack)


@pytest.fixture(scope="module")
def issued(walk: Walk) -> dict[Row, Issued]:
    """A token of every path, each taken once."""
    found = {}
    for row in (*PEOPLE, *PROGRAMS):
        tokens = walk.tokens(row)
        found[row] = Issued(tokens.access_token, tokens.claims())
    return found


@pytest.mark.parametrize("row", PEOPLE, ids=str)
def test_a_persons_token_has_the_claims_of_the_contract_and_no_others(issued: dict[Row, Issued], row: Row) -> None:
    claims = issued[row].claims
    assert set(claims) == PERSON
    assert isinstance(claims["auth_time"], int)
    assert claims["auth_time"] <= claims["iat"]
    assert re.fullmatch(r"[^@\s]+@[^@\s]+", claims["email"])
    assert claims["azp"] == "tradepulse-cli"
    assert isinstance(claims["amr"], list)


@pytest.mark.parametrize("row", PROGRAMS, ids=str)
def test_a_programs_token_names_its_client_and_no_person(issued: dict[Row, Issued], row: Row) -> None:
    claims = issued[row].claims
    assert set(claims) == SERVICE
    assert claims["client_id"] == claims["azp"]
    assert (claims["acr"], claims["assurance_level"], claims["amr"]) == ("aal1", "aal1", [])


@pytest.mark.parametrize("row", [*PEOPLE, *PROGRAMS], ids=str)
def test_every_token_has_one_issuer_one_audience_five_minutes_and_levels_that_exist(
    realm: Realm, issued: dict[Row, Issued], row: Row
) -> None:
    claims = issued[row].claims
    assert (claims["iss"], claims["aud"], claims["typ"]) == (realm.issuer, "tradepulse-internal", "Bearer")
    assert 0 < claims["exp"] - claims["iat"] <= 300
    assert claims["acr"] in ("aal1", "aal2", "aal3")
    assert claims["assurance_level"] <= claims["acr"]
    assert claims["groups"] == sorted(set(claims["groups"]))


@pytest.mark.parametrize("row", [*PEOPLE, *PROGRAMS], ids=str)
async def test_every_token_is_one_that_services_take(realm: Realm, issued: dict[Row, Issued], row: Row) -> None:
    one = issued[row]
    policy = TokenPolicy(
        issuer=realm.issuer,
        audience="tradepulse-internal",
        environment="dev",
        clients=frozenset({one.claims["azp"]}),
    )
    async with httpx.AsyncClient() as http:
        keys = JwksCache(http, f"{realm.issuer}/protocol/openid-connect/certs")
        principal = await TokenVerifier(policy, keys).verify(one.token)
    assert principal.kind == ("service" if row in PROGRAMS else "person")
    assert principal.assurance_level == one.claims["assurance_level"]
    assert principal.email == one.claims.get("email")


def test_an_exchanged_token_has_the_claims_of_a_person_but_for_the_session(realm: Realm, exchange: Place) -> None:
    with exchange.person() as somebody:
        proved = {"acr": "mfa", "amr": ["pwd", "otp"], "auth_time": int(time.time()) - 30}
        redeemed = exchange.ask(grant_type=JWT_GRANT, assertion=exchange.external(somebody.email, **proved))
        form = {"subject_token": redeemed.json()["access_token"], "subject_token_type": ACCESS_TOKEN}
        answer = exchange.ask(grant_type=EXCHANGE, audience="tradepulse-internal", **form).json()
        claims = Tokens(answer["access_token"], "", "", answer["expires_in"]).claims()
    assert set(claims) == EXCHANGED
    assert (claims["iss"], claims["aud"], claims["typ"]) == (realm.issuer, "tradepulse-internal", "Bearer")
    assert (claims["azp"], claims["sub"], claims["email"]) == ("session-broker", somebody.id, somebody.email)
    assert (claims["acr"], claims["assurance_level"], claims["amr"]) == ("aal2", "aal2", ["pwd", "otp"])
    assert claims["auth_time"] == proved["auth_time"]
