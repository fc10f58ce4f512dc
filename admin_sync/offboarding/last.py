"""The guard: somebody has to be left who can give access to others, in every environment."""

from __future__ import annotations

from collections.abc import Iterator

from admin_sync.desired import realm_name
from admin_sync.errors import Refused
from admin_sync.guard import GUARDIANS, guardians
from admin_sync.holdings import holdings, permissions_of
from admin_sync.keycloak.connection import KeycloakProblem, NotReachable
from admin_sync.offboarding.case import Case
from admin_sync.sync import Session


def refuse_the_last_one(case: Case, session: Session) -> None:
    """Raises Refused where nobody but this person can give access. Where a realm cannot be read the file speaks for it.

    Whoever was disabled by an earlier run is no administrator any more, so going on with that run is not refused.
    """
    reasons = list(_alone(case, session))
    if reasons:
        raise Refused("\n".join(reasons))


def _alone(case: Case, session: Session) -> Iterator[str]:
    theirs = set(case.addresses)
    away = False
    for environment in case.environments:
        try:
            if away:
                raise NotReachable("Keycloak did not answer for another realm")
            current = session.gateway(environment).read(realm_name(case.document, environment))
            able = {one.lower() for one in guardians(current.resources)} if current.exists else set()
        except KeycloakProblem as problem:
            away = isinstance(problem, NotReachable)
            able = _declared(case, environment)
        able = {one for one in able if not case.document.barred(one) or one in theirs}
        if able and able <= theirs:
            yield (
                f"last-administrator: nobody but {', '.join(sorted(able))} can give access in {environment}; "
                "give somebody else iam:modify or role:assign first, or give --allow-lockout"
            )


def _declared(case: Case, environment: str) -> set[str]:
    document = case.document
    return {
        person
        for person, held in holdings(document, environment, document.now).items()
        if any(name in GUARDIANS for one in held for name, _ in permissions_of(document, one.role))
    }
