"""The form in which access is asked for: read, checked as far as a form can be, and made a request. Pure.

Whether it may be asked for is said by the access service. What is looked at here is what people forget to fill in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

SHORTEST_REASON: Final = 10
SPANS: Final = (
    (3600, "1 hour"),
    (8 * 3600, "8 hours"),
    (86_400, "1 day"),
    (7 * 86_400, "7 days"),
    (30 * 86_400, "30 days"),
    (90 * 86_400, "90 days"),
)
"""How long the form offers access for, in seconds and in words."""

_ENVIRONMENT, _RULE = "environment.", "rule."
_SPAN_NAMES: Final = {str(seconds) for seconds, _ in SPANS}


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody filled in. `errors` says by field what is missing; without any, `body` is the request."""

    what: str = ""
    environments: tuple[str, ...] = ()
    why: str = ""
    lasts: str = str(8 * 3600)
    until: str = ""
    starts: str = ""
    subject: str = ""
    rules: tuple[str, ...] = ()
    errors: Mapping[str, str] = field(default_factory=dict)

    def body(self, now: datetime) -> dict[str, Any]:
        """The request as the access service takes it; for a wish without errors."""
        kind, _, name = self.what.partition(":")
        payload: dict[str, Any] = {kind: name}
        if self.rules:
            payload["rules"] = list(self.rules)
        begins = _instant(self.starts)
        ends = _instant(self.until) or (begins or now) + timedelta(seconds=int(self.lasts))
        body: dict[str, Any] = {
            "kind": "exception" if self.rules else "grant",
            "payload": payload,
            "environments": list(self.environments),
            "justification": self.why,
            "expires": ends.isoformat(timespec="seconds"),
        }
        if begins is not None:
            body["starts"] = begins.isoformat(timespec="seconds")
        if self.subject:
            body["subject"] = self.subject
        return body


def wish_of(form: Mapping[str, str], environments: Sequence[str]) -> Wish:
    """A form as it was sent. Check boxes are a field for each environment and each rule."""
    told = {name: " ".join(form.get(name, "").split()) for name in ("what", "why", "lasts", "until", "starts")}
    chosen = tuple(one for one in environments if f"{_ENVIRONMENT}{one}" in form)
    rules = tuple(sorted(name.removeprefix(_RULE) for name in form if name.startswith(_RULE)))
    subject = form.get("subject", "").strip()
    return Wish(
        **told,
        environments=chosen,
        subject=subject,
        rules=rules,
        errors=_errors(told, chosen, subject),
    )


def _errors(told: Mapping[str, str], environments: Sequence[str], subject: str) -> dict[str, str]:
    found: dict[str, str] = {}
    kind, _, name = told["what"].partition(":")
    if kind not in ("role", "group") or not name:
        found["what"] = "Choose a role or a group."
    if not environments:
        found["environments"] = "Choose at least one environment."
    if len(told["why"]) < SHORTEST_REASON:
        found["why"] = f"Say in at least {SHORTEST_REASON} characters what you need it for."
    if not told["until"] and told["lasts"] not in _SPAN_NAMES:
        found["lasts"] = "Choose how long you need it."
    for place in ("until", "starts"):
        if told[place] and _instant(told[place]) is None:
            found[place] = "Write a day and a time, such as 2027-01-31T18:00."
    if subject and "@" not in subject:
        found["subject"] = "Write an e-mail address, or leave it empty for yourself."
    return found


def _instant(text: str) -> datetime | None:
    """A field for day and time, which has no zone: it is UTC, as all times of the workspace."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return None


def asked_for(request: Mapping[str, Any]) -> str:
    """What a request is about, as people say it: `role quant`."""
    payload = request.get("payload", {})
    named = next((f"{name} {payload[name]}" for name in ("role", "group", "account") if name in payload), None)
    if named is not None:
        return f"emergency account {payload['account']}" if named.startswith("account") else named
    return {"mfa_bypass": "one login without the second factor"}.get(str(request.get("kind")), str(request.get("kind")))
