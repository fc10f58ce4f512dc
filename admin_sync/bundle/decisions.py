"""What OPA's decision log says, as audit events. Pure; takes only what it names and nothing else.

OPA masks who somebody is and whatever does not belong into an input before it sends anything
(`policy/log_mask.rego`). An event of the log is somebody's question, so its parts may have any shape:
each decision becomes a line all the same, because one that leaves no trace would be worth asking for.
The line of the service that asked has the same decision id, and the trace of the request.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from admin_sync.model import Json
from identity.audit.event import AuditEvent

DECISION = "tradepulse/authz/decision"
EVENT = "policy.decided"

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_ID = re.compile(r'"decision_id"\s*:\s*"([0-9A-Za-z-]{1,64})"')


def entries(text: str) -> list[Json]:
    """The events of one upload. Raises ValueError if it is not JSON.

    An event that cannot be read (nested deeper than a parser goes) is replaced by one that has its
    id only, so that it neither stops the upload nor hides those beside it.
    """
    try:
        found = _json(text)
    except RecursionError:
        found = [_one(part) for part in _parts(text)]
    return [entry for entry in (found if isinstance(found, list) else [found]) if isinstance(entry, dict)]


def _json(text: str) -> Json:
    # No field that is audited is a number; one of more digits than Python takes must not cost the whole upload,
    # which OPA would send again for ever.
    return json.loads(text, parse_int=float)


def _one(text: str) -> Json:
    try:
        return _json(text)
    except (ValueError, RecursionError):
        named = _ID.search(text)
        return {"decision_id": named[1] if named else None, "path": DECISION, "error": "unreadable"}


def _parts(text: str) -> Iterator[str]:
    """The objects directly inside the outermost array, found by their brackets alone."""
    depth, start = 0, 0
    for match in _TOKEN.finditer(text):
        mark = match[0]
        if mark in "[{":
            depth += 1
            if depth == 2:
                start = match.start()
        elif mark in "]}":
            depth -= 1
            if depth == 1:
                yield text[start : match.end()]


def decision_id(entry: Json) -> str | None:
    """The id that OPA gave the decision and its caller wrote into an audit line of its own."""
    found = entry.get("decision_id")
    return found if isinstance(found, str) and found else None


def is_decision(entry: Json) -> bool:
    """Whether somebody asked for a decision; other queries of OPA's data leave no line."""
    return str(entry.get("path", "")).strip("/") == DECISION


def audited(entry: Json) -> AuditEvent:
    """The audit line of one decision: who, what, where, why, by which revision of the bundle."""
    question, answer = _object(entry.get("input")), _object(entry.get("result"))
    subject, resource = _object(question.get("subject")), _object(question.get("resource"))
    revision = _text(_object(_object(entry.get("bundles")).get("tradepulse")).get("revision")) or "none"
    reasons = answer.get("reasons")
    broker = _text(resource.get("broker"))
    place = [_text(question.get("environment")) or "?", "bundle", revision, *(["broker", broker] if broker else [])]
    if entry.get("error"):
        outcome, why = "failure", "unreadable" if entry["error"] == "unreadable" else "evaluation_error"
    elif answer:
        outcome = "success" if answer.get("allow") is True else "denied"
        why = " ".join(map(str, reasons)) if isinstance(reasons, list) else ""
    else:
        # Without a rule there is no answer, and no answer is never yes.
        outcome, why = "denied", "undefined"
    return AuditEvent(
        event=EVENT,
        outcome=outcome,
        actor=_text(subject.get("client" if subject.get("kind") == "service" else "id")),
        partner=_text(question.get("partner")),
        action=_text(question.get("permission")),
        resource="/".join(place),
        reason=why or None,
        decision_id=decision_id(entry),
        assurance_level=_text(subject.get("assurance_level")),
    )


def _object(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) else None
