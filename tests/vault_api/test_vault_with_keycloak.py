"""The vault's own account at a real Keycloak: it reads the partners' salts, and can do nothing else to them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from identity.outbound import client
from identity.secret import read_secret
from identity.service_token import ServiceToken
from tests.conftest import Stack
from vault_api.salts import KeycloakSalts, SaltsMissing

pytestmark = pytest.mark.integration


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with client() as opened:
        yield opened


@pytest.fixture
def token(stack: Stack, http: httpx.AsyncClient) -> ServiceToken:
    key = read_secret(Path(stack.env["VAULT_CLIENT_KEY_FILE"]), name="VAULT_CLIENT_KEY_FILE")
    return ServiceToken(http, stack.env["VAULT_TOKEN_URL"], stack.env["VAULT_CLIENT_ID"], key)


async def test_every_partner_has_a_salt_of_its_own_that_the_vault_can_read(
    stack: Stack, http: httpx.AsyncClient, token: ServiceToken
) -> None:
    source = KeycloakSalts(http, stack.env["VAULT_KEYCLOAK_ADMIN_URL"], token)
    found = [await source.read(partner) for partner in ("acme-capital", "birch-research")]
    # Another test may have rotated a partner's key, and then there are more.
    assert all(salts.current in salts.versions for salts in found)
    every = [salt for salts in found for salt in salts.versions.values()]
    assert len(set(every)) == len(every) >= 2
    # A second reading goes by the id that was learned, and finds the same.
    assert (await source.read("acme-capital")).versions == found[0].versions


async def test_a_partner_that_keycloak_does_not_know_has_none(
    stack: Stack, http: httpx.AsyncClient, token: ServiceToken
) -> None:
    source = KeycloakSalts(http, stack.env["VAULT_KEYCLOAK_ADMIN_URL"], token)
    for name in ("nobody", "", "acme-capital/../birch-research", "Acme Capital"):
        with pytest.raises(SaltsMissing):
            await source.read(name)


async def test_the_vaults_account_can_change_no_organization_and_see_no_person(
    stack: Stack, http: httpx.AsyncClient, token: ServiceToken
) -> None:
    admin, headers = stack.env["VAULT_KEYCLOAK_ADMIN_URL"], {"Authorization": f"Bearer {await token.get()}"}
    listed = (await http.get(f"{admin}/organizations", headers=headers)).json()
    for organization in listed:
        address = f"{admin}/organizations/{organization['id']}"
        assert (await http.put(address, headers=headers, json=organization)).status_code == 403
        assert (await http.delete(address, headers=headers)).status_code == 403
    for place in ("users", "clients", "roles", "events"):
        assert (await http.get(f"{admin}/{place}", headers=headers)).status_code == 403, place
