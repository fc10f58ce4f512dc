"""A client with a secret that somebody has to rotate is seen, counted, and never taken for one without."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from admin_sync_world import Configuration
from test_ownership import Realm

from admin_sync.desired import Facts, desire
from admin_sync.keycloak.iam.client import ClientAdapter
from admin_sync.measures.credentials import _counted, _numbers
from admin_sync.model import Current, index
from admin_sync.ownership import settle
from admin_sync.static_secrets import held


def client(name: str, authenticator: str | None, **changed: Any) -> dict[str, Any]:
    made = {"id": name, "clientId": name, "enabled": True, "clientAuthenticatorType": authenticator}
    return {**made, "serviceAccountsEnabled": True, **changed}


def current(*clients: dict[str, Any]) -> Current:
    found = ClientAdapter().read(Realm(clients=list(clients)))  # type: ignore[arg-type]
    return Current("tradepulse-dev", exists=True, resources=index(found))


SECRETS = (client("legacy", "client-secret"), client("vault-api", "client-secret-jwt"))
OTHERS = (
    client("page", "client-secret", publicClient=True),
    client("broker", "client-secret", bearerOnly=True),
    client("retired", "client-secret", enabled=False),
    client("ours", "client-jwt"),
    client("device", "client-x509"),
    client("ci", "federated-jwt"),
)


def test_whoever_can_authenticate_with_a_secret_is_named(configuration: Configuration) -> None:
    assert held(configuration.document(), current(*SECRETS, *OTHERS)) == ["legacy", "vault-api"]
    assert held(configuration.document(), current(*OTHERS)) == []


def reported(configuration: Configuration) -> list[str]:
    document = configuration.document()
    found = current(*SECRETS, *OTHERS)
    undeclared = settle(document, desire(document, "dev", found, Facts()), found)[2]
    assert not any(one.removed for one in undeclared)
    return [one.holder for one in undeclared if one.grant == "a static secret"]


def test_plan_and_drift_report_it_and_never_remove_it(configuration: Configuration) -> None:
    assert reported(configuration) == ["client legacy", "client vault-api"]


def test_an_exception_of_a_declared_client_holds_until_its_end(configuration: Configuration) -> None:
    end = datetime.now(UTC) + timedelta(hours=1)
    exception = f"{{client: vault-api, rotation: 30d, approved_by: a@tradepulse.example, expires: '{end.isoformat()}'}}"
    configuration.edit("policies.yaml", "exceptions: []", f"exceptions: [{exception}]")
    document = configuration.document()
    found = current(*SECRETS, *OTHERS)
    assert held(document, found) == ["legacy"]
    assert held(replace(document, now=end), found) == ["legacy", "vault-api"]


def test_a_grant_that_is_accepted_is_not_reported(configuration: Configuration) -> None:
    accepted = '{holder: client legacy, grant: a static secret, reason: "until it is gone"}'
    configuration.edit("policies.yaml", "\nenvironments:\n", f"\naccepted_grants: [{accepted}]\nenvironments:\n")
    assert reported(configuration) == ["client vault-api"]


def test_coverage_counts_what_acts_by_itself() -> None:
    page = client("people", "client-secret", serviceAccountsEnabled=False)
    numbers = _numbers(_counted(current(*SECRETS, *OTHERS, page)))
    assert numbers["service_accounts"] == 5
    assert (numbers["federated"], numbers["key"], numbers["static_secret"]) == (1, 2, 2)
    assert (numbers["federated_share"], numbers["secretless_share"]) == (0.2, 0.6)
    nothing = _numbers(_counted(current()))
    assert (nothing["service_accounts"], nothing["federated_share"]) == (0, None)
