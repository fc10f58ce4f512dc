"""Realm after realm as declared: one that refuses or fails stops no other, and what it said is kept."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from admin_sync.errors import AdminSyncError, Refused
from admin_sync.guard import Allowances
from admin_sync.keycloak.connection import KeycloakProblem
from admin_sync.lock import LockHeld
from admin_sync.refs import BINDING
from admin_sync.sync import Session
from admin_sync.trail import Trail


class Outcome(StrEnum):
    """How one realm stands after a turn."""

    APPLIED = "applied"
    REFUSED = "refused"
    """A guard said no: a person has to look, and `admin-sync apply` with the option that it names is the way on."""
    BUSY = "busy"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Applied:
    """What came of one realm."""

    environment: str
    outcome: Outcome
    said: str = ""
    changes: int = 0
    seconds: float = 0.0
    pending: Mapping[str, str] = field(default_factory=dict)
    """Grants that wait, by the name of the binding, with the reason."""

    @property
    def well(self) -> bool:
        """Whether the realm is as declared now."""
        return self.outcome is Outcome.APPLIED


def apply_all(session: Session, environments: Sequence[str], trail: Trail, *, wait: float) -> list[Applied]:
    """Make some realms as the session's document declares them, each under its lock. Raises nothing of a realm's."""
    return [_applied(session, environment, trail, wait) for environment in environments]


def _applied(session: Session, environment: str, trail: Trail, wait: float) -> Applied:
    start = time.monotonic()
    try:
        with session.locked(environment, wait) as locked:
            planned = session.plan(environment)
            try:
                locked.apply(planned, Allowances(), trail)
            except Refused as problem:
                trail.refused(planned.plan, str(problem))
                raise
            waiting = {one.ref.name: one.reason for one in planned.desired.pending if one.ref.kind == BINDING}
            seconds = time.monotonic() - start
            return Applied(environment, Outcome.APPLIED, "", len(planned.plan.changes), seconds, waiting)
    except LockHeld as problem:
        return Applied(environment, Outcome.BUSY, str(problem), seconds=time.monotonic() - start)
    except Refused as problem:
        return Applied(environment, Outcome.REFUSED, str(problem), seconds=time.monotonic() - start)
    except (AdminSyncError, KeycloakProblem) as problem:
        return Applied(environment, Outcome.FAILED, str(problem), seconds=time.monotonic() - start)
