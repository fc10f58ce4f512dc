"""Opening and closing a campaign: what is read, in which order, and what is left behind where it stops.

    open    roster ─ plausible? ─▶ bindings, history, use ─▶ items ─ believable? ─▶ database
    close   items, decisions ─▶ outcomes ─ refused? ─▶ closing ─▶ commit ─▶ evidence ─▶ closed

Each step can be repeated. A run that ends after the commit finds it again by its trailer, so a re-run comes to the
same outcomes, writes the same evidence and closes.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from admin_sync.access.campaigns import store
from admin_sync.access.campaigns.office import Held, Office
from admin_sync.certification.item import Item, key_of
from admin_sync.certification.outcome import TAKEN_AWAY, Outcome, Verdict, keys_of, outcomes, refusals
from admin_sync.certification.provenance import origins
from admin_sync.certification.report import folder
from admin_sync.certification.report.content import Circumstances, content
from admin_sync.certification.snapshot import Known, snapshot, unbelievable
from admin_sync.certification.usage import Usage
from admin_sync.errors import Interrupted, Refused
from admin_sync.load.document import Document
from admin_sync.load.schema.bindings import Binding
from admin_sync.model import Json
from admin_sync.repository import Change, Repository, Selector
from admin_sync.roster import Employee, Roster, implausible

TRAILER: Final = "Certification"

Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Opening:
    """What a campaign is opened with. The two numbers are what somebody has said is meant; None for policy's own."""

    quarter: str
    duration: timedelta
    roster: Roster
    usage: Usage
    leavers_allowed: int | None = None
    orphans_allowed: int | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """What a closed campaign came to."""

    report: Mapping[str, Json]
    files: tuple[Path, ...]
    pull_request: str | None


@dataclass(frozen=True, kw_only=True)
class Keys(Selector):
    """The bindings with these keys, and no others."""

    keys: frozenset[str]

    def fits(self, binding: Binding) -> bool:
        """Whether a binding is meant."""
        return key_of(binding) in self.keys


async def opened(
    office: Office, document: Document, directory: Path, opening: Opening, note: Note
) -> tuple[store.Campaign, list[Item]]:
    """Open a campaign over the configuration in `directory`. Raises Refused, Interrupted and DatabaseUnavailable."""
    now = await office.moment()
    history = await office.campaigns()
    previous = _roster(history[0]) if history else None
    # Before anything is asked: a roster that is not believed makes no campaign at all.
    wrong = list(implausible(previous, opening.roster, now.date(), leavers_allowed=opening.leavers_allowed))
    if not wrong:
        note("reading who wrote each binding")
        made = origins(document, directory)
        known = Known(opening.roster, opening.usage, made, await office.requesters(), now)
        items = snapshot(document, known)
        wrong = list(unbelievable(items, opening.orphans_allowed))
    if wrong:
        reasons = "; ".join(wrong)
        raise Refused(f"{opening.roster.source} is not believed: {reasons}. Nothing was opened and nobody is asked")
    if not items:
        raise Refused("there is no binding in force, so there is nothing to certify")
    draft = store.Campaign(
        quarter=opening.quarter,
        state=store.OPEN,
        opened_at=now,
        opened_by="",
        due=now + opening.duration,
        circumstances=_circumstances(document, opening.roster, opening.usage),
        roster=[one.email for one in opening.roster if one.employed(now.date())],
        **dict.fromkeys(("closing_at", "closed_by", "closed_at", "figures", "commit", "evidence")),
    )
    note(f"writing {len(items)} items")
    return await office.open(draft, items), items


async def closed(
    office: Office, repository: Repository, quarter: str, *, key: Ed25519PrivateKey, out: Path, allowed: int | None
) -> Closed:
    """Close a campaign. Raises Refused with every reason, and what `Repository.change` raises; a re-run is safe.

    allowed: the exact number of revocations that somebody has said is meant
    """
    held = await _held(office, quarter)
    if held.campaign.state == store.OPEN:
        _outcomes(held, *_before(repository, quarter), allowed)
    await office.begin_to_close(quarter)
    # Read again: a decision may have been the last to come in.
    held = await _held(office, quarter)
    document, committed = _before(repository, quarter)
    found = _outcomes(held, document, committed, allowed)
    if committed is None:
        commit, pull_request = _commit(repository, held, found)
    else:
        _did_it(repository, committed, found)
        commit, pull_request = committed, None
    report = content(_told(held.campaign, commit, pull_request), found)
    files = folder.write(out, report, key)
    evidence = hashlib.sha256((out / folder.ENVELOPE).read_bytes()).hexdigest()
    await office.close(quarter, report["figures"], commit, evidence)
    return Closed(report, tuple(files), pull_request)


async def _held(office: Office, quarter: str) -> Held:
    held = await office.held(quarter)
    if held is None:
        raise Refused(f"there is no campaign {quarter}; see certify status")
    if held.campaign.state == store.CLOSED:
        raise Refused(f"the campaign {quarter} was closed by {held.campaign.closed_by}; its evidence is signed")
    return held


