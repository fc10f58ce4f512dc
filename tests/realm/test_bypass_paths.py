"""In every live realm, an emergency code is asked for in two places, behind the first factor, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from admin_sync.keycloak.connection import segment

if TYPE_CHECKING:
    from tests.conftest import Stack

pytestmark = pytest.mark.integration

STEP, LEVEL = "tradepulse-mfa-bypass", "conditional-level-of-authentication"
BOUND = ("browserFlow", "registrationFlow", "directGrantFlow", "resetCredentialsFlow", "firstBrokerLoginFlow")
SKIPPING = {"auth-conditional-otp-form", "idp-auto-link", "auth-spnego", "direct-grant-validate-password"}
"""Steps of Keycloak's that let somebody in by a setting, a header or a password alone."""


def reachable(stack: Stack, realm: str) -> dict[str, list[dict[str, Any]]]:
    """The executions of every flow of ours and of any other by which anybody logs in, inner flows included."""
    told = stack.admin.get(f"/{realm}")
    providers = stack.admin.get(f"/{realm}/identity-provider/instances") or []
    listed = stack.admin.get(f"/{realm}/authentication/flows")
    aliases = {one["alias"] for one in listed if one["topLevel"] and not one["builtIn"]}
    # No client may use the flow of the password grant, which the test below looks at.
    aliases |= {told[name] for name in BOUND} - {told["directGrantFlow"]}
    for provider in providers:
        aliases |= {provider.get("postBrokerLoginFlowAlias"), provider.get("firstBrokerLoginFlowAlias")}
    return {
        alias: stack.admin.get(f"/{realm}/authentication/flows/{segment(alias)}/executions")
        for alias in aliases
        if alias
    }


@pytest.mark.parametrize("realm", ["tradepulse-dev", "tradepulse-staging", "tradepulse-prod"])
def test_a_code_is_asked_for_beside_the_second_factors_only(stack: Stack, realm: str) -> None:
    flows = reachable(stack, realm)
    places = set()
    for alias, executions in flows.items():
        for place, execution in enumerate(executions):
            if execution.get("providerId") != STEP:
                continue
            assert execution["requirement"] == "ALTERNATIVE"
            # What stands before it at the same depth is of the same sub-flow, up to the sub-flow itself.
            depth = execution["level"]
            before = []
            for other in reversed(executions[:place]):
                if other["level"] < depth:
                    places.add((alias, other["displayName"], other["requirement"]))
                    break
                if other["level"] == depth:
                    before.append(other)
            assert LEVEL in {one.get("providerId") for one in before}
            configured = {
                one["providerId"]: one["authenticationConfig"] for one in before if one.get("authenticationConfig")
            }
            level = stack.admin.get(f"/{realm}/authentication/config/{configured[LEVEL]}")["config"]
            assert level["loa-condition-level"] == "2"
    assert places == {
        ("tradepulse browser", "tradepulse aal2", "CONDITIONAL"),
        ("tradepulse post broker", "tradepulse broker aal2", "CONDITIONAL"),
    }


@pytest.mark.parametrize("realm", ["tradepulse-dev", "tradepulse-staging", "tradepulse-prod"])
def test_nothing_else_lets_anybody_past_the_second_factor(stack: Stack, realm: str) -> None:
    used = {
        one.get("providerId")
        for executions in reachable(stack, realm).values()
        for one in executions
        if one["requirement"] != "DISABLED"
    }
    assert not used & SKIPPING
    clients = list(stack.admin.pages(f"/{realm}/clients"))
    assert clients
    for client in clients:
        assert not any((client.get("authenticationFlowBindingOverrides") or {}).values()), client["clientId"]
        if client["attributes"].get("tradepulse.managed") == "admin-sync":
            assert not client["directAccessGrantsEnabled"], client["clientId"]
