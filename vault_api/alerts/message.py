"""Pure: what a partner is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage

import orjson

TEST = "test"
"""The kind of an alert that somebody asked for to see whether it arrives."""

_TITLES = {
    "token_expiring": "A broker connection is about to stop working",
    "broker_disconnected": "A broker has to be connected again",
    "key_rotation": "Your key is being rotated",
    "digest": "Your week in the vault",
    TEST: "A test: alerts arrive here",
}
_NEXT = {
    "token_expiring": "Nothing has to be done yet. If it does not recover, connect the broker again in the workspace.",
    "broker_disconnected": "Connect the broker again in the workspace; the connection keeps its name.",
    "key_rotation": "Nothing has to be done.",
    "digest": "The workspace's audit trail has every line of it.",
    TEST: "Nothing has to be done. Somebody of your company asked for it in the workspace.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something that was raised for a partner."""

    partner: str
    alert: str
    kind: str
    connection: str | None
    detail: Mapping[str, object]
    raised_at: datetime


def body(alert: Alert) -> bytes:
    """The JSON of a webhook."""
    return orjson.dumps(
        {
            "type": alert.kind,
            "timestamp": alert.raised_at.isoformat(),
            "data": {"partner": alert.partner, "connection": alert.connection, **alert.detail},
        }
    )


def mail(alert: Alert, *, sender: str, to: str) -> EmailMessage:
    """The e-mail."""
    message = EmailMessage()
    message["From"], message["To"] = sender, to
    about = f": {alert.connection}" if alert.connection else ""
    message["Subject"] = f"[{alert.partner}] {_TITLES.get(alert.kind, alert.kind)}{about}"
    message["Message-ID"] = f"<{alert.alert}@{sender.rpartition('@')[2] or 'localhost'}>"
    message["Auto-Submitted"] = "auto-generated"
    lines = [_TITLES.get(alert.kind, alert.kind) + ".", ""]
    lines += [f"{name}: {value}" for name, value in sorted({"connection": alert.connection, **alert.detail}.items())]
    lines += ["", _NEXT.get(alert.kind, "")]
    message.set_content("\n".join(lines))
    return message