def _before(repository: Repository, quarter: str) -> tuple[Document, str | None]:
    """The configuration that outcomes are held against, and our own commit where an earlier run made it."""
    said = repository.git.text(
        "log", "-1", "--format=%H %P", "--basic-regexp", f"--grep=^{TRAILER}: {quarter}$", repository.head()
    )
    if not said:
        return repository.document(), None
    commit, parent = said.split()[:2]
    return repository.snapshot(parent).document(repository.settings.environ), commit


def _outcomes(held: Held, document: Document, committed: str | None, allowed: int | None) -> list[Outcome]:
    campaign = held.campaign
    now = document.now
    found = outcomes(held.items, held.decisions, frozenset(keys_of(document)), campaign.circumstances["undecided"])
    # What is already committed was judged before, and cannot be stopped any more.
    wrong = [] if committed else list(refusals(document, found, now, campaign.due, allowed))
    if wrong:
        raise Refused(f"the campaign {campaign.quarter} is not closed: {'; '.join(wrong)}")
    return found


def _commit(repository: Repository, held: Held, found: list[Outcome]) -> tuple[str | None, str | None]:
    taken = frozenset(one.item.key for one in found if one.fate in TAKEN_AWAY)
    if not taken:
        return None, None
    quarter = held.campaign.quarter
    said = {one.reviewer for outcome in found for one in outcome.decisions if one.verdict is Verdict.REVOKE}
    summary = f"Take back {len(taken)} grants that certification {quarter} did not keep"
    author = repository.settings.committer_email
    with repository.change(
        author, summary, trailers={TRAILER: quarter}, branch=f"certification-{quarter.lower()}"
    ) as change:
        ended = _ended(change, taken)
        gone = ended | {key_of(one) for one in change.remove(Keys(keys=taken - ended))}
        for reviewer in sorted(said):
            change.trailer("Decided-by", reviewer)
        if gone != taken:
            raise Interrupted("role_bindings.yaml changed while the campaign was closed; a re-run is safe")
    made = change.committed
    return (None, None) if made is None else (made.commit, made.pull_request)


def _ended(change: Change, taken: frozenset[str]) -> frozenset[str]:
    """Give an end to what is not taken out at once; the keys of it.

    A membership whose line is gone might be the gift of an identity provider that may give this group, and would stay.
    With an end on record it leaves Keycloak, and then the file (`admin_sync/reconciler/ending.py`).
    """
    document = change.document
    providers = document.roles.identity_providers.values()
    given = {path for one in providers for path in one.group_mappings.values()}
    rounds: list[set[str]] = []
    seen: Counter[tuple[str, str]] = Counter()
    for one in document.bindings.bindings:
        if key_of(one) in taken and one.group in given and (one.expires is None or one.expires > document.now):
            who = (one.subject.user.lower(), one.target)
            if seen[who] == len(rounds):
                rounds.append(set())
            rounds[seen[who]].add(key_of(one))
            seen[who] += 1
    for number, keys in enumerate(rounds):
        # Two lines of one person and group would be the same line twice if they had the same end.
        change.shorten(Keys(keys=frozenset(keys)), document.now - timedelta(microseconds=number + 1))
    return frozenset(key for keys in rounds for key in keys)


def _did_it(repository: Repository, commit: str, found: list[Outcome]) -> None:
    """Raises Refused for a commit that bears our trailer and is somebody else's."""
    left = set(keys_of(repository.snapshot(commit).document(repository.settings.environ)))
    kept = [one.item.holder for one in found if one.fate in TAKEN_AWAY and one.item.key in left]
    if kept:
        raise Refused(f"commit {commit[:12]} claims to be of this certification and left {kept[0]} what it takes away")


def _circumstances(document: Document, roster: Roster, usage: Usage) -> dict[str, Json]:
    policy = document.policies.certification
    return {
        "roster": {"source": roster.source, "sha256": roster.digest, "people": len(roster)},
        "every": _days(policy.every),
        "stale_after": _days(policy.stale_after),
        "undecided": policy.undecided,
        "recorded_since": {realm: at.isoformat() for realm, at in sorted(usage.since.items())},
    }


def _told(campaign: store.Campaign, commit: str | None, pull_request: str | None) -> Circumstances:
    stated = campaign.circumstances
    return Circumstances(
        quarter=campaign.quarter,
        opened_at=campaign.opened_at,
        opened_by=campaign.opened_by,
        due=campaign.due,
        closed_at=campaign.closing_at or campaign.due,
        closed_by=campaign.closed_by or "",
        commit=commit,
        pull_request=pull_request,
        roster=stated["roster"],
        policy={name: stated[name] for name in ("every", "stale_after", "undecided")},
        recorded_since=stated["recorded_since"],
    )


def _days(duration: timedelta) -> str:
    whole = duration.total_seconds() / 86400
    return f"{whole:g} days" if whole >= 1 else f"{duration.total_seconds():g} seconds"


def _roster(campaign: store.Campaign) -> Roster:
    """Who was employed when the last campaign was opened; all that plausibility asks about."""
    people = tuple(Employee(email=one, name="", department="", active=True, start=date.min) for one in campaign.roster)
    return Roster(people, f"the roster of {campaign.quarter}", campaign.circumstances["roster"]["sha256"])
