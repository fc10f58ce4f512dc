"""One audit event: what happened, to what, by whom, decided how. A value without any secret.

The log adds `seq`, `time`, `node`, `source`, `prev` and `hash`. Text from outside is made safe
here, once: bounded, valid Unicode, and masked where it has the shape of a token. An event is never
refused for its content, because what cannot be recorded must not happen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any

from identity.principal import Principal
from identity.redact import redact_text
from identity.trace import trace_id

MAX_TEXT = 1024
"""Characters of one field; the rest is cut off and marked."""

_PLAIN = re.compile(r"(?!(?i:.*eyJ))[A-Za-z0-9_.:/-]{0,256}\Z")
"""Names, numbers and addresses of ours, which no shape of `identity.redact` can be part of: a token in compact
form has an `eyJ`, and every other shape holds a space, an `=` or an `@`. Most fields are that, and
looking for shapes in them is a third of what an event costs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """An event.

    `event` is a stable dotted name (`credential.released`), `outcome` one of `success`, `denied`,
    `failure`; `reason` is a stable code that explains an outcome. `actor` is who did it (see
    `Principal.actor`), `action` the permission or operation asked for, `resource` what it was asked
    on. `session` is the login session, `key_version` the sealing key's. None means "does not apply".
    `roles` are the roles by which the policy allowed it, as its decision names them (`partner_role:…`).
    `event_id` is the id that another system gave the event, by which a second line of it is known; for an
    event that was found there afterwards, `recovered_by` says how and `occurred_at` (RFC 3339) when it was.
    """

    event: str
    outcome: str
    actor: str | None = None
    partner: str | None = None
    action: str | None = None
    resource: str | None = None
    reason: str | None = None
    decision_id: str | None = None
    trace_id: str | None = None
    session: str | None = None
    ip: str | None = None
    assurance_level: str | None = None
    amr: tuple[str, ...] = ()
    key_version: int | None = None
    roles: tuple[str, ...] = ()
    event_id: str | None = None
    recovered_by: str | None = None
    occurred_at: str | None = None

    def __post_init__(self) -> None:
        for name in _NAMES:
            value = getattr(self, name)
            if isinstance(value, str):
                object.__setattr__(self, name, _safe(value))
        object.__setattr__(self, "amr", tuple(_safe(str(method)) for method in self.amr[:16]))
        object.__setattr__(self, "roles", tuple(_safe(str(role)) for role in self.roles[:16]))

    def record(self) -> dict[str, Any]:
        """The event as JSON members; absent ones are null, so that every line has the same shape.

        Only those that few lines have are left out where they do not apply: `roles` without a decision, and
        what says that an event came from elsewhere.
        """
        record = {name: getattr(self, name) for name in _NAMES}
        record["amr"], record["roles"] = list(self.amr), list(self.roles)
        for name in _RARE:
            if not record[name]:
                del record[name]
        return record


_NAMES = tuple(field.name for field in fields(AuditEvent))
_RARE = ("roles", "event_id", "recovered_by", "occurred_at")


def event_by(principal: Principal, event: str, outcome: str, **members: Any) -> AuditEvent:
    """An event by a verified caller: actor, session, assurance and the current trace are filled in."""
    filled: dict[str, Any] = {
        "actor": principal.actor,
        "session": principal.session,
        "assurance_level": principal.assurance_level.value,
        "amr": principal.amr,
        "trace_id": trace_id(),
    }
    return AuditEvent(event=event, outcome=outcome, **{**filled, **members})


def _safe(text: str) -> str:
    if _PLAIN.match(text):
        return text
    # Cut first: what is masked afterwards can only be shorter than the cap plus the mask.
    cut = text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"
    return redact_text(cut.encode("utf-8", "backslashreplace").decode("utf-8"))
