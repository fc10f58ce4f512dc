"""A person can be given a client's own role: declared by `client/role`, checked, planned, and seen on the server."""

from __future__ import annotations

import pytest
from admin_sync_world import Configuration

from admin_sync.desired import Facts, desire
from admin_sync.errors import InvalidInput
from admin_sync.holdings import holdings
from admin_sync.model import Current, Desired, index
from admin_sync.policy import policy_source
from admin_sync.refs import client_role_binding

GRANT = """bindings:
  - subject: {user: Operator.One@tradepulse.example}
    client_role: vault-api/operator
    environments: [dev]
"""
REF = client_role_binding("operator.one@tradepulse.example", "vault-api", "operator")


@pytest.fixture
def granted(configuration: Configuration) -> Configuration:
    configuration.edit("role_bindings.yaml", "bindings:\n", GRANT)
    return configuration


def wanted(configuration: Configuration) -> Desired:
    return desire(configuration.document(), "dev", Current("tradepulse-dev", False, index(())), Facts())


def test_a_declared_client_role_is_a_binding_of_the_person(granted: Configuration) -> None:
    attrs = {"user": "operator.one@tradepulse.example", "owner": "vault-api", "role": "operator"}
    assert wanted(granted).resources[REF].attrs == attrs


def test_a_client_role_gives_nothing_on_the_platform(granted: Configuration) -> None:
    document = granted.document()
    assert "operator.one@tradepulse.example" not in holdings(document, "dev", document.now)
    assert not [one for one in policy_source(document).grants if one.email.startswith("operator")]


def test_a_public_client_may_bring_roles(configuration: Configuration) -> None:
    configuration.edit(
        "roles.yaml",
        "[authorization_code, device]\n",
        "[authorization_code, device]\n    roles: {x: {description: X}}\n",
    )
    configuration.edit("role_bindings.yaml", "bindings:\n", GRANT.replace("vault-api/operator", "tradepulse-cli/x"))
    assert (
        client_role_binding("operator.one@tradepulse.example", "tradepulse-cli", "x") in wanted(configuration).resources
    )


def test_a_client_that_is_not_in_the_environment_lets_its_grants_wait(granted: Configuration) -> None:
    granted.edit("roles.yaml", "  vault-api:\n", "  vault-api:\n    environments: [prod]\n")
    desired = wanted(granted)
    assert REF not in desired.resources
    assert [one.reason for one in desired.pending if one.ref == REF] == ["client vault-api is not in dev"]


@pytest.mark.parametrize(
    ("grant", "code"),
    [
        ("client_role: vault-api/operater", "unknown-client-role"),
        ("client_role: vault-api", "name"),
        ("client_role: vault-api/operator\n    role: viewer", "binding"),
    ],
)
def test_a_client_role_that_leads_nowhere_is_refused_at_its_place(
    configuration: Configuration, grant: str, code: str
) -> None:
    configuration.edit("role_bindings.yaml", "bindings:\n", GRANT.replace("client_role: vault-api/operator", grant))
    with pytest.raises(InvalidInput) as caught:
        configuration.document()
    assert [(one.file, one.code) for one in caught.value.findings] == [("role_bindings.yaml", code)]


def test_the_same_client_role_given_twice_is_refused(granted: Configuration) -> None:
    granted.edit("role_bindings.yaml", "bindings:\n", GRANT)
    with pytest.raises(InvalidInput) as caught:
        granted.document()
    assert {one.code for one in caught.value.findings} == {"duplicate-binding"}
