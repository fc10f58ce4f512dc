"""Where a partner is told what, in words, and the form in which it is said. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\Z")
_KIND: Final = "kind."
EVERYTHING: Final = "all"
NAMES: Final = "Up to 63 small letters, digits and hyphens, such as trading-desk."

OUTCOMES: Final = {
    "delivered": ("arrived", "good"),
    "no_mail_server": ("no e-mail is sent from here", "bad"),
    "recipient_refused": ("the mailbox was refused", "bad"),
    "address_refused": ("the address may not be called", "bad"),
    "address_invalid": ("the address cannot be called", "bad"),
    "smtp_failed": ("the mail server did not take it", "bad"),
    "no_answer": ("the receiver did not answer", "bad"),
    "status_410": ("the receiver says that it is gone", "bad"),
    "secret_unreadable": ("the secret cannot be read", "bad"),
}
"""What came of an alert on a route, and how that looks."""

SHORT: Final = {
    "token_expiring": "connections about to fail",
    "broker_disconnected": "connections that failed",
    "key_rotation": "key rotations",
    "digest": "the vault's week",
}
KINDS: Final = {"test": "a test", "digest": "the vault's week"}
_OWN: Final = "route:"


def spoken(kinds: Iterable[str]) -> str:
    """Kinds of alerts for people, in few words."""
    chosen = list(kinds)
    if EVERYTHING in chosen:
        return "everything"
    return ", ".join(SHORT.get(one, one.replace("_", " ")) for one in chosen) or "nothing"


def kind(name: str, words: Mapping[str, str]) -> str:
    """One kind of alert for people."""
    return KINDS.get(name) or words.get(name, name.replace("_", " "))


def route(name: str) -> str:
    """A route as the log names it: its own name, or the address of one of the configuration."""
    return name.removeprefix(_OWN).removeprefix("mailto:")


def outcome(delivery: Mapping[str, Any]) -> tuple[str, str]:
    """What came of a delivery, and how that looks."""
    if delivery["outcome"] is None:
        return f"tried {delivery['attempts']} times, and again soon", "warn"
    said = str(delivery["outcome"])
    if said in OUTCOMES:
        return OUTCOMES[said]
    return f"the receiver answered {said.removeprefix('status_')}" if said.startswith("status_") else said, "bad"


@dataclass(frozen=True, slots=True)
class Told:
    """What somebody filled in. `errors` says by field what is missing."""

    name: str = ""
    way: str = "email"
    address: str = ""
    kinds: tuple[str, ...] = ()
    renew: bool = False
    errors: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, form: Mapping[str, str]) -> Self:
        """A form as it was sent."""
        name, way = form.get("name", "").strip(), form.get("way", "")
        address = form.get("address", "").strip()
        kinds = tuple(sorted(one.removeprefix(_KIND) for one in form if one.startswith(_KIND)))
        errors = {}
        if not _NAME.match(name):
            errors["name"] = NAMES
        if way not in ("email", "webhook"):
            errors["way"] = "Choose e-mail or a webhook."
        if way == "webhook" and not address.startswith(("https://", "http://")):
            errors["address"] = "Write the whole address, beginning with https://"
        elif way != "webhook" and "@" not in address:
            errors["address"] = "Write an e-mail address, such as desk@company.example"
        return cls(name, way, address, kinds, form.get("renew") == "yes", errors)

    @classmethod
    def from_route(cls, one: Mapping[str, Any] | None) -> Self:
        """A route that is to be changed, or nothing yet."""
        if one is None:
            return cls()
        way = "email" if one["email"] is not None else "webhook"
        return cls(one["route"], way, one[way], () if one["usual"] else tuple(one["alerts"]))

    def body(self) -> dict[str, Any]:
        """The request to the vault; for one without errors. No kind at all means what the persona is told."""
        body: dict[str, Any] = {self.way: self.address, "alerts": list(self.kinds)}
        if self.way == "webhook" and self.renew:
            body["renew_secret"] = True
        return body
