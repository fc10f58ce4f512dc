"""What admin-sync writes into the audit log: that an apply begins, every change, and how it ended.

The first line is durable before the first effect; if it cannot be written, nothing is done.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from admin_sync.diff import Change, Plan
from admin_sync.errors import Interrupted, Misconfigured
from admin_sync.settings import Settings, read_secret
from identity.audit.event import AuditEvent
from identity.audit.log import AuditLog, AuditUnavailable

FILE = "iam_events.jsonl"

_VERBS = {"+": "create", "~": "change", "-": "destroy"}


class Trail:
    """The audit lines of one run."""

    def __init__(self, log: AuditLog) -> None:
        self._log = log
        self._actor = f"admin-sync:{_who()}"

    def started(self, plan: Plan) -> None:
        """An apply begins. Raises Interrupted when that cannot be recorded."""
        self._append(
            AuditEvent(
                event="realm.apply.started",
                outcome="success",
                actor=self._actor,
                action="apply",
                resource=f"{plan.realm} ({len(plan.changes)} changes)",
            )
        )

    def changed(self, plan: Plan, change: Change, problem: Exception | None) -> None:
        """One change was made, or was tried and failed."""
        self._append(
            AuditEvent(
                event="realm.changed",
                outcome="success" if problem is None else "failure",
                actor=self._actor,
                action=f"{_VERBS[change.action]} {change.ref.kind}",
                resource=f"{plan.realm}/{change.ref.kind}/{change.ref.name}",
                reason=None if problem is None else type(problem).__name__,
            )
        )

    def finished(self, plan: Plan, done: int, problem: str | None) -> None:
        """An apply ended, well or not."""
        self._append(
            AuditEvent(
                event="realm.apply.finished",
                outcome="success" if problem is None else "failure",
                actor=self._actor,
                action="apply",
                resource=f"{plan.realm} ({done} of {len(plan.changes)} changes)",
                reason=problem,
            )
        )

    def refused(self, plan: Plan, reason: str) -> None:
        """A guard said no, or a saved plan did not fit; nothing was changed."""
        self._append(
            AuditEvent(
                event="realm.apply.refused",
                outcome="denied",
                actor=self._actor,
                action="apply",
                resource=f"{plan.realm} ({len(plan.changes)} changes)",
                reason=reason,
            )
        )

    def drift(self, plan: Plan, undeclared: int, rules: int) -> None:
        """A realm was held against its declaration; whoever alerts looks for a failure of this event."""
        drifted = bool(plan.changes or undeclared or rules)
        counts = f"{len(plan.changes)} changes, {undeclared} undeclared, {rules} decided otherwise"
        self._append(
            AuditEvent(
                event="realm.drift",
                outcome="failure" if drifted else "success",
                actor=self._actor,
                action="drift",
                resource=f"{plan.realm} ({counts})",
                reason="the realm is not as declared" if drifted else None,
            )
        )

    def linked(self, realm: str, provider: str, subject: str, email: str) -> None:
        """An account was linked to a name of a token bridge."""
        self._append(
            AuditEvent(
                event="identity.linked",
                outcome="success",
                actor=self._actor,
                action=f"link {provider}",
                resource=f"{realm}/user/{email}",
                reason=f"subject:{subject}",
            )
        )

    def onboarding(self, what: str, resource: str) -> None:
        """An account is about to be made for somebody who joined, and the person to be invited."""
        self._append(
            AuditEvent(
                event=f"onboarding.{what}",
                outcome="success",
                actor=self._actor,
                action="onboard",
                resource=resource,
            )
        )

    def offboarding(self, what: str, email: str, author: str, reason: str | None, *, failed: bool = False) -> None:
        """An offboarding began or ended, or somebody was reinstated."""
        self._append(
            AuditEvent(
                event=f"offboarding.{what}",
                outcome="failure" if failed else "success",
                actor=self._actor,
                action=f"offboard for {author}",
                resource=f"person {email}",
                reason=reason,
            )
        )

    def revoked(self, step: str, what: str, email: str) -> None:
        """One thing of a person's was taken away, or given back."""
        self._append(
            AuditEvent(
                event="offboarding.revoked",
                outcome="success",
                actor=self._actor,
                action=step,
                resource=what,
                reason=f"person {email}",
            )
        )

    def sessions_ended(self, realm: str, people: int, kept: int) -> None:
        """Everybody's sessions in a realm were ended, but those of people whom a freeze leaves something."""
        self._append(
            AuditEvent(
                event="sessions.ended",
                outcome="success",
                actor=self._actor,
                action="freeze",
                resource=f"{realm} ({people} people, {kept} kept)",
            )
        )

    def rotated(self, realm: str, client: str, why: str, problem: str | None = None) -> None:
        """A client's static secret was replaced, or could not be."""
        self._append(
            AuditEvent(
                event="secret.rotated",
                outcome="success" if problem is None else "failure",
                actor=self._actor,
                action="rotate-secrets",
                resource=f"{realm}/client/{client}",
                reason=problem or why,
            )
        )

    def bundle(self, action: str, revision: str, problem: str | None = None) -> None:
        """A policy bundle was published, frozen or thawed."""
        self._append(
            AuditEvent(
                event="bundle.published",
                outcome="success" if problem is None else "failure",
                actor=self._actor,
                action=action,
                resource=f"bundle {revision}",
                reason=problem,
            )
        )

    def _append(self, event: AuditEvent) -> None:
        try:
            self._log.append_sync(event)
        except AuditUnavailable as problem:
            raise Interrupted(
                f"the audit log cannot be written ({problem}), so nothing more is done; a re-run is safe"
            ) from problem


@contextmanager
def opened(settings: Settings) -> Iterator[Trail]:
    """The trail of a run. Raises Misconfigured when the audit file's place or key is unusable."""
    with audit_log(settings, "admin-sync") as log:
        yield Trail(log)


@contextmanager
def audit_log(settings: Settings, source: str) -> Iterator[AuditLog]:
    """The audit file for lines of `source`. Raises Misconfigured when its place or key is unusable."""
    try:
        settings.audit_dir.mkdir(parents=True, exist_ok=True)
        log = AuditLog(
            settings.audit_dir / FILE,
            source=source,
            node=settings.node,
            checkpoint_key=checkpoint_key(settings),
        )
    except OSError as problem:
        raise Misconfigured(
            f"TRADEPULSE_AUDIT_DIR: {settings.audit_dir} cannot be written ({problem.strerror})"
        ) from None
    try:
        yield log
    finally:
        log.close()


def checkpoint_key(settings: Settings) -> Ed25519PrivateKey | None:
    """The key that signs checkpoints, None where none is set. Raises Misconfigured for one that cannot be used."""
    if settings.audit_checkpoint_key_file is None:
        return None
    return private_key(settings.audit_checkpoint_key_file, "TRADEPULSE_AUDIT_CHECKPOINT_KEY_FILE")


def private_key(path: Path, name: str) -> Ed25519PrivateKey:
    """An Ed25519 key from a PEM file that its owner alone can read. Raises Misconfigured, which says `name`."""
    try:
        key = load_pem_private_key(read_secret(path, name).encode(), password=None)
    except (ValueError, TypeError):
        raise Misconfigured(f"{name}: the file holds no private key in PEM") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise Misconfigured(f"{name}: the key is not an Ed25519 key")
    return key


def _who() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
