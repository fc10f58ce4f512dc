"""What the configuration says of the session broker: whose tokens it redeems, for what, and where logouts are told."""

from __future__ import annotations

import json

import pytest
from admin_sync_world import Configuration

from admin_sync.desired.clients import EXCHANGE_AUDIENCES
from admin_sync.errors import InvalidInput
from admin_sync.load.document import ROLES
from admin_sync.model import Ref
from admin_sync.refs import CLIENT, PROVIDER, service_binding
from tests.admin_sync.test_desired import wanted

BROKER = "    platform_roles: [session-guard]"


def test_it_redeems_tokens_that_were_made_for_our_client_and_for_no_other(configuration: Configuration) -> None:
    attributes = wanted(configuration).resources[Ref(CLIENT, "session-broker")].attrs["attributes"]
    assert json.loads(attributes["oauth2.jwt.authorization.grant.audience"]) == [
        {"key": "mock", "value": "tradepulse"},
        {"key": "workforce", "value": "tradepulse"},
    ]
    assert attributes[EXCHANGE_AUDIENCES] is None
    configuration.edit(
        ROLES,
        "    client_secret: {env: WORKFORCE_CLIENT_SECRET}",
        "    client_secret: {env: WORKFORCE_CLIENT_SECRET}\n    token_audiences: ['api://two', 'api://one']",
    )
    attributes = wanted(configuration).resources[Ref(CLIENT, "session-broker")].attrs["attributes"]
    listed = json.loads(attributes["oauth2.jwt.authorization.grant.audience"])
    assert [pair["value"] for pair in listed if pair["key"] == "workforce"] == ["api://one", "api://two"]


def test_an_audience_of_a_service_is_a_client_that_can_do_nothing(configuration: Configuration) -> None:
    configuration.edit(ROLES, BROKER, f"    exchange_audiences: [reports]\n{BROKER}")
    resources = wanted(configuration).resources
    stand_in = resources[Ref(CLIENT, "reports")].attrs
    assert not any(stand_in[flow] for flow in ("standard_flow", "implicit_flow", "password_grant", "service_account"))
    assert stand_in["authenticator"] == "client-jwt"
    assert resources[Ref(CLIENT, "session-broker")].attrs["attributes"][EXCHANGE_AUDIENCES] == "reports"


def test_it_holds_one_role_of_the_platform_and_providers_let_it_redeem_a_token_again(
    configuration: Configuration,
) -> None:
    resources = wanted(configuration).resources
    assert service_binding("session-broker", "session-guard") in resources
    config = resources[Ref(PROVIDER, "workforce")].attrs["config"]
    assert config["jwtAuthorizationGrantAssertionReuseAllowed"] == "true"


def test_logouts_are_told_over_https_alone_where_people_are_federated(configuration: Configuration) -> None:
    name = "backchannel.logout.url"
    here = wanted(configuration).resources[Ref(CLIENT, "tradepulse-cli")].attrs["attributes"]
    assert here[name] == "http://localhost:8300/backchannel-logout"
    prod = wanted(configuration, "prod")
    assert prod.resources[Ref(CLIENT, "tradepulse-cli")].attrs["attributes"][name] is None
    assert any("backchannel-logout is plain http" in warning for warning in prod.warnings)


MISTAKES = {
    "an audience without the flow": (
        "flows: [token_exchange, jwt_grant,",
        "exchange_audiences: [a]\n    flows: [",
        "flow",
    ),
    "a role without the flow": ("jwt_grant, client_credentials]", "jwt_grant]", "flow"),
    "an unknown role": ("[session-guard]", "[session-gard]", "unknown-role"),
    "a plain logout address": ("${SESSION_BROKER_URL:-http://localhost:8300}", "http://broker.example", "url"),
    "both sides of a conflict": ("[session-guard]", "[quant, trader]", "segregation-of-duties"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_found(configuration: Configuration, case: str) -> None:
    before, after, code = MISTAKES[case]
    configuration.edit(ROLES, before, after)
    with pytest.raises(InvalidInput) as refused:
        configuration.document()
    assert code in {finding.code for finding in refused.value.findings}
