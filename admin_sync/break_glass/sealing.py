"""A new credential for an emergency account: made, kept, put in force, confirmed.

    make ─▶ vault keeps (pending) ─▶ Keycloak locks the account and takes it ─▶ vault confirms (sealed)

Killed anywhere, a second run begins anew: what is pending is given to nobody and gives way after a minute, the account
is disabled throughout, and the credential that only the killed process knew is replaced in the realm.
"""

from __future__ import annotations

from admin_sync.break_glass.credential import Credential
from admin_sync.break_glass.custody import Custody
from admin_sync.break_glass.realm import RealmAccount


def seal(account: RealmAccount, custody: Custody, environment: str, name: str) -> int:
    """Have the account locked and a new credential sealed; its version in custody.

    Nothing of the credential outlives this call but what the vault sealed. Raises CustodyUnavailable,
    KeycloakProblem.
    """
    credential = Credential.new(account.username)
    # Kept first: were Keycloak to take one that could then not be kept, nobody could ever open the account.
    version = custody.keep(environment, name, credential.sealable())
    account.take(credential)
    custody.confirm(environment, name, version)
    return version
