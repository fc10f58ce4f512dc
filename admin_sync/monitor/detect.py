"""What of the audit log is an alert: one function for each kind, over what has been seen before. No I/O.

Whatever is remembered is bounded and is plain JSON, so that a restart goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from admin_sync.monitor.alert import Alert, raised
from admin_sync.monitor.line import Line

FACTORS: Final = frozenset({"otp", "webauthn", "webauthn-passwordless", "recovery-authn-codes"})
"""Types of credential that are a second factor, or more."""

RECOVERY: Final = "recovery-authn-codes"

BYPASS: Final = "tradepulse-mfa-bypass"
"""Type of credential of an emergency code: no factor, and guessed at like one."""

_FIRST_ENROLMENT: Final = timedelta(minutes=30).total_seconds()
"""Factors that somebody registers within this long are those of one first login."""

_MOST: Final = 100_000
"""People remembered; those seen longest ago are forgotten first."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What `policies.yaml` says: `count` failures of a factor within `window` seconds, and emergency accounts."""

    count: int
    window: float
    emergency: frozenset[str] = frozenset()


@dataclass(slots=True)
class Memory:
    """What has been seen: failures by person (time and line of each), and when a factor of a person was first seen."""

    failures: dict[str, list[tuple[float, str]]] = field(default_factory=dict)
    factors: dict[str, float] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {"failures": self.failures, "factors": self.factors}

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Memory:
        """What `record` gave. Raises TypeError, ValueError and KeyError."""
        failures = {str(who): [(float(at), str(line)) for at, line in seen] for who, seen in record["failures"].items()}
        return cls(failures, {str(who): float(at) for who, at in record["factors"].items()})


def detect(line: Line, memory: Memory, limits: Limits) -> list[Alert]:
    """The alerts that a line causes; `memory` learns from it."""
    return [alert for one in DETECTORS for alert in one(line, memory, limits)]


def failed_factor(line: Line) -> bool:
    """Whether somebody gave a wrong second factor."""
    refused = line.event == "login.error" and line.about.get("credential_type") in FACTORS | {BYPASS}
    # A lock-out is said by a line of its own, and each try against it would count twice.
    return refused and line.reason not in ("user_temporarily_disabled", "user_disabled")


def _failed_repeatedly(line: Line, memory: Memory, limits: Limits) -> Iterator[Alert]:
    if not failed_factor(line) or line.actor is None:
        return
    who, now = _who(line), line.time.timestamp()
    seen = [one for one in memory.failures.pop(who, []) if now - one[0] < limits.window]
    seen.append((now, line.name))
    if len(seen) < limits.count:
        _keep(memory.failures, who, seen)
        return
    minutes = limits.window / 60
    yield raised(
        line,
        "mfa.failed_repeatedly",
        "warning",
        f"{line.actor} failed the second factor {len(seen)} times within {minutes:g} minutes",
        *(name for _, name in seen[:-1]),
        failures=len(seen),
        factor=line.about.get("credential_type"),
    )


def _locked_out(line: Line, _memory: Memory, _limits: Limits) -> Iterator[Alert]:
    if line.event in ("user.locked.temporarily", "user.locked.permanently"):
        for_good = line.event.endswith("permanently")
        how = "until somebody unlocks it" if for_good else "for a while"
        severity = "critical" if for_good else "warning"
        yield raised(line, "mfa.locked_out", severity, f"the account of {line.actor} is locked {how}")


def _registration(line: Line, memory: Memory, _limits: Limits) -> Iterator[Alert]:
    """A factor that was refused, or that an account with a factor got without proving it."""
    action = line.about.get("custom_required_action") or line.about.get("credential_type") or "a credential"
    if line.event in ("credential.registered.error", "custom_required_action.error", "update_totp.error"):
        if line.reason not in ("rejected_by_user", None):
            what = f"{line.actor} was refused {action}, which needs a factor to be proved first"
            yield raised(line, "mfa.bypass_attempt", "warning", what, action=action)
        return
    if line.event != "credential.registered" or line.about.get("credential_type") not in FACTORS:
        return
    first = memory.factors.get(_who(line))
    late = first is not None and line.time.timestamp() - first > _FIRST_ENROLMENT
    if late and line.level in (None, "aal1"):
        what = f"{line.actor}, who has a second factor, got {action} in a login that did not prove it"
        yield raised(line, "mfa.registered_unproved", "critical", what, action=action, level=line.level)
    _learn(line, memory)


