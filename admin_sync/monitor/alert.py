"""What somebody is told."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson

from admin_sync.monitor.line import Line

KINDS: Final = (
    "mfa.failed_repeatedly",
    "mfa.locked_out",
    "mfa.bypass_attempt",
    "mfa.registered_unproved",
    "mfa.recovery_code_used",
    "access.emergency_login",
    "access.emergency",
    "session.refresh_token_reused",
    "access.separation.refused",
    "access.separation.withheld",
    "access.separation.rules.refused",
    "login.denied_by_risk",
    "audit.lines_missing",
    "audit.chain_restarted",
    "audit.not_whole",
)
"""Every kind of alert; docs/monitoring.md says what each means, and observability/alerts what is made of it."""

SEVERITIES: Final = ("info", "warning", "critical")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert. `lines` are the audit lines it rests on (`source/node/seq`), the last of them its cause.

    `severity` is `info` (to be known), `warning` (to be looked at) or `critical` (to be acted upon).
    """

    id: str
    kind: str
    severity: str
    at: str
    """RFC 3339."""
    realm: str
    actor: str | None
    summary: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    lines: tuple[str, ...] = ()

    def body(self) -> bytes:
        """The JSON of a webhook (Standard Webhooks: type, timestamp, data)."""
        data = {name: value for name, value in asdict(self).items() if name not in ("kind", "at")}
        return orjson.dumps({"type": self.kind, "timestamp": self.at, "data": data})

    def record(self) -> dict[str, Any]:
        """As it is kept and as machines read it."""
        return {**asdict(self), "lines": list(self.lines)}

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Alert:
        """What `record` gave. Raises TypeError and KeyError."""
        return cls(**{**record, "lines": tuple(record["lines"])})


def raised(line: Line, kind: str, severity: str, summary: str, *before: str, **detail: Any) -> Alert:
    """The alert that a line causes. Its id follows from the line and the kind alone.

    Raises ValueError for a kind that is not in `KINDS`.
    """
    if kind not in KINDS:
        raise ValueError(f"{kind} is no kind of alert")
    digest = hashlib.sha256(f"{kind}\n{line.name}\n{_seconds(line.time)}".encode()).hexdigest()
    about = {"ip": line.ip, "session": line.session, "reason": line.reason, **detail}
    return Alert(
        id=f"alt_{digest[:32]}",
        kind=kind,
        severity=severity,
        at=line.time.isoformat(),
        realm=line.realm,
        actor=line.actor,
        summary=summary,
        detail={name: value for name, value in about.items() if value is not None},
        lines=(*before, line.name),
    )


def _seconds(time: datetime) -> str:
    return f"{time.timestamp():.3f}"
