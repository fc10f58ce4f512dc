"""Every audit event in the field names of the Elastic Common Schema (ECS 8.17), for a SOC's pipeline.

    tail -F api_events.jsonl | python -m vault_api soc | shipper

The line's own hash is `event.id`, so a line that is sent twice is one event there, and the chain can be
checked from what the SOC holds. ECS knows success, failure and unknown: a denial is a failure of type
`denied`, and stays told apart from one that should not have happened, which has type `error`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

VERSION = "8.17.0"


class Class(NamedTuple):
    """An event's place in ECS: `event.category` and `event.type`."""

    category: str
    type: str


CLASSES: Mapping[str, Class] = {
    "credential.store": Class("iam", "change"),
    "credential.release": Class("iam", "access"),
    "credential.read": Class("iam", "info"),
    "connection.list": Class("iam", "info"),
    "audit.read": Class("api", "access"),
    "audit.mended": Class("file", "change"),
    "lease.issue": Class("iam", "creation"),
    "lease.renew": Class("iam", "change"),
    "lease.revoke": Class("iam", "deletion"),
    "lease.ended": Class("iam", "deletion"),
    "lease.read": Class("iam", "info"),
    "lease.list": Class("iam", "info"),
    "digest.read": Class("api", "access"),
    "offers.read": Class("iam", "info"),
    "legacy.switch": Class("configuration", "change"),
    "legacy.read": Class("api", "access"),
    "legacy.backfill": Class("database", "change"),
    "break_glass.seal": Class("iam", "creation"),
    "break_glass.sealed": Class("iam", "change"),
    "break_glass.release": Class("iam", "access"),
    "break_glass.read": Class("iam", "info"),
    "alert.routes.read": Class("iam", "info"),
    "alert.route.set": Class("configuration", "change"),
    "alert.route.drop": Class("configuration", "deletion"),
    "member.list": Class("iam", "info"),
    "onboarding.read": Class("iam", "info"),
    "simulation.begin": Class("iam", "access"),
    "simulation.choices": Class("iam", "info"),
    "token.rejected.summary": Class("authentication", "start"),
}
"""Events that are spelt out; the families below hold for the rest."""

FAMILIES: Mapping[str, Class] = {
    "key": Class("configuration", "change"),
    "connection": Class("iam", "change"),
    "link": Class("iam", "change"),
    "credential": Class("iam", "change"),
    "lease": Class("iam", "change"),
    "alert": Class("api", "info"),
    "partner": Class("iam", "deletion"),
    "token": Class("authentication", "start"),
    "audit": Class("file", "change"),
    "legacy": Class("configuration", "change"),
    "break_glass": Class("iam", "change"),
    "simulation": Class("iam", "access"),
    "member": Class("iam", "change"),
    "invitation": Class("iam", "change"),
    "onboarding": Class("iam", "info"),
}
"""By the first word of an event."""

_UNKNOWN = Class("api", "info")
_ALARMS = ("integrity_error", "key_context_mismatch", "irrevocable_")


def class_of(event: str) -> Class:
    """Where an event belongs; one that is not known is an `api` event rather than none."""
    return CLASSES.get(event) or FAMILIES.get(event.partition(".")[0]) or _UNKNOWN


def ecs(record: Mapping[str, Any]) -> dict[str, Any]:
    """An audit record as an ECS document. Fields that do not apply are left out."""
    event, outcome, reason = str(record.get("event")), record.get("outcome"), record.get("reason")
    place = class_of(event)
    types = {"success": [place.type, "allowed"], "denied": [place.type, "denied"], "failure": [place.type, "error"]}
    alarm = isinstance(reason, str) and reason.startswith(_ALARMS)
    return _without_nothing(
        {
            "@timestamp": record.get("time"),
            "ecs": {"version": VERSION},
            "event": {
                "kind": "alert" if alarm else "event",
                "category": [place.category],
                "type": types.get(str(outcome), [place.type]),
                "action": event,
                "outcome": "success" if outcome == "success" else "failure",
                "reason": reason,
                "id": record.get("hash"),
                "sequence": record.get("seq"),
                "provider": record.get("source"),
                "dataset": "tradepulse.audit",
                "module": "tradepulse",
            },
            "user": {"name": record.get("actor"), "roles": record.get("roles")},
            "organization": {"id": record.get("partner")},
            "source": {"ip": record.get("ip")},
            "trace": {"id": record.get("trace_id")},
            "service": {"name": record.get("source"), "node": {"name": record.get("node")}},
            "tradepulse": {
                "permission": record.get("action"),
                "resource": record.get("resource"),
                "decision_id": record.get("decision_id"),
                "session": record.get("session"),
                "assurance_level": record.get("assurance_level"),
                "amr": record.get("amr"),
                "key_version": record.get("key_version"),
                "outcome": outcome,
                "prev": record.get("prev"),
            },
        }
    )


def convert() -> int:
    """Lines of the audit file on stdin, ECS documents on stdout, each at once. Exit 1 if one was no line."""
    torn = 0
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            document = ecs(orjson.loads(line))
        except (orjson.JSONDecodeError, AttributeError):
            torn += 1
            # Never the line itself: what is not one of ours may be anything.
            print(f"vault-api: line {number} is no audit line", file=sys.stderr)  # noqa: T201
            continue
        sys.stdout.buffer.write(orjson.dumps(document) + b"\n")
        sys.stdout.buffer.flush()
    return 1 if torn else 0


def _without_nothing(document: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in document.items():
        inside = _without_nothing(value) if isinstance(value, dict) else value
        if inside not in (None, {}, []):
            kept[name] = inside
    return kept
