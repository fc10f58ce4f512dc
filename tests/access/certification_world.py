"""Companies of any size for the tests of certification: bindings, a roster, the record of use, decisions."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from admin_sync.certification.item import Item
from admin_sync.certification.outcome import Decision, Verdict
from admin_sync.certification.provenance import Origin
from admin_sync.certification.snapshot import Known
from admin_sync.certification.usage import Usage
from admin_sync.check import checked
from admin_sync.load.document import Document
from admin_sync.roster import Roster, parse

SAMPLE = Path(__file__).resolve().parents[2] / "configs" / "iam"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=400)
REALMS = ("tradepulse-dev", "tradepulse-staging", "tradepulse-prod")

Row = tuple[str, str, Sequence[str]]
"""Who, what (`role viewer`), where."""


def address(name: str) -> str:
    return f"{name}@tradepulse.example"


def configured(folder: Path, bindings: Iterable[Row], *, replace: bool = True) -> Document:
    """The sample's document with these bindings instead of its own, or beside them."""
    if not folder.exists():
        shutil.copytree(SAMPLE, folder)
    path = folder / "role_bindings.yaml"
    head = "version: 1\nbindings:\n" if replace else path.read_text()
    path.write_text(head + "".join(_binding(*row) for row in bindings))
    return checked(folder, {})


def _binding(who: str, what: str, where: Sequence[str]) -> str:
    kind, name = what.split()
    places = f"[{', '.join(where)}]"
    return f"  - subject: {{user: {address(who)}}}\n    {kind}: {name}\n    environments: {places}\n"


def rostered(*people: tuple[str, str], gone: Iterable[str] = ()) -> Roster:
    """A roster of (name, manager) pairs and who has left; a manager `-` is nobody."""
    left = set(gone)
    rows = ["email,name,manager,department,active,start,end,aliases"]
    for name, manager in people:
        leader = "" if manager == "-" else address(manager)
        active = "false" if name in left else "true"
        rows.append(f"{address(name)},{name.title()},{leader},desk,{active},2020-01-01,,")
    return parse("\n".join(rows).encode() + b"\n", "roster.csv")


def known(
    roster: Roster,
    *,
    seen: Iterable[str] = (),
    since: datetime | None = LONG_AGO,
    author: str = "operator",
    count: int = 0,
    written: datetime = LONG_AGO,
) -> Known:
    """What is known besides the configuration: who was seen yesterday everywhere, and who wrote all of the file."""
    usage = Usage()
    for realm in REALMS:
        if since is not None:
            usage.recorded(realm, since)
        for name in seen:
            usage.seen(realm, address(name), NOW - timedelta(days=1))
    origin = Origin((address(author),), written)
    return Known(roster, usage, dict.fromkeys(range(count), origin), {}, NOW)


def decided(item: Item, verdict: Verdict = Verdict.KEEP, *, by: str = "boss", seconds: float = 0.0) -> Decision:
    """A reviewer's word."""
    return Decision(
        item=item.key,
        hash=item.hash,
        verdict=verdict,
        reason="Still needed for the desk." if verdict is Verdict.KEEP else "Left the desk in October.",
        reviewer=address(by),
        capacity="manager",
        sub="5f3c",
        acr="aal2",
        auth_time=int(NOW.timestamp()),
        session="s-1",
        at=NOW + timedelta(seconds=seconds),
    )


def company(size: int) -> tuple[list[Row], Roster, list[str]]:
    """Bindings of a company of that many, its roster, and who was seen lately.

    One in fifty has left or is in no roster, one in twenty was not seen.
    """
    groups = ("research", "trading", "model-platform")
    names = [f"person{number:05d}" for number in range(size)]
    everywhere = ("dev", "staging", "prod")
    rows: list[Row] = [
        (name, f"group {groups[number % 3]}", everywhere if number % 4 else ("dev",))
        for number, name in enumerate(names)
    ]
    rows.append(("boss", "group security", everywhere))
    people = [("boss", "-"), *((name, "boss") for number, name in enumerate(names) if number % 100 != 7)]
    gone = [name for number, name in enumerate(names) if number % 100 == 57]
    return rows, rostered(*people, gone=gone), [name for number, name in enumerate(names) if number % 20 != 3]


def plain(report: object) -> str:
    return json.dumps(report, sort_keys=True)
