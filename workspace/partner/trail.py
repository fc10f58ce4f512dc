"""A partner's audit trail for people: newest first, only what they look for, and whether it holds. Pure.

The vault gives the chain from its beginning on; a page goes back from its end, a window of lines at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from identity.audit.chain import Head, head_of, link

WINDOW: Final = 500
"""Lines that the vault gives at most at once."""

_WINDOWS: Final = 4
"""How many windows one page reads at most."""

READINGS: Final = frozenset(
    {
        "alert.log.read",
        "alert.routes.read",
        "audit.read",
        "connection.list",
        "credential.read",
        "digest.read",
        "lease.list",
        "lease.read",
        "member.list",
        "offers.read",
    }
)
"""Events of people who looked at something; there are so many that a page leaves them out unless asked."""

WORDS: Final[Mapping[str, str]] = {
    "alert.log.read": "Look at what was told",
    "alert.route.drop": "Take an address for alerts away",
    "alert.route.set": "Set an address for alerts",
    "alert.routes.read": "Look at where alerts go",
    "alert.test": "Send a test alert",
    "audit.read": "Read the audit trail",
    "connection.approve": "Approve a link",
    "connection.callback": "Come back from the broker",
    "connection.link": "Begin to link a broker",
    "connection.linked": "Link a broker",
    "connection.list": "Look at the connections",
    "connection.relink": "Ask for the broker's owner again",
    "connection.revoke": "Revoke a connection",
    "connection.revoked_at_broker": "Tell the broker that it is over",
    "credential.read": "Look at a connection",
    "credential.refresh": "Renew a token",
    "credential.release": "Release a token",
    "credential.store": "Store a token",
    "digest.read": "Read the digest",
    "invitation.accept": "Take up an invitation",
    "invitation.make": "Invite somebody",
    "invitation.withdraw": "Withdraw an invitation",
    "lease.issue": "Lend a credential",
    "lease.list": "Look at what is lent",
    "lease.read": "Look at a lent credential",
    "lease.renew": "Lend a credential for longer",
    "lease.revoke": "End a lent credential",
    "member.end": "A lent role came to its end",
    "member.give": "Give a role",
    "member.list": "Look at the members",
    "member.remove": "End a membership",
    "member.take": "Take a role away",
    "offers.read": "Look at what may be done",
    "simulation.begin": "Begin to look as a member",
    "simulation.end": "End looking as a member",
}
"""What was done or tried, for people; the outcome stands beside it. Other events are shown by their names alone."""

KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "connections": ("connection.",),
    "tokens": ("credential.", "lease."),
    "members": ("member.", "invitation."),
    "keys": ("key.", "salt."),
}
"""What a trail can be narrowed to, by the beginnings of the events' names."""

OUTCOMES: Final = ("success", "denied", "failure")

_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}\Z", re.ASCII)
_LONGEST: Final = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which lines somebody looks for. Empty is any; days are whole ones in UTC, the last one included."""

    kind: str = ""
    outcome: str = ""
    who: str = ""
    connection: str = ""
    since: str = ""
    until: str = ""
    readings: bool = False

    @property
    def narrowed(self) -> bool:
        """Whether anything but the readings is left out."""
        return any((self.kind, self.outcome, self.who, self.connection, self.since, self.until))

    def query(self) -> dict[str, str]:
        """As the parameters of an address; `wanted` reads them."""
        names = ("kind", "outcome", "who", "connection", "since", "until")
        found = {name: str(getattr(self, name)) for name in names if getattr(self, name)}
        return {**found, "readings": "yes"} if self.readings else found

    def fits(self, line: Mapping[str, Any]) -> bool:
        """Whether somebody looks for that line."""
        event, resource = str(line.get("event") or ""), str(line.get("resource") or "")
        return (
            (self.readings or event not in READINGS or line.get("outcome") != "success")
            and (not self.kind or event.startswith(KINDS[self.kind]))
            and (not self.outcome or line.get("outcome") == self.outcome)
            and self.who.casefold() in str(line.get("actor") or "").casefold()
            and (not self.connection or f"{resource}/".endswith(f"/connections/{self.connection}/"))
            and self._in_time(str(line.get("time") or ""))
        )

    def is_before(self, line: Mapping[str, Any]) -> bool:
        """Whether this line, and so every earlier one, is too early."""
        return bool(self.since) and str(line.get("time") or "")[:10] < self.since

    def _in_time(self, time: str) -> bool:
        # RFC 3339 in UTC: text sorts as time does.
        return self.since <= time[:10] and (not self.until or time[:10] <= self.until)


def wanted(given: Mapping[str, str]) -> tuple[Wanted, dict[str, str]]:
    """What a page's address asks for, and what of it cannot be read, by the name of the field."""
    wrong: dict[str, str] = {}
    text = {name: given.get(name, "").strip() for name in ("kind", "outcome", "who", "connection", "since", "until")}
    for name, value in text.items():
        if len(value) > _LONGEST or not value.isprintable():
            wrong[name] = "That is too long, or has signs that cannot be printed."
    if text["kind"] and text["kind"] not in KINDS:
        wrong["kind"] = "Choose one of the list."
    if text["outcome"] and text["outcome"] not in OUTCOMES:
        wrong["outcome"] = "Choose one of the list."
    for name in ("since", "until"):
        if text[name] and not _is_day(text[name]):
            wrong[name] = "Give a day as year, month and day: 2026-11-23."
    if not wrong and text["since"] and text["until"] and text["since"] > text["until"]:
        wrong["until"] = "The last day is before the first one."
    kept = {name: "" if name in wrong else value for name, value in text.items()}
    return Wanted(**kept, readings=given.get("readings") == "yes"), wrong


