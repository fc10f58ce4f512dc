"""What is a salt and what is none, as Keycloak shows organization attributes."""

from __future__ import annotations

from typing import Any

import pytest

from admin_sync.keycloak.iam import organization
from vault_api.salts import SaltsMissing, salts_of

SALT = "A" * 42 + "E"


def test_the_salts_that_admin_sync_makes_are_read() -> None:
    made = organization._representation("acme", WANTED, {})["attributes"]
    salts = salts_of(made)
    assert (salts.current, list(salts.versions)) == (1, [1])
    assert len(salts.versions[1]) == 32
    assert repr(salts.versions[1])[2:-1] not in repr(salts)


WANTED: dict[str, Any] = {
    "display_name": "Acme", "enabled": True, "domains": ["acme.example"], "persona": "live-trading",
    "admins": ["admin@acme.example"], "managed_by": "admin-sync",
}  # fmt: skip


def test_every_version_is_read_and_what_is_no_version_is_not() -> None:
    salts = salts_of(
        {
            "vault.salt.1": [SALT], "vault.salt.12": [SALT], "vault.salt.current": ["12"], "vault.salt.0": [SALT],
            "vault.salt.01": [SALT], "vault.salt.x": [SALT], "vault.salt.4294967296": [SALT], "vault.salt.-1": [SALT],
            "vault.salt.3": [SALT, SALT], "vault.salt.4": SALT, "other": ["x"],
        }
    )  # fmt: skip
    assert (salts.current, sorted(salts.versions)) == (12, [1, 12])


ONE, CURRENT = {"vault.salt.1": [SALT]}, {"vault.salt.current": ["1"]}


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        ONE,
        CURRENT,
        {**ONE, "vault.salt.current": ["2"]},
        {**ONE, "vault.salt.current": ["one"]},
        {**ONE, "vault.salt.current": ["1", "1"]},
        {**CURRENT, "vault.salt.1": ["short"]},
        {**CURRENT, "vault.salt.1": [SALT + "="]},
        {**CURRENT, "vault.salt.1": [SALT[:-1] + "+"]},
        {**CURRENT, "vault.salt.1": [7]},
        {**CURRENT, **{f"vault.salt.{number}": [SALT] for number in range(1, 66)}},
    ],
)
def test_without_exactly_one_proper_current_salt_there_is_none(attributes: dict[str, Any]) -> None:
    with pytest.raises(SaltsMissing):
        salts_of(attributes)
