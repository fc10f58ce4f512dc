"""The reconciler without a server: paging, what the files say, what is missing, the lines it writes."""

from __future__ import annotations

import gzip
import os
import re
import threading
import zlib
from pathlib import Path
from typing import Any, cast

import httpx
import orjson
import pytest
from admin_sync_world import ROOT
from hypothesis import given
from hypothesis import strategies as st

from admin_sync.audit_reconcile.compare import Findings, compare
from admin_sync.audit_reconcile.lines import NAMES, line
from admin_sync.audit_reconcile.progress import alone
from admin_sync.audit_reconcile.repeated import repeat
from admin_sync.audit_reconcile.run import Outcome, Reconciled, reached
from admin_sync.audit_reconcile.stored import PAGE, Kept, Stored, stored
from admin_sync.audit_reconcile.written import announced, audit_files, lines_of, milliseconds, stamp
from admin_sync.errors import Misconfigured
from admin_sync.keycloak.connection import Connection
from admin_sync.lock import LockHeld
from stack.ports import unused

JAVA = ROOT / "realm/extension/src/main/java/example/tradepulse/keycloak/audit/EventNames.java"


class Events:
    """Keycloak's paging: by time, the order within a millisecond another in every answer."""

    def __init__(self, times: list[int]) -> None:
        self._times = dict(enumerate(times))
        self.asked = 0

    def get(self, _path: str, **query: int) -> list[dict[str, Any]]:
        self.asked += 1
        turn = -1 if self.asked % 2 else 1
        inside = [
            (time, turn * number, number)
            for number, time in self._times.items()
            if query["dateFrom"] <= time <= query.get("dateTo", time)
        ]
        page = sorted(inside)[query["first"] : query["first"] + query["max"]]
        return [{"id": str(number), "time": time} for time, _, number in page]


def found(times: list[int], until: int = 10**6) -> tuple[list[Stored], Events]:
    server = Events(times)
    return list(stored(cast("Connection", server), "demo", "user", 0, until)), server


@given(st.lists(st.integers(0, 40), max_size=3 * PAGE))
def test_every_event_comes_once_however_many_share_a_millisecond(times: list[int]) -> None:
    events, _ = found(times)
    assert sorted(int(event.id) for event in events) == list(range(len(times)))
    assert [event.time for event in events] == sorted(times)


def test_more_events_of_one_millisecond_than_a_page_holds_are_all_found() -> None:
    events, server = found([7] * (3 * PAGE) + [8])
    assert len({event.id for event in events}) == len(events) == 3 * PAGE + 1
    assert server.asked < 8


def test_nothing_newer_than_asked_for_is_looked_at() -> None:
    events, _ = found([1, 2, 3], until=2)
    assert [event.time for event in events] == [1, 2]


def event(identity: str, kind: str = "user", **body: Any) -> Stored:
    return Stored(identity, cast("Any", kind), 1_700_000_000_123, {"id": identity, "type": "LOGIN", **body})


def test_every_stored_event_is_written_pending_or_missing_and_a_second_line_is_said() -> None:
    events = [event(name) for name in ("written", "doubled", "pending", "both", "missing")]
    findings = compare(events, {"written": 1, "doubled": 2, "both": 1, "other": 3}, {"pending", "both"})
    assert (findings.stored, findings.written, findings.pending) == (5, 3, 1)
    assert [one.id for one in findings.missing] == ["missing"]
    assert findings.doubled == ("doubled",)
    assert findings.oldest_pending == 1_700_000_000_123


def run(since: int, until: int, *pending: int) -> Reconciled:
    findings = Findings(9, 9 - len(pending), len(pending), (), (), min(pending, default=None))
    return Reconciled("demo", since, until, Kept(user=True, admin=True), findings, 0)


