"""A run: ask, read, compare, append, verify, sign, remember. A re-run is safe at any point.

The order of the first three steps is what makes it exact (see the package); a second run finds what the
first appended by its id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from admin_sync.audit_reconcile.checkpoints import Signed, sign
from admin_sync.audit_reconcile.compare import Findings, compare
from admin_sync.audit_reconcile.lines import Name, line
from admin_sync.audit_reconcile.progress import alone
from admin_sync.audit_reconcile.stored import Kept, Stored, kept, stored
from admin_sync.audit_reconcile.written import Lines, announced, audit_files, lines_of, stamp
from admin_sync.errors import Interrupted
from admin_sync.keycloak.connection import Connection, KeycloakProblem, segment
from admin_sync.model import Json
from admin_sync.settings import Settings
from admin_sync.trail import FILE, audit_log, checkpoint_key
from identity.audit.event import AuditEvent
from identity.audit.log import AuditLog, AuditUnavailable

OVERLAP: Final = 15 * 60_000
"""Milliseconds that a run looks back behind the last: an event has its time from when it happened, and is seen once
its transaction commits, for which Keycloak gives it five minutes at most."""

SOURCE: Final = "reconcile"
"""The source of the lines that a run writes."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run is to look at. Times in milliseconds since 1970.

    `settle` is how old an event has to be at least, for lines on their way from where no write-ahead file can be read.
    """

    realms: Sequence[str]
    since: int | None
    settle: int
    others: Sequence[Path]
    dry_run: bool


@dataclass(frozen=True, slots=True)
class _Found:
    """What Keycloak has of one realm in the time asked for."""

    realm: str
    since: int
    until: int
    kept: Kept
    events: list[Stored]


@dataclass(frozen=True, slots=True)
class Reconciled:
    """One realm. `since` and `until` (milliseconds since 1970) bound the events that were looked at."""

    realm: str
    since: int
    until: int
    kept: Kept
    findings: Findings
    appended: int

    @property
    def complete(self) -> bool:
        """Whether every stored event now has one line, or will have by Keycloak's own write-ahead file."""
        findings = self.findings
        stores = self.kept.user and self.kept.admin
        return stores and not findings.doubled and self.appended == len(findings.missing)

    def json(self) -> dict[str, Json]:
        """For machines."""
        return {
            "realm": self.realm,
            "since": stamp(self.since),
            "until": stamp(self.until),
            "events_stored": self.kept.user,
            "admin_events_stored": self.kept.admin,
            "stored": self.findings.stored,
            "written": self.findings.written,
            "pending": self.findings.pending,
            "missing": [{"id": one.id, "kind": one.kind, "time": stamp(one.time)} for one in self.findings.missing],
            "appended": self.appended,
            "doubled": list(self.findings.doubled),
            "complete": self.complete,
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """All realms, and the audit file after it; `chains` is None where nothing was to be written."""

    file: Path
    realms: tuple[Reconciled, ...]
    chains: Signed | None

    @property
    def ok(self) -> bool:
        """Whether nothing is lost, nothing is doubled and the chains hold."""
        return all(one.complete for one in self.realms) and (self.chains is None or self.chains.ok)

    @property
    def missing(self) -> int:
        """How many events had no line when the run began."""
        return sum(len(one.findings.missing) for one in self.realms)


def reconcile(connection: Connection, settings: Settings, asked: Asked, note: Callable[[str], None]) -> Outcome:
    """Reconcile the realms with the audit file. Raises KeycloakProblem, LockHeld, Interrupted and OSError."""
    audit = settings.audit_dir / FILE
    with alone(audit) as progress:
        done = progress.read()
        until = round(connection.time() * 1000) - asked.settle
        begins = {realm: _begin(asked.since, done.get(realm), until) for realm in asked.realms}
        found: list[_Found] = []
        for realm, since in begins.items():
            note(f"{realm}: asking Keycloak for its events")
            keeps = kept(connection, realm)
            found.append(
                _Found(
                    realm, since, until, keeps, _events(connection, realm, since, until if asked.settle else None, note)
                )
            )
        pending = announced(audit)
        note(f"reading {audit.name}")
        lines = lines_of(audit_files(audit, asked.others), min(begins.values(), default=0))
        compared = [_compared(one, lines, pending) for one in found]
        if asked.dry_run:
            return Outcome(audit, tuple(compared), None)
        with audit_log(settings, SOURCE) as log:
            realms = tuple(_appended(connection, settings, log, one) for one in compared)
        note("verifying the chains")
        outcome = Outcome(audit, realms, sign(audit, checkpoint_key(settings)))
        progress.write(reached(done, begins, outcome.realms))
    return outcome


def _begin(since: int | None, done: int | None, until: int) -> int:
    if since is not None:
        return since
    return 0 if done is None else max(0, min(done, until) - OVERLAP)


def _events(
    connection: Connection, realm: str, since: int, until: int | None, note: Callable[[str], None]
) -> list[Stored]:
    events: list[Stored] = []
    for kind in ("user", "admin"):
        for event in stored(connection, realm, kind, since, until):
            events.append(event)
            if len(events) % 1000 == 0:
                note(f"{realm}: {len(events)} events")
    return events


def _compared(found: _Found, lines: Lines, pending: set[str]) -> Reconciled:
    # Lines from before ids were recorded cannot be told apart, so nothing is said about their time.
    begin = max(found.since, lines.unidentified_until + 1) if lines.unidentified_until else found.since
    findings = compare((event for event in found.events if event.time >= begin), lines.ids, pending)
    return Reconciled(found.realm, begin, found.until, found.kept, findings, 0)


def _appended(connection: Connection, settings: Settings, log: AuditLog, one: Reconciled) -> Reconciled:
    name = _names(connection, one.realm, settings.realm)
    for event in one.findings.missing:
        _append(log, line(event, one.realm, name))
    result = replace(one, appended=len(one.findings.missing))
    _append(log, _summary(result))
    return result


def _summary(result: Reconciled) -> AuditEvent:
    """The line that says what was found; whoever alerts looks for a failure of this event."""
    findings = result.findings
    reasons = (
        ("events_not_stored", not (result.kept.user and result.kept.admin)),
        ("lines_doubled", bool(findings.doubled)),
        ("lines_missing", bool(findings.missing)),
    )
    counts = f"{findings.stored} stored, {len(findings.missing)} missing, {len(findings.doubled)} doubled"
    reason = ",".join(code for code, holds in reasons if holds)
    return AuditEvent(
        event="audit.reconciled",
        outcome="failure" if reason else "success",
        actor="admin-sync",
        action="reconcile",
        resource=f"{result.realm} ({counts}, {stamp(result.since)} to {stamp(result.until)})",
        reason=reason or None,
    )


def _append(log: AuditLog, event: AuditEvent) -> None:
    try:
        log.append_sync(event)
    except AuditUnavailable as problem:
        raise Interrupted(
            f"the audit log cannot be written ({problem}); a re-run goes on where this ended"
        ) from problem


def _names(connection: Connection, realm: str, home: str) -> Name:
    """Who a user id is, asked once each; of the realm itself, or of the one that administrators log in to."""
    known: dict[str, str] = {}

    def name(identity: str) -> str:
        if identity not in known:
            known[identity] = _name(connection, (realm, home), identity)
        return known[identity]

    return name


def _name(connection: Connection, realms: Iterable[str], identity: str) -> str:
    for realm in realms:
        try:
            user = connection.get(f"/{segment(realm)}/users/{segment(identity)}")
        except KeycloakProblem:
            # The line matters more than the name, and has the id.
            continue
        if user:
            prefix = "service-account-"
            username = str(user.get("username") or identity)
            service = username.removeprefix(prefix) if username.startswith(prefix) and not user.get("email") else None
            return str(service or user.get("email") or identity)
    return identity


def reached(done: Mapping[str, int], begins: Mapping[str, int], realms: Iterable[Reconciled]) -> dict[str, int]:
    """Up to when each realm is reconciled now. `done` is what held before, `begins` where the run began.

    A run that began later than the last one ended (`--since`) leaves a gap that nobody looked into, so it moves
    nothing; and what only a write-ahead file still answers for is looked for again, in case that file is lost.
    """
    found = dict(done)
    for one in realms:
        before, waits = found.get(one.realm, 0), one.findings.oldest_pending
        if begins[one.realm] <= before:
            found[one.realm] = max(before, one.until) if waits is None else min(one.until, waits)
    return found
