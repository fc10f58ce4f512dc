"""What an internal token says: exactly the claims of the contract, for people, members of partners and services."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import pytest

from identity.service_token import ServiceToken

if TYPE_CHECKING:
    from stack.login import SavedFactor
    from tests.conftest import Stack
    from tests.realm.conftest import Person, Realm

pytestmark = pytest.mark.integration

CONTRACT = {
    *("iss", "aud", "sub", "email", "groups", "assurance_level", "acr", "amr", "auth_time", "azp", "sid", "typ"),
    *("iat", "exp", "jti", "scope"),
}


@pytest.fixture
def handmade_role(realm: Realm) -> Iterator[str]:
    name = f"handmade-{secrets.token_hex(4)}"
    realm.admin.post(f"{realm.path}/roles", {"name": name})
    yield name
    realm.admin.delete(f"{realm.path}/roles/{name}")


def grant(realm: Realm, person: Person, *names: str) -> None:
    roles = [realm.admin.get(f"{realm.path}/roles/{name}") for name in names]
    realm.admin.post(f"{realm.path}/users/{person.id}/role-mappings/realm", roles)


def test_a_token_has_the_claims_of_the_contract_and_no_others(
    realm: Realm, key_holder: tuple[Person, SavedFactor]
) -> None:
    person, key = key_holder
    with realm.browser(key) as driver:
        claims = driver.login(person.again(acr="aal2")).claims()
    assert set(claims) == CONTRACT
    assert claims["aud"] == "tradepulse-internal"
    assert claims["iss"] == realm.issuer
    assert (claims["email"], claims["sub"], claims["azp"]) == (person.email, person.id, "tradepulse-cli")
    assert claims["typ"] == "Bearer"
    assert claims["exp"] - claims["iat"] == 300


def test_no_scope_that_a_client_may_ask_for_adds_an_audience_or_roles(
    realm: Realm, app_holder: tuple[Person, SavedFactor]
) -> None:
    person, app = app_holder
    with realm.forms(app) as driver:
        claims = driver.login(person.again(acr="aal2", scope="openid offline_access")).claims()
    assert claims["aud"] == "tradepulse-internal"
    assert not {"realm_access", "resource_access", "allowed-origins", "preferred_username"} & claims.keys()


def test_groups_name_roles_in_force_and_only_those_that_are_ours(
    realm: Realm, app_holder: tuple[Person, SavedFactor], handmade_role: str
) -> None:
    person, app = app_holder
    grant(realm, person, "super_admin", handmade_role)
    with realm.forms(app) as driver:
        claims = driver.login(person.again(acr="aal2")).claims()
    # super_admin includes admin and viewer; the role that was made by hand confers nothing.
    assert {"super_admin", "admin", "viewer"} == set(claims["groups"])


def test_a_members_claim_names_the_partner_its_id_and_roles_and_never_an_attribute(
    realm: Realm, app_holder: tuple[Person, SavedFactor]
) -> None:
    person, app = app_holder
    organizations: list[dict[str, Any]] = list(
        realm.admin.pages(f"{realm.path}/organizations", briefRepresentation=False)
    )
    acme = next(one for one in organizations if one["alias"] == "acme-capital")
    # `vault.salt.current` is a number, which a token may well contain.
    salts = [name for name in acme["attributes"] if name.startswith("vault.salt.") and name != "vault.salt.current"]
    assert salts, "the partner has no key material, so this test could not find it in a token"
    base = f"{realm.path}/organizations/{acme['id']}"
    groups = {group["name"]: group["id"] for group in realm.admin.pages(f"{base}/groups")}
    realm.admin.post(f"{base}/members", person.id)
    try:
        realm.admin.put(f"{base}/groups/{groups['partner-trader']}/members/{person.id}")
        with realm.forms(app) as driver:
            tokens = driver.login(person.again(acr="aal2"))
        expected = {"acme-capital": {"id": acme["id"], "groups": ["/partner-trader"]}}
        assert tokens.claims()["organization"] == expected
        # Partner roles live in the partner alone.
        assert "partner-trader" not in tokens.claims()["groups"]
        for token in (tokens.access_token, tokens.id_token):
            body = base64.urlsafe_b64decode(token.split(".")[1] + "==").decode()
            assert not any(salt in body or acme["attributes"][salt][0] in body for salt in salts)
    finally:
        realm.admin.delete(f"{base}/members/{person.id}")


@pytest.fixture
def service_key(stack: Stack) -> str:
    return Path(stack.env["VAULT_CLIENT_KEY_FILE"]).read_text()


async def test_a_service_is_at_the_lowest_level_and_named_by_its_client(stack: Stack, service_key: str) -> None:
    async with httpx.AsyncClient() as http:
        token = await ServiceToken(http, stack.env["VAULT_TOKEN_URL"], "vault-api", service_key).get()
    claims = orjson.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["client_id"] == claims["azp"] == "vault-api"
    assert claims["assurance_level"] == "aal1"
    assert claims["groups"] == ["member-keeper"], "what configs/iam says of this client, and nothing of people"
    assert "sid" not in claims
    assert "organization" not in claims