def test_a_run_that_began_after_the_last_one_ended_skips_nothing_for_the_next() -> None:
    assert reached({"demo": 500}, {"demo": 400}, [run(400, 900)]) == {"demo": 900}
    assert reached({"demo": 500}, {"demo": 600}, [run(600, 900)]) == {"demo": 500}
    assert reached({}, {"demo": 600}, [run(600, 900)]) == {}
    assert reached({}, {"demo": 0}, [run(0, 900)]) == {"demo": 900}
    # Lines without an id are no reason to look at their time again and again.
    assert reached({}, {"demo": 0}, [run(700, 900)]) == {"demo": 900}


def test_what_a_write_ahead_file_only_promised_is_looked_for_again() -> None:
    assert reached({"demo": 500}, {"demo": 400}, [run(400, 900, 450, 800)]) == {"demo": 450}
    assert reached({"demo": 450}, {"demo": 350}, [run(350, 1000, 450)]) == {"demo": 450}
    assert reached({"demo": 450}, {"demo": 350}, [run(350, 1000)]) == {"demo": 1000}


def test_events_have_the_names_that_the_listener_gives_them() -> None:
    entries = re.findall(r'entry\("([A-Z0-9_]+)", "([a-z.]+)"\)', JAVA.read_text())
    assert len(entries) > 15
    assert dict(entries) == NAMES


def test_a_missing_line_says_what_the_store_knows_and_no_more() -> None:
    details = {"username": "typed-secret", "auth_method": "openid-connect", "code_id": "secret", "grant_type": "x y=z"}
    body = {"userId": "u1", "clientId": "cli", "sessionId": "s1", "ipAddress": "192.0.2.1", "details": details}
    record = line(event("e1", **body), "demo", {"u1": "a@b.example"}.__getitem__).record()
    assert record["event"] == "login"
    assert (record["actor"], record["outcome"], record["session"], record["ip"]) == (
        "a@b.example",
        "success",
        "s1",
        "192.0.2.1",
    )
    assert record["resource"] == 'auth_method=openid-connect client=cli grant_type="x y=z" realm=demo'
    assert (record["event_id"], record["recovered_by"]) == ("e1", "reconcile")
    assert record["occurred_at"] == "2023-11-14T22:13:20.123Z"
    assert (record["assurance_level"], record["amr"]) == (None, [])
    assert "secret" not in str(record)


def test_a_failed_login_and_a_change_by_an_administrator_are_told_apart() -> None:
    failed = line(event("e1", type="LOGIN_ERROR", error="user_not_found"), "demo", str).record()
    assert (failed["event"], failed["outcome"], failed["reason"], failed["action"]) == (
        *("login.error", "failure", "user_not_found", "authenticate"),
    )
    body = {
        "operationType": "CREATE",
        "resourceType": "REALM_ROLE",
        "resourcePath": "roles/x",
        "authDetails": {"userId": "u2", "ipAddress": "192.0.2.2"},
    }
    changed = line(event("e2", "admin", **body), "demo", str).record()
    assert (changed["event"], changed["action"], changed["actor"]) == ("admin.realm_role.create", "create", "u2")
    assert changed["resource"] == "path=roles/x realm=demo"


def segment_line(content: dict[str, Any]) -> bytes:
    text = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    return b"%08x %s\n" % (zlib.crc32(text), text)


def intent(identity: str, *ids: str) -> bytes:
    return segment_line({"intent": identity, "records": [{"event_id": one} for one in ids], "stored": list(ids[:1])})


def test_what_is_announced_and_not_settled_is_pending(tmp_path: Path) -> None:
    audit = tmp_path / "iam_events.jsonl"
    first, second = (tmp_path / f"iam_events.jsonl.keycloak@n.00000000000{number}.wal" for number in (1, 2))
    torn = intent("t", "torn")[:-5]
    first.write_bytes(segment_line({"file": "x", "size": 0}) + intent("a", "a1", "a2") + intent("b", "b1") + torn)
    second.write_bytes(segment_line({"settled": ["a"]}) + intent("c", "c1") + intent("d", "d1").replace(b"d1", b"d2"))
    assert announced(audit) == {"b1", "c1"}


