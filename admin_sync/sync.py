"""The flow from configuration to realm: read, diff, guard, apply. Everything the commands share.

    document + facts ─ desire ─┐
    Keycloak ─ gateway.read ───┴─ diff ─▶ Planned ─ guard ─▶ lock ─▶ gateway.write ─▶ read again

After writing, the realm is read once more and compared: Keycloak accepts some changes and drops
them. A change that failed for a passing reason is tried again only after such a second look, so one
that took effect although its answer was lost is not made twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from threading import Lock as Mutex
from typing import Final

from admin_sync.desired import Facts, desire, realm_name
from admin_sync.desired.factors import undecided
from admin_sync.desired.facts import Secret
from admin_sync.diff import Change, Plan, diff
from admin_sync.errors import Interrupted, Refused
from admin_sync.guard import Allowances, Situation, guard
from admin_sync.impact import Effect, effects
from admin_sync.interrupt import Stop, stoppable
from admin_sync.keycloak.base.desired import base_resources
from admin_sync.keycloak.connection import Connection, KeycloakProblem, NotAllowed
from admin_sync.keycloak.gateway import Gateway, choose
from admin_sync.keycloak.problems import Refused as KeycloakRefused
from admin_sync.keycloak.registry import ORDER
from admin_sync.load.document import Document
from admin_sync.lock import Lock, hold
from admin_sync.model import Current, Desired, Resource
from admin_sync.ownership import Undeclared, settle
from admin_sync.settings import Settings
from admin_sync.trail import Trail

ATTEMPTS: Final = 6
"""How often the rest of a plan is tried when Keycloak fails for a while; with the pauses, about half a minute."""

_PAUSES: Final = (0.5, 1.0, 2.0, 5.0, 10.0)

_LONGEST_PAUSE: Final = 60.0
"""Seconds; a server that asks for a longer pause is not waited for."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One environment's plan with all that was known when it was made."""

    desired: Desired
    current: Current
    plan: Plan
    effects: Sequence[Effect]
    requests: int
    """Requests that reading the realm took."""
    seconds: float
    undeclared: Sequence[Undeclared] = ()


@dataclass(slots=True)
class Session:
    """One run against one Keycloak."""

    document: Document
    settings: Settings
    connection: Connection
    facts: Facts
    note: Callable[[str], None] = field(default=lambda text: None)
    """Where progress goes."""
    warn: Callable[[str], None] = field(default=lambda text: None)
    """Where a line goes that everybody has to see."""
    _gateways: dict[str, Gateway] = field(default_factory=dict, init=False, repr=False)

    def plan(self, environment: str) -> Planned:
        """What would change in the realm of an environment. Raises KeycloakProblem and InvalidInput."""
        start, before = time.monotonic(), self.connection.requests
        gateway, base = self.gateway(environment), self.base(environment)
        current = gateway.read(realm_name(self.document, environment))
        desired = desire(self.document, environment, current, self.facts, base)
        if found := gateway.second_factors(current.realm, undecided(desired, current)):
            current = replace(current, second_factors=found)
            desired = desire(self.document, environment, current, self.facts, base)
        desired, current, undeclared = settle(self.document, desired, current)
        plan = diff(desired, current, ORDER)
        taken = self.connection.requests - before
        changed = [] if plan.empty else effects(desired, current, self.document)
        return Planned(desired, current, plan, changed, taken, time.monotonic() - start, undeclared)

    def gateway(self, environment: str) -> Gateway:
        """The way to the realm of an environment, chosen once. Raises Misconfigured and KeycloakProblem."""
        realm = realm_name(self.document, environment)
        if realm not in self._gateways:
            self._gateways[realm] = choose(
                self.connection,
                realm,
                self.settings.gateway,
                self.settings.parallelism,
                home=self.settings.realm,
                note=self.note,
            )
        return self._gateways[realm]

    def base(self, environment: str) -> list[Resource]:
        """The base realm of an environment; nothing where the realm has one of its own."""
        if self.document.roles.environments[environment].base == "theirs":
            return []
        realm = self.document.roles.realm
        variables = {
            **self.document.environ,
            "TRADEPULSE_OAUTH2_AUDIENCE": realm.audience,
            "REALM_DISPLAY_NAME": realm.display_name,
        }
        return base_resources(self.settings.realm_dir, realm_name(self.document, environment), environment, variables)

    def situation(self, planned: Planned, allowed: Allowances) -> Situation:
        """A plan as guards look at it."""
        return Situation(self.document, planned.desired, planned.current, planned.plan, allowed)

    def locked(self, environment: str, wait: float) -> Locked:
        """The right to change the realm of an environment, for a `with` block."""
        return Locked(self, environment, wait)


