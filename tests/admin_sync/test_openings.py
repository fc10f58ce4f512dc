"""Settings of a realm that let somebody in, and stand in no file, are told of and never taken away by us."""

from __future__ import annotations

from typing import Any

import pytest
from admin_sync_world import Configuration

from admin_sync.desired import Facts, desire
from admin_sync.diff import diff
from admin_sync.keycloak.iam.opening import openings
from admin_sync.keycloak.registry import ORDER
from admin_sync.model import MANAGED_ATTRIBUTE, MANAGED_BY, Current, Desired, Ref, Resource, index
from admin_sync.ownership import settle
from admin_sync.refs import PROVIDER

KEYS = "org.keycloak.keys.KeyProvider"
PEOPLE = "org.keycloak.storage.UserStorageProvider"
REGISTRATION = "org.keycloak.services.clientregistration.policy.ClientRegistrationPolicy"
CLOSED = {
    "name": "Trusted Hosts",
    "providerId": "trusted-hosts",
    "subType": "anonymous",
    "config": {"host-sending-registration-request-must-match": ["true"]},
}
USUAL = {
    KEYS: [{"name": "rsa-generated", "providerId": "rsa-generated"}],
    REGISTRATION: [CLOSED, {"name": "Max Clients Limit", "providerId": "max-clients", "subType": "anonymous"}],
    "org.keycloak.userprofile.UserProfileProvider": [{"providerId": "declarative-user-profile"}],
}


class Realm:
    """What a reader says of a realm that is as Keycloak makes it, but for what is given."""

    def __init__(self, representation: dict[str, Any] | None = None, **export: Any) -> None:
        self.representation = {"smtpServer": {}, "attributes": {"frontendUrl": ""}, **(representation or {})}
        self.export = {"components": USUAL, **export}


def found(of: Realm) -> set[str]:
    return {one.ref.name for one in openings(of)}  # type: ignore[arg-type]


def test_a_realm_as_keycloak_makes_it_has_none() -> None:
    ours = {"alias": "workforce", "config": {MANAGED_ATTRIBUTE: MANAGED_BY}}
    client = {"clientId": "app", "attributes": {MANAGED_ATTRIBUTE: MANAGED_BY}, "rootUrl": "", "adminUrl": None}
    stranger = {"clientId": "theirs", "rootUrl": "https://theirs.example"}
    assert found(Realm(identityProviders=[ours], clients=[client, stranger])) == set()


@pytest.mark.parametrize(
    ("components", "said"),
    [
        ({KEYS: [{"name": "mine", "providerId": "rsa"}]}, {"imported key mine (rsa)"}),
        ({KEYS: [{"name": "rsa-generated", "providerId": "java-keystore"}]},
         {"imported key rsa-generated (java-keystore)"}),
        ({PEOPLE: [{"name": "corp", "providerId": "ldap"}]}, {"user federation corp (ldap)"}),
        ({"some.other.Kind": [{"name": "x", "providerId": "y"}]}, {"component x (y)"}),
        ({REGISTRATION: []}, {"client registration from anywhere"}),
        ({REGISTRATION: [{**CLOSED, "subType": "authenticated"}]}, {"client registration from anywhere"}),
        ({REGISTRATION: [{**CLOSED, "config": {"host-sending-registration-request-must-match": ["false"]}}]},
         {"client registration from anywhere"}),
        ({REGISTRATION: [{**CLOSED, "config": {"trusted-hosts": ["10.0.0.9"]}}]},
         {"client registration from 10.0.0.9"}),
    ],
)  # fmt: skip
def test_a_component_that_lets_somebody_in_is_said(components: dict[str, Any], said: set[str]) -> None:
    assert found(Realm(components={**USUAL, **components})) == {f"the realm has {one}" for one in said}


def test_providers_mail_servers_and_addresses_are_said() -> None:
    client = {
        "clientId": "app",
        "attributes": {MANAGED_ATTRIBUTE: MANAGED_BY},
        "adminUrl": "https://elsewhere.example/k",
        "rootUrl": "https://elsewhere.example",
    }
    settings = {"smtpServer": {"host": "mail.example"}, "attributes": {"frontendUrl": "https://elsewhere.example"}}
    assert found(Realm(settings, identityProviders=[{"alias": "evil", "config": {}}], clients=[client])) == {
        "the realm has identity provider evil",
        "the realm has mail server mail.example:25",
        "the realm has address https://elsewhere.example",
        "client app has admin address https://elsewhere.example/k",
        "client app has root address https://elsewhere.example",
    }


def settled(configuration: Configuration, *extra: Resource) -> tuple[Desired, Current, set[tuple[str, bool]]]:
    document = configuration.document()
    nothing = Current("r", exists=False, resources=index(()))
    declared = [
        Resource(ref, one.attrs, one.secrets, server_id="i", managed=True)
        for ref, one in desire(document, "dev", nothing, Facts()).resources.items()
    ]
    current = Current("r", exists=True, resources=index([*declared, *extra]))
    desired, current, undeclared = settle(document, desire(document, "dev", current, Facts()), current)
    return desired, current, {(f"{one.holder} has {one.grant}", one.removed) for one in undeclared}


def test_openings_are_reported_and_stay_also_where_policy_removes_until_somebody_accepts_them(
    configuration: Configuration,
) -> None:
    configuration.edit("policies.yaml", "environments:\n  prod", "undeclared_grants: remove\nenvironments:\n  prod")
    extra = list(openings(Realm({"smtpServer": {"host": "mail.example", "port": "587"}})))  # type: ignore[arg-type]
    desired, current, undeclared = settled(configuration, *extra)
    assert undeclared == {("the realm has mail server mail.example:587", False)}
    assert diff(desired, current, ORDER).empty
    accepted = "accepted_grants: [{holder: the realm, grant: 'mail server mail.example:587', reason: Invitations}]"
    configuration.edit("policies.yaml", "undeclared_grants: remove", f"undeclared_grants: remove\n{accepted}")
    assert settled(configuration, *extra)[2] == set()


def test_a_provider_of_somebody_else_that_is_declared_is_no_opening(configuration: Configuration) -> None:
    listed = [{"alias": "workforce", "config": {}}, {"alias": "other", "config": {}}]
    extra = [
        *openings(Realm(identityProviders=listed)),  # type: ignore[arg-type]
        Resource(Ref(PROVIDER, "workforce"), {"config": {}}, server_id="w"),
    ]
    assert settled(configuration, *extra)[2] == {("the realm has identity provider other", False)}