def test_lines_are_counted_over_the_file_and_what_it_was_moved_to(tmp_path: Path) -> None:
    audit, other = tmp_path / "iam_events.jsonl", tmp_path / "elsewhere.jsonl"

    def audit_line(identity: str | None, time: str, source: str = "keycloak") -> bytes:
        members = {"source": source, "time": time, **({} if identity is None else {"event_id": identity})}
        return orjson.dumps(members) + b"\n"

    late = "2026-11-23T03:00:00.000Z"
    audit.write_bytes(audit_line("one", late) + audit_line("one", late, "reconcile") + b'{"event_id": broken\n')
    audit.with_name("iam_events-1.jsonl").write_bytes(
        audit_line(None, "2026-11-01T00:00:00.000Z")
        + audit_line(None, late, "admin-sync")
        + audit_line("old", "2026-11-02T00:00:00.000Z")
        + audit_line("two", late)
    )
    other.write_bytes(audit_line("three", late))
    audit.with_name("iam_events.jsonl.1").write_bytes(audit_line("four", late))
    audit.with_name("iam_events.jsonl.lock").write_bytes(audit_line("no line", late))
    lines = lines_of(audit_files(audit, [other]), milliseconds("2026-11-23T00:00:00+00:00"))
    assert lines.ids == {"one": 2, "two": 1, "three": 1, "four": 1}
    assert stamp(lines.unidentified_until) == "2026-11-01T00:00:00.000Z"


def test_progress_survives_and_a_second_run_is_turned_away(tmp_path: Path) -> None:
    audit = tmp_path / "audit" / "iam_events.jsonl"
    with alone(audit) as progress:
        assert progress.read() == {}
        progress.write({"demo": 17})
        with pytest.raises(LockHeld), alone(audit):
            pass
    with alone(audit) as progress:
        assert progress.read() == {"demo": 17}
        (audit.parent / "iam_events.jsonl.reconciled.json").write_text('{"realms": {"demo": "soon"}}')
        assert progress.read() == {}


def test_lines_of_a_file_that_was_packed_are_not_taken_for_missing(tmp_path: Path) -> None:
    audit = tmp_path / "iam_events.jsonl"
    for name, identity in (("iam_events.jsonl.1.gz", "packed"), ("iam_events-20261122.jsonl", "dated")):
        text = orjson.dumps({"event_id": identity, "source": "keycloak", "time": stamp(1_700_000_000_000)}) + b"\n"
        (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    old = tmp_path / "iam_events.jsonl.2.gz"
    old.write_bytes(b"whatever it holds is older than what is asked for")
    os.utime(old, (1_600_000_000, 1_600_000_000))
    audit.write_bytes(b"")
    assert set(lines_of(audit_files(audit), 1_690_000_000_000).ids) == {"packed", "dated"}


def test_a_run_after_the_other_is_counted_and_one_that_fails_stops_none(tmp_path: Path) -> None:
    whole = Outcome(tmp_path / "iam_events.jsonl", (), None)
    address = f"127.0.0.1:{unused()}"
    stop, said, shown = threading.Event(), [], []

    def run() -> Outcome:
        runs.append(1)
        if len(runs) == 1:
            raise LockHeld("another run reconciles right now")
        if len(runs) == 3:
            shown.append(httpx.get(f"http://{address}/metrics", trust_env=False).text)
            stop.set()
        return whole

    runs: list[int] = []
    repeat(run, 0.01, address, stop, said.append)
    assert len(runs) == 3
    assert any("another run reconciles" in one for one in said)
    for outcome, count in (("failed", 1), ("whole", 1), ("not_whole", 0)):
        assert f'tradepulse_audit_reconcile_runs_total{{outcome="{outcome}"}} {count}.0' in shown[0]


@pytest.mark.parametrize("address", ["8311", "127.0.0.1:", "127.0.0.1:70000", "127.0.0.1:x"])
def test_a_malformed_address_is_said_before_the_first_run(address: str) -> None:
    with pytest.raises(Misconfigured, match="ADMIN_SYNC_AUDIT_LISTEN"):
        repeat(lambda: pytest.fail("it ran"), 1.0, address, threading.Event(), lambda _text: None)
