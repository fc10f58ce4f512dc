"""One turn: from what is approved, committed and ended to realms, bundle, file and status.

    1 grants      approved requests become commits
    2 document    the configuration in the head, checked
    3 realms      plan, guard, apply: those that are behind, or all where everything is to be looked at
    4 ends        what ended and has left Keycloak leaves the file
    5 bundle      published, and served by OPA
    6 status      requests whose grant is in force everywhere are fulfilled

Killed between any two, the next turn finds by the head, the realms and the trailers of commits what was done.
A step that fails leaves its own work for the next turn and does not keep the others from theirs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from admin_sync.bundle.errors import BundleError
from admin_sync.bundle.release import Turn as Bundling
from admin_sync.bundle.release import release, target
from admin_sync.desired import realm_name
from admin_sync.desired.facts import gather
from admin_sync.errors import AdminSyncError, InvalidInput, Refused
from admin_sync.keycloak.connection import Connection, KeycloakProblem
from admin_sync.load.document import Document
from admin_sync.reconciler import granting
from admin_sync.reconciler.applying import apply_all
from admin_sync.reconciler.duties import Hand
from admin_sync.reconciler.ending import clear, ended, next_end
from admin_sync.reconciler.fulfilling import InForce, fulfil_others, others_due, run_duties, settle
from admin_sync.reconciler.granting import Granted, Proposed
from admin_sync.reconciler.released import Lines
from admin_sync.reconciler.report import Report, Standing
from admin_sync.reconciler.requests import Requests
from admin_sync.reconciler.settings import ReconcilerSettings
from admin_sync.repository import Repository
from admin_sync.settings import Settings
from admin_sync.sync import Session
from admin_sync.trail import Trail
from identity.audit.log import AuditLog


@dataclass(slots=True)
class Reconciler:
    """Everything that a turn needs, and what it remembers from one to the next."""

    settings: Settings
    own: ReconcilerSettings
    repository: Repository
    requests: Requests | None
    audit: AuditLog
    environ: Mapping[str, str] = field(repr=False)
    note: Callable[[str], None] = field(default=lambda text: None)
    standing: Standing = field(default_factory=Standing)
    _lines: Lines = field(init=False, repr=False)
    _document: tuple[str, Document] | None = field(default=None, init=False, repr=False)
    _realm_names: dict[str, str] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self._lines = Lines(self.repository, self.environ)

    def turn(self, *, everything: bool = False) -> Report:
        """Make one turn; `everything` reads all realms although nothing says that they are behind."""
        start = time.monotonic()
        report = Report()
        committed = self._grants(report)
        try:
            self._rest(report, committed, everything=everything)
        except (AdminSyncError, KeycloakProblem, BundleError) as problem:
            self._problem(report, problem)
        report.seconds = time.monotonic() - start
        return report

    def look_at(self, realms: Collection[str]) -> None:
        """Let the next turn read these realms, although nothing was committed: somebody arrived there."""
        for environment in [name for name, realm in self._realm_names.items() if realm in realms]:
            self.standing.applied.pop(environment, None)

    def _rest(self, report: Report, committed: list[Granted], *, everything: bool) -> None:
        commit, document = self._in_force(report)
        report.commit = commit
        over = self.standing.ends is not None and self.standing.ends <= document.now
        everything = everything or over or time.monotonic() - self.standing.looked >= self.own.every
        behind = [name for name in document.environments if everything or self.standing.applied.get(name) != commit]
        due = False
        with self._noting(report):
            due = others_due(self.requests, self.standing, document.now)
        session = self._session(document, behind) if behind or due else None
        if behind and session is not None:
            self._realms(report, session, behind, everything=everything)
            self._noted(report, document, [one.environment for one in report.realms if one.well], commit)
        head = self._ends(report, document) or commit
        if head != commit:
            document = self._checked(head)
            report.commit = head
        self._bundle(report, document, head)
        self.standing.ends = next_end(document)
        if self.requests is not None:
            waiting = {one.environment: one.pending for one in report.realms}
            force = InForce(document, self.standing, head, waiting)
            with self._noting(report):
                settle(self.requests, committed, force, report)
        if session is not None:
            hand = Hand(
                document, self.settings, session, self.repository, self.audit, document.now, self.environ, self.note
            )
            # An emergency account is closed although nobody knows what was approved, or who works here.
            with self._noting(report):
                fulfil_others(hand, self.requests, self.own.roster_file, report)
            run_duties(hand, self.standing, report)

    def _in_force(self, report: Report) -> tuple[str, Document]:
        """The newest commit that is valid, and what it says: a broken one must not keep anything from ending."""
        head = self.repository.head()
        try:
            return head, self._checked(head)
        except InvalidInput as problem:
            self._problem(report, problem, f"commit {head[:12]} is not valid, and what was before it stays in force")
        for commit in self.repository.git.text("rev-list", "--first-parent", "--skip=1", "-n", "50", head).split():
            with suppress(InvalidInput):
                return commit, self._checked(commit)
        raise Refused("no commit of late is a valid configuration; commit one")

    def _checked(self, commit: str) -> Document:
        """The configuration of a commit as of now. One that was checked before is not checked again."""
        now = datetime.now(UTC)
        if self._document is None or self._document[0] != commit:
            self._document = (commit, self.repository.snapshot(commit).document(self.environ, now))
        document = replace(self._document[1], now=now)
        self._realm_names = {name: realm_name(document, name) for name in document.environments}
        return document

    def _grants(self, report: Report) -> list[Granted]:
        found: list[Granted] = []
        if self.requests is None:
            return found
        try:
            roster = granting.roster_of(self.own.roster_file)
            due = self.requests.due(*granting.KINDS)
        except AdminSyncError as problem:
            self._problem(report, problem)
            return found
        for record in due:
            try:
                made = granting.grant(self.repository, self.requests, record, roster)
            except AdminSyncError as problem:
                self._problem(report, problem, record.request.id)
                continue
            if isinstance(made, Granted):
                report.committed.append(record.request.id)
                found.append(made)
            elif isinstance(made, Proposed):
                report.proposed[record.request.id] = made.pull_request
        return found

    def _realms(self, report: Report, session: Session, behind: Sequence[str], *, everything: bool) -> None:
        commit = report.commit or ""
        report.realms = apply_all(session, behind, Trail(self.audit), wait=float(self.own.lock_wait))
        for one in report.realms:
            if one.well:
                self.standing.applied[one.environment] = commit
            else:
                self.standing.applied.pop(one.environment, None)
                report.refused = report.refused or one.outcome == "refused"
                self._problem(report, one.said, one.environment)
        if everything and all(one.well for one in report.realms):
            self.standing.looked = time.monotonic()

    def _ends(self, report: Report, document: Document) -> str | None:
        """The head without the grants that ended, where it is another one now."""
        current = {name for name, commit in self.standing.applied.items() if commit == report.commit}
        if not ended(document, current):
            return None
        # OPA knows them as ended before they are gone: a bundle tells what lapsed by the one that it replaces.
        self._bundle(report, document, report.commit or "")
        if self.standing.published != report.commit:
            return None
        try:
            made = clear(self.repository, document, current)
        except AdminSyncError as problem:
            self._problem(report, problem)
            return None
        if made is None or made.pull_request is not None:
            return None
        report.cleared = made.commit
        # Between the two commits somebody may have made another; then the realms are behind and the next turn knows.
        if self.repository.git.text("rev-parse", f"{made.commit}^") == report.commit:
            for name in current:
                self.standing.applied[name] = made.commit
            self._noted(report, document, current, made.commit)
        return made.commit

    def _noted(self, report: Report, document: Document, environments: Iterable[str], commit: str) -> None:
        with self._noting(report):
            for name in environments:
                self._lines.brought(name, commit, document)

    def _bundle(self, report: Report, document: Document, head: str) -> None:
        if self.standing.published == head:
            return
        if report.refused:
            # OPA would deny at once to everybody whom a guard is keeping from losing access by mistake.
            self._problem(report, "held back until no guard refuses the realms", "bundle")
            return
        place = target(self.settings)
        if place is None:
            self.standing.published = head
            return
        try:
            report.bundle = release(document, self.settings, place, Bundling.PUBLISH, Trail(self.audit))
        except (BundleError, AdminSyncError) as problem:
            self._problem(report, problem, "bundle")
            return
        self.standing.published = head

    def _session(self, document: Document, environments: Iterable[str]) -> Session:
        account = self.settings.account()
        wanted = tuple(environments)
        released = {name: self._lines.released(name, document) for name in wanted}
        facts = replace(gather(document, wanted, self.settings.jwks_dir), released=released)
        connection = Connection(account, parallel=self.settings.parallelism)
        return Session(document, self.settings, connection, facts, warn=self.note)

    @contextmanager
    def _noting(self, report: Report) -> Iterator[None]:
        """What fails inside is a problem of this turn, and keeps nothing after it from being done."""
        try:
            yield
        except (AdminSyncError, KeycloakProblem, BundleError) as problem:
            self._problem(report, problem)

    def _problem(self, report: Report, problem: object, about: str | None = None) -> None:
        text = f"{about}: {problem}" if about else str(problem)
        report.problems.append(text)
        self.note(text)