def _is_day(text: str) -> bool:
    try:
        return bool(_DAY.match(text)) and datetime.fromisoformat(text) is not None
    except ValueError:
        return False


def today(now: datetime, back: int = 0) -> str:
    """The day of a time in UTC, or one some days before."""
    return f"{now.astimezone(UTC) - timedelta(days=back):%Y-%m-%d}"


def first_bad(events: Iterable[Mapping[str, Any]], *, after: int, prev: str) -> int | None:
    """The first sequence number that does not hold, worked out here and not believed; None if all do.

    `after` and `prev` are the number and the hash of the line before (0 and 64 zeros at the beginning).
    """
    for seq, event in enumerate(events, start=after + 1):
        try:
            if event.get("seq") != seq or event.get("hash") != link(prev, event):
                return seq
            prev = head_of(event).hash
        except ValueError:
            return seq
    return None


class Backwards:
    """A walk through the trail from its end, or from right before a number, until enough lines are found.

    The one who walks asks for `window()` and gives what came to `take`, until there is no window any more.
    """

    def __init__(self, asked: Wanted, *, head: Head, before: int | None, most: int, windows: int = _WINDOWS) -> None:
        self._asked = asked
        self._most = most
        self._seq = head.seq + 1 if before is None else max(1, min(before, head.seq + 1))
        # The hash that the last line of the next window must have, where it is known.
        self._hash = head.hash if self._seq == head.seq + 1 else None
        self._left = windows
        self._early = False
        self.lines: list[Mapping[str, Any]] = []
        """What was looked for, newest first."""
        self.looked_at = 0
        """How many lines were read."""
        self.bad: int | None = None
        """The first of them that does not hold."""

    def window(self) -> tuple[int, int] | None:
        """Behind which number the next window begins, and how many lines it has; None when it is enough."""
        if self._seq <= 1 or not self._left or self._early or len(self.lines) == self._most:
            return None
        after = max(0, self._seq - 1 - WINDOW)
        return after, self._seq - 1 - after

    @property
    def older(self) -> int | None:
        """The number to go on before; None at the beginning."""
        return None if self._seq <= 1 or self._early else self._seq

    def take(self, events: Sequence[Mapping[str, Any]], *, after: int, prev: str, said: int | None) -> None:
        """The lines of a window, the hash before them, and which of them the vault says does not hold."""
        self._left -= 1
        self.looked_at += len(events)
        # The vault says whether it holds; whoever reads it here need not take its word.
        bad = first_bad(events, after=after, prev=prev) or said
        if not events or (self._hash is not None and events[-1].get("hash") != self._hash):
            bad = bad or after + max(len(events), 1)
        self.bad, self._hash = bad or self.bad, prev
        for event in reversed(events):
            self._seq = int(event["seq"])
            if self._asked.is_before(event):
                self._early = True
                return
            if self._asked.fits(event):
                self.lines.append(event)
                if len(self.lines) == self._most:
                    return
        self._seq = after + 1
