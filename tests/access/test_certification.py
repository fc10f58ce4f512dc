"""What a certification asks, who may answer, and what comes of it; no server is needed for that."""

from __future__ import annotations

import base64
import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from certification_world import (
    LONG_AGO,
    NOW,
    REALMS,
    address,
    company,
    configured,
    decided,
    known,
    rostered,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from repository_world import git

from admin_sync.access.speakers import Speakers
from admin_sync.certification.calendar import checked_quarter, overdue, quarter_of
from admin_sync.certification.item import Item, Sign, Standing
from admin_sync.certification.outcome import Fate, Verdict, outcomes, refusals
from admin_sync.certification.provenance import origins
from admin_sync.certification.report import envelope, folder
from admin_sync.certification.report.content import Circumstances, content
from admin_sync.certification.reviewer import NotAReviewer, Reviewers
from admin_sync.certification.snapshot import snapshot, unbelievable
from admin_sync.certification.usage import Usage, from_files, take_event
from admin_sync.errors import Misconfigured, Refused
from admin_sync.load.document import Document
from admin_sync.model import Json
from admin_sync.roster import Roster

EVERYWHERE = ("dev", "staging", "prod")
ROWS = [
    ("ann", "group research", EVERYWHERE),
    ("ben", "role viewer", ("dev",)),
    ("cy", "group trading", ("prod",)),
    ("sam", "group security", EVERYWHERE),
    ("olive", "group research-owners", EVERYWHERE),
]
PEOPLE = [("boss", "-"), *((name, "boss") for name in ("ann", "ben", "cy", "sam", "olive", "rob"))]


@pytest.fixture
def document(tmp_path: Path) -> Document:
    return configured(tmp_path / "iam", ROWS)


@pytest.fixture
def roster() -> Roster:
    return rostered(*PEOPLE)


def items_of(document: Document, roster: Roster, **about: object) -> dict[str, Item]:
    count = len(document.bindings.bindings)
    found = snapshot(document, known(roster, count=count, **{"seen": [row[0] for row in ROWS], **about}))  # type: ignore[arg-type]
    return {one.holder.partition("@")[0]: one for one in found}


def test_an_item_says_what_is_given_by_which_way_and_who_owns_it(document: Document, roster: Roster) -> None:
    item = items_of(document, roster)["ann"]
    assert item.roles == [("group research", "role quant"), ("group research", "role viewer")]
    assert "backtest:run" in item.permissions
    assert set(item.owners) == {"platform-owners", "research-owners"}
    assert (item.standing, item.name, item.manager) == (Standing.EMPLOYED, "Ann", address("boss"))
    assert item.provisioners == [address("operator")]
    assert {name: one.last for name, one in item.use.items()} == dict.fromkeys(EVERYWHERE, NOW - timedelta(days=1))
    assert Item.of(json.loads(json.dumps(item.record()))).hash == item.hash


def test_whoever_is_in_no_roster_or_has_left_is_an_orphan(document: Document) -> None:
    roster = rostered(*(one for one in PEOPLE if one[0] != "ann"), gone=["ben"])
    items = items_of(document, roster)
    assert {name for name, one in items.items() if Sign.ORPHAN in one.signs} == {"ann", "ben"}
    assert (items["ann"].standing, items["ben"].standing) == (Standing.UNKNOWN, Standing.LEFT)


@pytest.mark.parametrize(
    ("about", "stale"),
    [
        ({}, True),
        ({"seen": ["cy"]}, False),
        # Who was given something last month has had no time to leave it unused.
        ({"written": NOW - timedelta(days=30)}, False),
        # A record that begins last week says nothing about the last quarter, and no record says nothing at all.
        ({"since": NOW - timedelta(days=7)}, False),
        ({"since": None}, False),
    ],
)
def test_only_a_record_that_reaches_back_far_enough_shows_that_something_is_unused(
    document: Document, roster: Roster, about: dict[str, object], stale: bool
) -> None:
    item = items_of(document, roster, **{"seen": [], **about})["cy"]
    assert (Sign.STALE in item.signs) is stale


def test_keycloaks_own_events_show_use_and_nobody_elses_do(tmp_path: Path) -> None:
    def line(**changed: Json) -> str:
        plain = {"event": "login", "outcome": "success", "time": "2026-11-01T10:00:00Z", "source": "keycloak"}
        return json.dumps({**plain, "actor": "Ann@tradepulse.example", "resource": "client=c realm=r", **changed})

    path = tmp_path / "iam_events.jsonl"
    path.write_text(
        "\n".join(
            [
                line(time="2026-08-01T00:00:00Z", event="login.error", outcome="failure"),
                line(),
                line(time="2026-11-20T00:00:00Z", outcome="failure"),
                line(time="2026-11-21T00:00:00Z", source="admin-sync"),
                line(time="2026-11-22T00:00:00Z", event="credential.removed"),
                '{"torn',
            ]
        )
    )
    usage = Usage()
    from_files(usage, [path], lambda _: None)
    use = usage.of("r", [address("ann")])
    assert (str(use.last), str(use.recorded_since)) == ("2026-11-01 10:00:00+00:00", "2026-08-01 00:00:00+00:00")
    later = {"time": 1_795_000_000_000, "type": "REFRESH_TOKEN", "userId": "u1"}
    take_event(usage, "r", later, {"u1": "ANN@tradepulse.example"})
    take_event(usage, "r", {**later, "time": 1_799_000_000_000, "error": "x"}, {"u1": address("ann")})
    seen = usage.of("r", [address("ann")]).last
    assert seen is not None
    assert seen.timestamp() == 1_795_000_000


def test_a_roster_that_misses_most_holders_is_not_theirs(document: Document) -> None:
    half = rostered(("boss", "-"), ("ann", "boss"))
    items = list(items_of(document, half).values())
    assert [*unbelievable(items)] == ["4 of 5 people with a grant are not employed by it, and at most 3 may be"]
    assert [*unbelievable(items, 4)] == []


def test_the_history_of_the_file_says_who_wrote_each_binding(tmp_path: Path) -> None:
    place = tmp_path / "tree"
    configured(place / "iam", ROWS[:2])
    git(place, "init", "--quiet", "--initial-branch=main")
    git(place, "add", "--all")
    git(place, "-c", "user.email=first@tradepulse.example", "commit", "--quiet", "--message=First")
    configured(place / "iam", ROWS[2:3], replace=False)
    git(place, "-c", "user.email=Second@tradepulse.example", "commit", "--quiet", "--all", "--message=Second")
    found = configured(place / "iam", ROWS[3:4], replace=False)
    made = origins(found, place / "iam")
    assert [made[number].authors[0] if number in made else None for number in range(4)] == [
        address("first"),
        address("first"),
        address("second"),
        None,
    ]


def test_nobody_gives_what_they_wrote_to_somebody_else(tmp_path: Path) -> None:
    """Whoever wrote a binding must not decide about it, so who did is nothing that a file beside it may say."""
    place = tmp_path / "tree"
    found = configured(place / "iam", ROWS[:1])
    git(place, "init", "--quiet", "--initial-branch=main")
    git(place, "add", "--all")
    git(place, "-c", "user.email=first@tradepulse.example", "commit", "--quiet", "--message=First")
    (place / ".mailmap").write_text("Other <other@tradepulse.example> <first@tradepulse.example>\n")
    commit = git(place, "rev-parse", "HEAD").strip()
    (place / "ignored").write_text(f"{commit}\n")
    git(place, "config", "blame.ignoreRevsFile", str(place / "ignored"))
    assert origins(found, place / "iam")[0].authors == (address("first"),)


def test_without_a_history_nobody_is_known(document: Document, tmp_path: Path) -> None:
    assert origins(document, tmp_path / "iam") == {}


@pytest.fixture
def reviewers(document: Document, roster: Roster) -> Reviewers:
    return Reviewers(Speakers(document, roster, NOW), "security")


@pytest.mark.parametrize(
    ("who", "item", "answer"),
    [
        ("boss", "ann", "manager"),
        ("olive", "ann", "system_owner"),
        ("sam", "ann", "security"),
        ("Sam+iam", "ann", "security"),
        ("ann", "ann", "own_binding"),
        ("ANN+other", "ann", "own_binding"),
        ("sam", "sam", "own_binding"),
        ("rob", "ann", "no_say"),
        ("ben", "ann", "no_say"),
        # An owner speaks for what they own, and nowhere else.
        ("olive", "cy", "no_say"),
        ("stranger", "ann", "not_employed"),
    ],
)
def test_whoever_has_a_say_and_no_hand_in_it_decides(
    document: Document, roster: Roster, reviewers: Reviewers, who: str, item: str, answer: str
) -> None:
    found = reviewers.capacity(address(who), items_of(document, roster)[item])
    assert (found.code if isinstance(found, NotAReviewer) else found) == answer


@pytest.mark.parametrize("who", ["boss", "Boss", "boss+iam"])
def test_whoever_provisioned_it_decides_nothing(
    document: Document, roster: Roster, reviewers: Reviewers, who: str
) -> None:
    item = items_of(document, roster, author="boss")["ann"]
    found = reviewers.capacity(address(who), item)
    assert isinstance(found, NotAReviewer)
    assert found.code == "had_a_hand"


def fates(items: list[Item], *said: object, policy: str = "report", present: set[str] | None = None) -> list[Fate]:
    keys = {one.key for one in items} if present is None else present
    return [one.fate for one in outcomes(items, said, keys, policy)]  # type: ignore[arg-type]


def test_a_revoke_outweighs_a_keep_whoever_came_first(document: Document, roster: Roster) -> None:
    item = items_of(document, roster)["ann"]
    keep, revoke = decided(item), decided(item, Verdict.REVOKE, by="sam")
    assert fates([item], keep) == [Fate.KEPT]
    assert fates([item], keep, revoke) == fates([item], revoke, keep) == [Fate.REVOKED]


def test_a_decision_about_another_text_counts_for_nothing(document: Document, roster: Roster) -> None:
    item = items_of(document, roster)["ann"]
    assert fates([item], replace(decided(item), hash="0" * 64)) == [Fate.UNDECIDED]


@pytest.mark.parametrize(
    ("policy", "orphan", "plain"),
    [
        ("report", Fate.UNDECIDED, Fate.UNDECIDED),
        ("revoke_proposed", Fate.REVOKED_UNDECIDED, Fate.UNDECIDED),
        ("revoke", Fate.REVOKED_UNDECIDED, Fate.REVOKED_UNDECIDED),
    ],
)
def test_policy_says_what_becomes_of_what_nobody_decided(
    document: Document, policy: str, orphan: Fate, plain: Fate
) -> None:
    items = items_of(document, rostered(*PEOPLE, gone=["ben"]))
    assert fates([items["ben"], items["ann"]], policy=policy) == [orphan, plain]
    assert fates([items["ben"]], policy=policy, present=set()) == [Fate.GONE]


def test_a_campaign_is_not_closed_before_everything_is_decided_or_due(document: Document, roster: Roster) -> None:
    items = list(items_of(document, roster).values())
    found = outcomes(items, [decided(items[0])], {one.key for one in items}, "report")
    due = NOW + timedelta(days=1)
    assert [*refusals(document, found, NOW, due, None)] == [
        "nobody has decided about 4 of 5 items, and they have until 2026-11-24 12:00 UTC"
    ]
    assert [*refusals(document, found, due, due, None)] == []


def test_the_last_who_can_change_access_keeps_it(document: Document, roster: Roster) -> None:
    items = list(items_of(document, roster).values())
    said = [decided(one, Verdict.REVOKE if one.holder == address("sam") else Verdict.KEEP) for one in items]
    found = outcomes(items, said, {one.key for one in items}, "report")
    reasons = [*refusals(document, found, NOW, NOW, None)]
    assert [one.partition(":")[0] for one in reasons] == ["dev", "staging", "prod"]
    assert "nobody would be left who can change access" in reasons[0]


def test_everything_at_once_is_taken_away_only_by_the_exact_number(tmp_path: Path) -> None:
    rows, roster, _ = company(40)
    document = configured(tmp_path / "iam", rows)
    items = snapshot(document, known(roster, count=len(rows)))
    said = [decided(one, Verdict.REVOKE) for one in items if one.holder != address("boss")]
    found = outcomes(items, said, {one.key for one in items}, "report")
    assert "give --allow-revocations 40" in next(refusals(document, found, NOW, NOW, None))
    assert "give --allow-revocations 40" in next(refusals(document, found, NOW, NOW, 39))
    assert [*refusals(document, found, NOW, NOW, 40)] == []


def test_quarters_are_those_that_have_begun() -> None:
    assert quarter_of(NOW) == "2026Q4"
    assert checked_quarter("2026Q3", NOW) == "2026Q3"
    for wrong in ("2027Q1", "2026Q5", "2026-Q4", "Q4"):
        with pytest.raises(Misconfigured, match="--quarter"):
            checked_quarter(wrong, NOW)
    every = timedelta(days=90)
    assert overdue(None, every, NOW)
    assert overdue(NOW - every, every, NOW)
    assert not overdue(NOW - every + timedelta(seconds=1), every, NOW)


def reported(found: list[object]) -> dict[str, Json]:
    told = Circumstances(
        quarter="2026Q4",
        opened_at=LONG_AGO,
        opened_by="admin-sync:ops",
        due=NOW,
        closed_at=NOW,
        closed_by="admin-sync:ops",
        commit="a" * 40,
        pull_request=None,
        roster={"source": "roster.csv", "sha256": "0" * 64, "people": 7},
        policy={"every": "90 days", "stale_after": "90 days", "undecided": "report"},
        recorded_since=dict.fromkeys(REALMS, LONG_AGO.isoformat()),
    )
    return content(told, found)  # type: ignore[arg-type]


def test_evidence_holds_until_one_byte_of_it_is_another(document: Document, roster: Roster, tmp_path: Path) -> None:
    items = list(items_of(document, roster).values())
    report = reported(outcomes(items, [decided(items[0])], {one.key for one in items}, "report"))  # type: ignore[arg-type]
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    paths = folder.write(tmp_path / "evidence", report, key)
    assert {path.name for path in paths} == {"report.json", "report.md", "report.html", "evidence.dsse.json"}
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o600}
    assert folder.verify(tmp_path / "evidence", key.public_key())["campaign"]["quarter"] == "2026Q4"
    before = {path: path.read_bytes() for path in paths}
    assert {path: path.read_bytes() for path in folder.write(tmp_path / "evidence", report, key)} == before
    with pytest.raises(Refused, match="not signed by the key"):
        folder.verify(tmp_path / "evidence", other.public_key())
    for path in paths:
        path.write_bytes(
            before[path].replace(b"2026Q4", b"2026Q3", 1) if path.suffix != ".json" else before[path] + b" "
        )
        if path.name == folder.ENVELOPE:
            forged = json.loads(before[path])
            payload = base64.b64decode(forged["payload"]).replace(b'"kept":1', b'"kept":5')
            path.write_text(json.dumps({**forged, "payload": base64.b64encode(payload).decode()}))
        with pytest.raises(Refused):
            folder.verify(tmp_path / "evidence", key.public_key())
        path.unlink()
        with pytest.raises(Refused, match="missing"):
            folder.verify(tmp_path / "evidence", key.public_key())
        path.write_bytes(before[path])


