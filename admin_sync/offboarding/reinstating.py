"""The way back: accounts enabled, nobody barred. What was taken by an offboarding has to be asked for again."""

from __future__ import annotations

from collections.abc import Mapping

from admin_sync.bundle.release import PLACE, Turn, release, target
from admin_sync.desired.people import FIRST_ACTIONS
from admin_sync.errors import Misconfigured, Refused
from admin_sync.model import Json
from admin_sync.offboarding.case import Case
from admin_sync.repository import Repository, repository_settings
from admin_sync.roster import Roster
from admin_sync.trail import Trail


def reinstated(case: Case, roster: Roster | None, trail: Trail) -> Mapping[str, Json]:
    """Let a person in again; what was done. Safe to repeat.

    The file comes first and the accounts last: until OPA has the new bundle, a login opens nothing. Raises Refused for
    somebody who the roster says has left, KeycloakProblem, BundleError, Misconfigured and what the repository raises.
    """
    if roster is not None and not any(roster.employed(one, case.clock().date()) for one in case.addresses):
        raise Refused(f"not-employed: {case.email} is not employed by {roster.source}; a leaver comes back by HR first")
    place = target(case.settings)
    if place is None:
        raise Misconfigured(f"set {PLACE}")
    trail.offboarding("reinstated", case.email, case.author, case.reason)
    repository = Repository(repository_settings(case.settings.environ))
    with repository.change(case.author, f"Reinstate {case.email}", reason=case.reason) as change:
        for address in case.addresses:
            change.unbar(address)
    bundle = release(repository.document(), case.settings, place, Turn.PUBLISH, trail)
    enabled: list[Json] = []
    for environment in case.environments:
        for account in case.accounts(environment, again=True):
            path = f"{case.path(environment)}/users/{account.id}"
            if account.enabled:
                continue
            body: dict[str, Json] = {"enabled": True}
            if _local(case, environment) and not case.connection.get(f"{path}/credentials"):
                # Their credentials are gone, so they start as a new account does.
                body["requiredActions"] = list(FIRST_ACTIONS)
            case.connection.put(path, body)
            trail.revoked("reinstate", f"{environment}/account {account.username}", case.email)
            enabled.append({"environment": environment, "account": account.username})
    commit = change.committed.commit if change.committed is not None else None
    return {"person": case.email, "commit": commit, "revision": bundle["revision"], "enabled": enabled}


def _local(case: Case, environment: str) -> bool:
    return case.document.policies.people.get(environment) == "local"
