"""`python -m session_broker migration`: where the migration stands, and one step of it.

    status        the phase, since when and by whom, and who still comes with legacy tokens
    forward       to the next phase; into new_only not while somebody still uses legacy tokens
    back          to the phase before; always possible
    start PHASE   writes the file for the first time

A step takes effect in every process within half a second, and ends no session.

exit 0   done
exit 1   the file or the audit log cannot be written; nothing was changed, or the message says what was
exit 3   bad input: there is no such step
exit 5   refused: legacy tokens are still in use
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import orjson

from identity.audit.errors import AuditUnavailable
from identity.audit.event import AuditEvent
from identity.audit.log import AuditLog
from session_broker.migration.opening import usage_of
from session_broker.migration.phase import Phase, parse
from session_broker.migration.phase_file import PhaseFile, PhaseUnavailable, Stand
from session_broker.settings import BrokerSettings

HOUR = 3600.0


class StepRefused(Exception):
    """The step is not made. `code` is the exit code; the text says what to do."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The words of this command."""
    parser.add_argument("step", choices=("status", "forward", "back", "start"))
    parser.add_argument("phase", nargs="?", help="with start: the phase to begin in")
    parser.add_argument(
        "--quiet-hours",
        type=float,
        default=24.0,
        metavar="H",
        help="into new_only, nobody may have used a legacy token for so long (default: 24)",
    )
    parser.add_argument("--shut-out", action="store_true", help="into new_only although somebody still does")
    parser.add_argument("--reason", default="", help="why, for the audit log")
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(arguments: argparse.Namespace, settings: BrokerSettings, *, source: str) -> int:
    """Carries one command out; what it says goes to standard output."""
    if settings.migration_file is None:
        raise StepRefused("there is no migration: set SESSION_BROKER_MIGRATION_FILE", 3)
    file = PhaseFile(settings.migration_file)
    used = _used(settings.state_dir)
    if arguments.step == "status":
        _say(_read(file), used, as_json=arguments.json)
        return 0
    with _stepping(file, settings.migration_file):
        before = None if arguments.step == "start" else _read(file)
        after = _next(arguments, settings.migration_file, before, used)
        stand = Stand(phase=after, since=int(time.time()), by=getpass.getuser())
        # The line first: a step that nobody can see afterwards is not made.
        _record(settings, source, before, stand, arguments.reason)
        try:
            file.write(stand)
        except OSError as problem:
            _record(settings, source, before, stand, "phase_file_not_written", outcome="failure")
            raise StepRefused(f"{settings.migration_file}: {problem.strerror}; the phase is as it was", 1) from None
    _say(stand, used, as_json=arguments.json)
    return 0


@contextmanager
def _stepping(file: PhaseFile, path: Path) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            stack.enter_context(file.stepping())
        except OSError as problem:
            raise StepRefused(f"{path}.lock: {problem.strerror}; nothing was changed", 1) from None
        yield


def _next(arguments: argparse.Namespace, path: Path, before: Stand | None, used: Mapping[str, float]) -> Phase:
    if before is None:
        if path.exists():
            raise StepRefused(f"{path} is there already; use forward or back", 3)
        try:
            return parse(arguments.phase or "")
        except ValueError as problem:
            raise StepRefused(f"start: {problem}", 3) from None
    if arguments.phase is not None:
        raise StepRefused(f"{arguments.step} goes one step and takes no phase", 3)
    try:
        after = before.phase.step(1 if arguments.step == "forward" else -1)
    except ValueError:
        end = "last" if arguments.step == "forward" else "first"
        raise StepRefused(f"{before.phase.label} is the {end} phase", 3) from None
    late = {client: at for client, at in used.items() if at > time.time() - arguments.quiet_hours * HOUR}
    if not after.takes_legacy and late and not arguments.shut_out:
        listed = ", ".join(f"{client} ({_moment(at)})" for client, at in sorted(late.items(), key=lambda one: -one[1]))
        raise StepRefused(
            f"legacy tokens are still in use: {listed}. Move these first, or shut them out with --shut-out", 5
        )
    return after


def _read(file: PhaseFile) -> Stand:
    try:
        return file.read()
    except PhaseUnavailable as problem:
        raise StepRefused(f"{problem}; begin with `start PHASE`", 3) from None


def _used(state_dir: Path) -> Mapping[str, float]:
    try:
        return usage_of(state_dir).last()
    except OSError as problem:
        raise StepRefused(f"{state_dir}: {problem.strerror}; so nobody knows who uses legacy tokens", 1) from None


def _record(
    settings: BrokerSettings,
    source: str,
    before: Stand | None,
    after: Stand,
    reason: str,
    *,
    outcome: str = "success",
) -> None:
    log = AuditLog(
        settings.audit_dir / "api_events.jsonl",
        # A chain of its own: the service, which runs, is the only writer of its chain.
        source=f"{source}-migration",
        node=settings.node,
        checkpoint_key=settings.audit_checkpoint_key(),
        checkpoints_dir=settings.checkpoints_dir,
    )
    try:
        log.append_sync(
            AuditEvent(
                event="migration.stepped",
                outcome=outcome,
                actor=after.by,
                action="migration:step",
                resource=f"phases/{'none' if before is None else before.phase.label}/{after.phase.label}",
                reason=reason or None,
            )
        )
    except AuditUnavailable as problem:
        raise StepRefused(f"the audit log cannot be written ({problem}); nothing was changed", 1) from None
    finally:
        log.close()


def _say(stand: Stand, used: Mapping[str, float], *, as_json: bool) -> None:
    if as_json:
        said = {"phase": stand.phase.label, "since": stand.since, "by": stand.by, "legacy_last_used": dict(used)}
        sys.stdout.buffer.write(orjson.dumps(said, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE))
        return
    lines = [f"phase   {stand.phase.label}, since {_moment(stand.since)}, by {stand.by}"]
    lines += [f"legacy  {client}, last used {_moment(at)}" for client, at in sorted(used.items())]
    if not used:
        lines.append("legacy  nobody has come with a legacy token")
    sys.stdout.write(os.linesep.join(lines) + os.linesep)


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