def test_a_signature_over_something_else_is_no_evidence() -> None:
    key = Ed25519PrivateKey.generate()
    wrong = envelope.signed({}, {}, key).replace(envelope.PAYLOAD.encode(), b"text/plain")
    for bad in (b"", b"{}", b"[]", b'{"payload":"x"}', wrong):
        with pytest.raises(envelope.NotEvidence):
            envelope.opened(bad, key.public_key())


def test_what_people_wrote_does_nothing_in_a_report(document: Document, roster: Roster, tmp_path: Path) -> None:
    item = items_of(document, roster)["ann"]
    nasty = "<script>alert(1)</script> | [x](http://evil) \n# Heading"
    said = replace(decided(item, Verdict.REVOKE), reason=nasty, reviewer='"><img src=x>@tradepulse.example')
    folder.write(tmp_path / "e", reported(outcomes([item], [said], {item.key}, "report")), Ed25519PrivateKey.generate())  # type: ignore[arg-type]
    page, text = ((tmp_path / "e" / name).read_text() for name in ("report.html", "report.md"))
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "default-src 'none'" in page
    assert "\n# Heading" not in text
    assert "\\[x\\](http" in text


def test_five_thousand_bindings_are_reported_one_by_one_and_in_sum(tmp_path: Path) -> None:
    rows, roster, seen = company(5000)
    document = configured(tmp_path / "iam", rows)
    items = snapshot(document, known(roster, seen=seen, count=len(rows)))
    assert [*unbelievable(items)] == []
    said = [decided(one, seconds=number) for number, one in enumerate(items) if number % 2]
    found = outcomes(items, said, {one.key for one in items}, "revoke_proposed")
    report = reported(found)  # type: ignore[arg-type]
    folder.write(tmp_path / "evidence", report, Ed25519PrivateKey.generate())
    figures = report["figures"]
    assert (figures["items"], figures["orphaned_identities"]) == (5001, 100)
    assert figures["signs"]["orphan"] == 100
    assert figures["fates"] == {fate.value: Counter(one.fate for one in found)[fate] for fate in Fate}
    assert len(report["items"]) == 5001
    (row,) = report["reviewers"]
    assert (row["decisions"], row["seconds_between"], row["hasty"]) == (2500, 2.0, False)


def test_whoever_keeps_everything_faster_than_one_reads_is_named(document: Document, roster: Roster) -> None:
    items = list(items_of(document, roster).values()) * 3
    hasty = [decided(one, seconds=number / 10) for number, one in enumerate(items)]
    found = outcomes(items[:5], hasty, {one.key for one in items}, "report")
    assert [row["hasty"] for row in reported(found)["reviewers"]] == [True]  # type: ignore[arg-type]