def _recovery_code(line: Line, memory: Memory, _limits: Limits) -> Iterator[Alert]:
    if line.event != "login" or not line.success:
        return
    if FACTORS & {line.about.get("credential_type")} and line.level not in (None, "aal1"):
        _learn(line, memory)
    # A line that was reconciled has no level, and what is not known is told rather than passed over.
    if line.about.get("credential_type") == RECOVERY and line.level != "aal1":
        yield raised(line, "mfa.recovery_code_used", "warning", f"{line.actor} logged in with a recovery code")


def _emergency(line: Line, _memory: Memory, limits: Limits) -> Iterator[Alert]:
    """An emergency account in use, and whatever the emergency workflow writes."""
    name = (line.actor or "").lower()
    if line.event == "login" and line.success and {name, name.partition("@")[0]} & limits.emergency:
        yield raised(line, "access.emergency_login", "critical", f"the emergency account {line.actor} logged in")
    elif line.event.startswith(("break_glass.", "mfa_bypass.")):
        subject = line.about.get("user") or line.actor
        facts = {name: line.about[name] for name in ("request", "by") if line.about.get(name)}
        # Whoever manages accounts could open a code without a request, so it says by whom and for which.
        what = f"{line.event} for {subject}" + "".join(f", {name} {value}" for name, value in facts.items())
        yield raised(line, "access.emergency", "critical", what, subject=subject, **facts)


def _token_reused(line: Line, _memory: Memory, _limits: Limits) -> Iterator[Alert]:
    if line.event == "token.refreshed.error" and line.about.get("cause") == "refresh_token_reused":
        client = line.about.get("client")
        what = f"a refresh token of session {line.session} was used twice at {client}; both holders are out"
        yield raised(line, "session.refresh_token_reused", "critical", what, client=client)


def _separation(line: Line, _memory: Memory, _limits: Limits) -> Iterator[Alert]:
    severity = {
        "separation.refused": "warning",
        "separation.withheld": "warning",
        "separation.rules.refused": "critical",
    }.get(line.event)
    if severity is not None:
        subject, roles = line.about.get("user"), line.about.get("roles")
        what = (
            f"{line.actor} tried to change the rules of realm {line.realm}"
            if roles is None
            else f"{subject} would have held {roles} together ({line.event})"
        )
        yield raised(line, f"access.{line.event}", severity, what, subject=subject, roles=roles)


def _risk(line: Line, _memory: Memory, _limits: Limits) -> Iterator[Alert]:
    if line.event == "login.risk" and not line.success:
        yield raised(line, "login.denied_by_risk", "warning", f"a login of {line.actor} was denied: {line.reason}")


def _not_whole(line: Line, _memory: Memory, _limits: Limits) -> Iterator[Alert]:
    """What the reconciliation of the log with Keycloak's own events found."""
    if line.event == "audit.reconciled" and not line.success:
        what = f"the audit file and Keycloak's own events do not agree: {line.reason}"
        yield raised(line, "audit.not_whole", "critical", what, reason=line.reason)


DETECTORS: Final[Sequence[Callable[[Line, Memory, Limits], Iterator[Alert]]]] = (
    _failed_repeatedly,
    _locked_out,
    _registration,
    _recovery_code,
    _emergency,
    _token_reused,
    _separation,
    _risk,
    _not_whole,
)


def _who(line: Line) -> str:
    return f"{line.realm}/{(line.actor or '').lower()}"


def _learn(line: Line, memory: Memory) -> None:
    if line.actor is not None:
        _keep(memory.factors, _who(line), memory.factors.pop(_who(line), line.time.timestamp()))


def _keep(table: dict[str, Any], key: str, value: Any) -> None:
    """Put something last, and forget what was put first once there is too much."""
    table[key] = value
    while len(table) > _MOST:
        del table[next(iter(table))]