class Locked:
    """Holds the realm's lock; plans made inside it stay true until they are applied, as far as we are concerned."""

    def __init__(self, session: Session, environment: str, wait: float) -> None:
        self._session = session
        realm = realm_name(session.document, environment)
        self._hold = hold(session.connection, session.settings.realm, realm, wait=wait)
        self._environment = environment
        self._lock: Lock | None = None

    def __enter__(self) -> Locked:
        self._lock = self._hold.__enter__()
        return self

    def __exit__(self, *problem: object) -> None:
        self._hold.__exit__(*problem)  # type: ignore[arg-type]

    def apply(self, planned: Planned, allowed: Allowances, trail: Trail) -> Planned:
        """Carry a plan out; the plan that is left afterwards, which is empty.

        Raises Refused when a guard says no, Interrupted when not everything could be done, NotAllowed
        when Keycloak withdrew its permission.
        """
        session = self._session
        guard(session.situation(planned, allowed))
        if planned.plan.empty:
            return planned
        with stoppable(session.warn) as stop:
            progress = _Progress(planned.plan, trail, session.note, self._lock, stop)
            return self._carry_out(planned, allowed, progress, trail, stop)

    def _carry_out(
        self, planned: Planned, allowed: Allowances, progress: _Progress, trail: Trail, stop: Stop
    ) -> Planned:
        session = self._session
        trail.started(planned.plan)
        left = planned
        reason: Exception | None = None
        for attempt in range(ATTEMPTS):
            try:
                if attempt:
                    asked = getattr(reason, "retry_after", None) or 0.0
                    stop.pause(max(_PAUSES[min(attempt, len(_PAUSES)) - 1], min(asked, _LONGEST_PAUSE)))
                if self._lock is not None:
                    self._lock.check()
                reason = self._write(left, progress)
                if isinstance(reason, KeycloakRefused) and reason.vetoed:
                    trail.finished(planned.plan, progress.done, str(reason))
                    raise Refused(f"segregation-of-duties: {reason}; {progress}")
                left = session.plan(self._environment)
            except NotAllowed as problem:
                trail.finished(planned.plan, progress.done, str(problem))
                raise NotAllowed(f"{problem}; {progress}") from problem
            except Interrupted as problem:
                # The audit log may be what failed; then its own last line has to do.
                with suppress(Interrupted):
                    trail.finished(planned.plan, progress.done, str(problem))
                raise Interrupted(f"{problem}; {progress}") from problem
            except KeycloakProblem as problem:
                reason = problem
                continue
            if left.plan.empty:
                trail.finished(planned.plan, progress.done, None)
                return left
            ours = _only(left.plan, planned.plan.changes)
            if ours.empty:
                reason = Interrupted(f"somebody else changed the realm meanwhile: {_names(left.plan)}")
                break
            if reason is None and attempt:
                reason = Interrupted(f"Keycloak took these changes and did not keep them: {_names(ours)}")
                break
            left = replace(left, plan=ours)
            try:
                # What the guards saw is not what is there now: somebody may have taken a name meanwhile.
                guard(session.situation(left, allowed))
            except Refused as refused:
                reason = refused
                break
        trail.finished(planned.plan, progress.done, str(reason))
        raise Interrupted(f"{reason}; {progress}")

    def _write(self, left: Planned, progress: _Progress) -> Exception | None:
        session = self._session
        ids = {ref: one.server_id for ref, one in left.current.resources.items() if one.server_id}
        gateway = session.gateway(self._environment)
        try:
            gateway.write(left.plan.changes, left.plan.realm, ids, self._secret, progress.observe)
        except NotAllowed:
            raise
        except (KeycloakProblem, LookupError) as problem:
            return problem
        return None

    def _secret(self, alias: str) -> str | None:
        found = self._session.facts.secrets.get(alias)
        return found.value if isinstance(found, Secret) else None


class _Progress:
    """Counts what was done, once for each object, and writes each into the audit trail."""

    def __init__(self, plan: Plan, trail: Trail, note: Callable[[str], None], lock: Lock | None, stop: Stop) -> None:
        self._plan = plan
        self._trail = trail
        self._note = note
        self._lock = lock
        self._stop = stop
        self._done: set[object] = set()
        self._mutex = Mutex()

    @property
    def done(self) -> int:
        return len(self._done)

    def observe(self, change: Change, problem: Exception | None) -> None:
        self._trail.changed(self._plan, change, problem)
        with self._mutex:
            if problem is None:
                self._done.add(change.ref)
            self._note(f"{self._plan.realm}: {self.done} of {len(self._plan.changes)}")
        if self._lock is not None:
            self._lock.check()
        self._stop.check()

    def __str__(self) -> str:
        return f"applied {self.done} of {len(self._plan.changes)} changes to {self._plan.realm}, a re-run is safe"


def _names(plan: Plan) -> str:
    """The first few objects of a plan, with what differs of them."""
    shown = [
        f"{change.ref} ({', '.join(difference.path for difference in change.differences[:3])})"
        for change in plan.changes[:3]
    ]
    return "; ".join(shown) + (f" and {len(plan.changes) - 3} more" if len(plan.changes) > 3 else "")


def _only(plan: Plan, approved: Iterable[Change]) -> Plan:
    """The changes of a plan that were approved in an earlier one: the same thing done to the same object."""
    known = {(change.action, change.ref) for change in approved}
    # A creation that was cut off half-way is finished as an update of the same object.
    known |= {(type(change.action).UPDATE, change.ref) for change in approved}
    return replace(plan, changes=tuple(change for change in plan.changes if (change.action, change.ref) in known))
