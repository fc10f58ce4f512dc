"""What is switched off in every realm, read from the running server: factors, grants, registration, secrets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

if TYPE_CHECKING:
    from tests.conftest import Stack

pytestmark = pytest.mark.integration

ENVIRONMENTS: Final = ("dev", "staging", "prod")

STEPS: Final = {
    # What proves somebody.
    *("auth-cookie", "auth-username-password-form", "webauthn-authenticator", "webauthn-authenticator-passwordless"),
    *("auth-otp-form", "auth-recovery-authn-code-form", "identity-provider-redirector"),
    # What decides which of them are asked for, and notes it.
    *("conditional-level-of-authentication", "conditional-user-configured", "conditional-credential"),
    "conditional-sub-flow-executed",
    *("allow-access-authenticator", "deny-access-authenticator", "reset-password"),
    # The first login of a provider's account.
    *("idp-create-user-if-unique", "idp-confirm-link", "idp-username-password-form"),
}
"""Keycloak's steps that a flow in use may have. Ours begin with `tradepulse-`."""

USED: Final = ("browserFlow", "resetCredentialsFlow", "firstBrokerLoginFlow")

FORBIDDEN_ACTIONS: Final = {"UPDATE_EMAIL", "VERIFY_EMAIL", "delete_account", "UPDATE_PHONE_NUMBER"}

GRANTS: Final = {
    *("authorization_code", "refresh_token", "client_credentials"),
    "urn:ietf:params:oauth:grant-type:device_code",
    "urn:ietf:params:oauth:grant-type:token-exchange",
    "urn:ietf:params:oauth:grant-type:jwt-bearer",
}


@pytest.fixture(params=ENVIRONMENTS)
def path(request: pytest.FixtureRequest) -> str:
    return f"/tradepulse-{request.param}"


def steps(stack: Stack, path: str, flow: str) -> Iterator[str]:
    for execution in stack.admin.get(f"{path}/authentication/flows/{flow.replace(' ', '%20')}/executions"):
        if execution["requirement"] != "DISABLED" and "providerId" in execution:
            yield execution["providerId"]


def test_no_flow_in_use_takes_a_factor_that_the_policy_forbids(stack: Stack, path: str) -> None:
    realm = stack.admin.get(path)
    providers = stack.admin.get(f"{path}/identity-provider/instances")
    flows = {realm[use] for use in USED} | {provider.get("postBrokerLoginFlowAlias") for provider in providers}
    flows |= {provider.get("firstBrokerLoginFlowAlias") for provider in providers}
    found = {step for flow in flows - {None, ""} for step in steps(stack, path, flow)}
    assert len(found) > len(STEPS) // 2
    assert {step for step in found if not step.startswith("tradepulse-")} <= STEPS


def test_no_client_has_a_flow_of_its_own(stack: Stack, path: str) -> None:
    assert not [one["clientId"] for one in clients(stack, path) if one.get("authenticationFlowBindingOverrides")]


def test_no_action_makes_a_mailbox_or_a_telephone_a_factor(stack: Stack, path: str) -> None:
    actions = {one["alias"]: one["enabled"] for one in stack.admin.get(f"{path}/authentication/required-actions")}
    assert not {alias for alias, enabled in actions.items() if enabled} & FORBIDDEN_ACTIONS


def clients(stack: Stack, path: str) -> list[dict[str, Any]]:
    return list(stack.admin.pages(f"{path}/clients"))


def test_no_client_takes_a_password_or_answers_in_a_fragment(stack: Stack, path: str) -> None:
    found = clients(stack, path)
    assert len(found) > 8
    assert not [one["clientId"] for one in found if one["directAccessGrantsEnabled"] or one["implicitFlowEnabled"]]


def test_no_client_that_is_on_can_log_in_with_a_secret_or_everybodys_roles(stack: Stack, path: str) -> None:
    on = [one for one in clients(stack, path) if one["enabled"] and not one["bearerOnly"]]
    assert {one["clientId"] for one in on} >= {"tradepulse", "tradepulse-cli"}
    assert {one["clientAuthenticatorType"] for one in on if not one["publicClient"]} <= {"client-jwt", "federated-jwt"}
    assert not [one["clientId"] for one in on if one["fullScopeAllowed"]]


def test_the_clients_that_keycloak_brings_along_are_closed(stack: Stack, path: str) -> None:
    closed = {"account", "account-console", "admin-cli", "security-admin-console"}
    found = {one["clientId"]: one["enabled"] for one in clients(stack, path) if one["clientId"] in closed}
    assert found == dict.fromkeys(closed, False)


def test_the_server_offers_no_grant_that_nobody_should_use(stack: Stack) -> None:
    offered = httpx.get(f"{stack.env['TRADEPULSE_ISSUER']}/.well-known/openid-configuration", timeout=20).json()
    # The document says what the server could do for some client; the policies refuse the first two to every client.
    assert set(offered["grant_types_supported"]) - {"password", "implicit"} <= GRANTS | {
        "urn:openid:params:grant-type:ciba",
        "urn:ietf:params:oauth:grant-type:uma-ticket",
    }


@pytest.mark.parametrize("how", ["anonymously", "with an initial access token"])
def test_no_client_registers_itself(stack: Stack, how: str) -> None:
    path, issuer = "/tradepulse-dev", stack.env["TRADEPULSE_ISSUER"]
    headers = {}
    if how != "anonymously":
        token = stack.admin.query(f"{path}/clients-initial-access", expiration=60, count=1)["token"]
        headers["Authorization"] = f"Bearer {token}"
    body = {"redirect_uris": ["https://app.example/callback"], "client_name": "uninvited"}
    response = httpx.post(f"{issuer}/clients-registrations/openid-connect", json=body, headers=headers, timeout=20)
    assert response.status_code in (400, 401, 403)
    assert "client_id" not in response.json()


def test_events_are_kept_by_every_realm(stack: Stack, path: str) -> None:
    kept = stack.admin.get(f"{path}/events/config")
    assert kept["eventsEnabled"]
    assert kept["adminEventsEnabled"]
    assert {"LOGIN", "LOGIN_ERROR", "REFRESH_TOKEN_ERROR", "UPDATE_CREDENTIAL"} <= set(kept["enabledEventTypes"])


def test_guessing_is_slowed_down_and_refresh_tokens_work_once_in_every_realm(stack: Stack, path: str) -> None:
    realm = stack.admin.get(path)
    assert realm["bruteForceProtected"]
    assert 0 < realm["failureFactor"] <= 10
    assert 0 < realm["maxSecondaryAuthFailures"] <= 10
    assert (realm["revokeRefreshToken"], realm["refreshTokenMaxReuse"]) == (True, 0)
