"""What OPA reports lands in the audit once, every decision by its id, whatever is lost, repeated or broken."""

from __future__ import annotations

import gzip
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from bundle_spoilers import unsigned
from bundle_world import ADMIN, Place, question
from opa_process import POLICY, RunningOpa
from publish_places import secret_file, served

from admin_sync.bundle.keys import create_key
from admin_sync.bundle.published import CURRENT, read_published
from admin_sync.bundle.receive import LARGEST, Receiver, recorded
from admin_sync.bundle.serve import BundleServer
from identity.audit.event import AuditEvent
from identity.audit.log import AuditLog, AuditUnavailable
from identity.audit.verify import verify_file
from identity.secret import Secret

Start = Callable[..., RunningOpa]
TOKEN = "reports-canary"
DECISION = "/v1/data/tradepulse/authz/decision"


@dataclass
class Reports:
    """A server of bundles that takes reports, and the audit file that they land in."""

    url: str
    audit: Path
    receiver: Receiver
    token_file: Path

    def lines(self, event: str = "policy.decided") -> list[dict[str, Any]]:
        if not self.audit.exists():
            return []
        found = [json.loads(line) for line in self.audit.read_text().splitlines()]
        return [line for line in found if line["event"] == event]

    def post(self, path: str, body: bytes, **headers: str) -> httpx.Response:
        sent = {
            "Authorization": f"Bearer {TOKEN}",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return httpx.post(self.url + path, content=body, headers=sent, trust_env=False, timeout=20)

    def batch(self, *entries: Any) -> httpx.Response:
        return self.post("/logs", gzip.compress(json.dumps(entries).encode()), Content_Encoding="gzip")


class Failing(AuditLog):
    """An audit file whose disk fails for as long as `broken` is set, for every second event while it is `half`."""

    broken = False
    half = False
    count = 0

    async def append(self, event: AuditEvent) -> dict[str, Any]:
        self.count += 1
        if self.broken or (self.half and self.count % 2):
            raise AuditUnavailable("the disk is full")
        return await super().append(event)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Failing]:
    made = Failing(tmp_path / "iam_events.jsonl", source="opa", node="test")
    yield made
    made.close()


@pytest.fixture
def reports(place: Place, tmp_path: Path, log: Failing) -> Iterator[Reports]:
    audit = tmp_path / "iam_events.jsonl"
    receiver = Receiver(log, seen=audit)
    server = BundleServer(("127.0.0.1", 0), place.directory, receiver=receiver, reports_token=Secret(TOKEN))
    with served(server) as port:
        yield Reports(f"http://127.0.0.1:{port}", audit, receiver, secret_file(tmp_path / "reports-token", TOKEN))


def reporting(place: Place, reports: Reports, start_opa: Start) -> RunningOpa:
    config = place.config(
        bundle_url=reports.url, reports_url=reports.url, reports_token_file=reports.token_file, decision_logs=False
    )
    return start_opa("--config-file", config)


def entry(number: int, **more: Any) -> dict[str, Any]:
    """A decision as OPA logs it."""
    return {
        "decision_id": f"id-{number}",
        "path": "tradepulse/authz/decision",
        "bundles": {"tradepulse": {"revision": "abc-1"}},
        "input": {
            "environment": "prod", "permission": "connection:read", "partner": "acme", "resource": {"broker": "paper"},
            "subject": {"kind": "person", "id": "7f0c", "assurance_level": "aal2"},
        },
        "result": {"allow": True, "reasons": ["role:viewer"], "revision": "abc-1"},
        **more,
    }  # fmt: skip


def test_every_decision_becomes_a_line_with_its_id_and_nothing_secret(
    place: Place, reports: Reports, start_opa: Start
) -> None:
    server = reporting(place, reports, start_opa)
    first = place.publish()
    place.served(server, first)
    asked = [question(), question("eve@example.test"), question(**ADMIN), {**question(), "token": "eyJhbGciOi-canary"}]
    answers = [server.http.post(DECISION, json={"input": one}).json() for one in asked]
    lines = server.eventually(lambda: len(reports.lines()) >= len(asked) and reports.lines())
    assert [line["decision_id"] for line in lines] == [answer["decision_id"] for answer in answers]
    assert [line["outcome"] for line in lines] == ["success", "denied", "success", "success"]
    assert [line["reason"] for line in lines[:3]] == ["role:viewer", "grant_missing", "role:admin"]
    assert {line["actor"] for line in lines} == {"7f0c"}
    assert {line["resource"] for line in lines} == {f"prod/bundle/{first.meta.revision}"}
    assert [line["action"] for line in lines[1:3]] == ["analytics:read", "iam:modify"]
    text = reports.audit.read_text()
    assert "canary" not in text
    assert "example.test" not in text
    assert verify_file(reports.audit, None, None).ok


def test_what_opa_cannot_deliver_it_keeps_and_nothing_is_there_twice(
    place: Place, reports: Reports, start_opa: Start, log: Failing
) -> None:
    server = reporting(place, reports, start_opa)
    place.served(server, place.publish())
    log.broken = True
    ids = [server.decide(question())["decision_id"] for _ in range(20)]
    server.eventually(lambda: log.count >= len(ids))
    assert reports.lines() == []
    # Half of a batch is written before the disk fails again: OPA sends all of it once more.
    log.broken, log.half = False, True
    server.eventually(lambda: 0 < len(reports.lines()) < len(ids))
    log.half = False
    server.eventually(lambda: len(reports.lines()) == len(ids))
    assert sorted(line["decision_id"] for line in reports.lines()) == sorted(ids)
    assert reports.receiver.repeated > 0


def test_a_batch_that_comes_again_is_known_also_after_a_restart(reports: Reports, log: Failing, tmp_path: Path) -> None:
    assert reports.batch(entry(1), entry(2)).status_code == 200
    assert reports.batch(entry(1), entry(2), entry(3)).status_code == 200
    again = Receiver(log, seen=reports.audit)
    assert again.decisions(json.dumps([entry(2), entry(3), entry(4)]).encode(), packed=False) == 1
    assert [line["decision_id"] for line in reports.lines()] == ["id-1", "id-2", "id-3", "id-4"]
    assert recorded(reports.audit) == ["id-1", "id-2", "id-3", "id-4"]
    assert recorded(tmp_path / "nowhere.jsonl") == []


def test_the_same_batch_twice_at_once_is_written_once(reports: Reports) -> None:
    batch = [entry(number) for number in range(50)]
    threads = [threading.Thread(target=reports.batch, args=batch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reports.lines()) == len(batch)


def test_a_question_that_no_parser_follows_hides_nobody_elses(place: Place, reports: Reports, start_opa: Start) -> None:
    server = reporting(place, reports, start_opa)
    place.served(server, place.publish())
    deep = '{"input": {"resource": ' + '{"a":' * 5000 + "1" + "}" * 5000 + "}}"
    first = server.decide(question())["decision_id"]
    hidden = server.http.post(DECISION, content=deep).json().get("decision_id")
    last = server.decide(question())["decision_id"]
    lines = server.eventually(lambda: len(reports.lines()) >= 3 and reports.lines())
    assert {line["decision_id"]: line["outcome"] for line in lines} == {
        first: "success", hidden: "failure", last: "success",
    }  # fmt: skip


@pytest.mark.parametrize(
    "odd",
    [
        {"input": "eyJhbGciOi-canary"},
        {"input": {"subject": [1], "resource": 3, "environment": {"x": 1}}, "result": []},
        {"result": {"allow": "true"}},
        {"result": None, "error": {"code": "eval_conflict_error"}},
        {"bundles": []},
        {"decision_id": 7},
        {"decision_id": "x" * 5000},
    ],
)
def test_a_decision_of_any_shape_leaves_a_line_and_is_no_allow(reports: Reports, odd: dict[str, Any]) -> None:
    assert reports.batch({**entry(1), "result": None, **odd}, entry(2)).status_code == 200
    lines = reports.lines()
    assert sorted(line["outcome"] for line in lines if line["decision_id"] != "id-2") in (["denied"], ["failure"])
    assert len(lines) == 2
    assert "canary" not in reports.audit.read_text()


def test_a_number_of_any_length_does_not_cost_the_whole_upload(reports: Reports) -> None:
    body = json.dumps([entry(1), entry(2)]).replace('"7f0c"', "9" * 5000, 1)
    assert reports.post("/logs", body.encode()).status_code == 200
    assert {line["decision_id"] for line in reports.lines()} == {"id-1", "id-2"}


def test_queries_that_are_no_decisions_leave_no_line(reports: Reports) -> None:
    assert reports.batch({**entry(1), "path": "tradepulse/iam/grants"}, 7, None).status_code == 200
    assert reports.lines() == []


@pytest.mark.parametrize("token", ["", "Bearer wrong", "Basic cmVwb3J0cy1jYW5hcnk=", "Bearer"])
def test_nobody_reports_or_reads_without_the_token(reports: Reports, token: str) -> None:
    for method, path in (("POST", "/logs"), ("POST", "/status"), ("GET", "/status")):
        answer = httpx.request(method, reports.url + path, headers={"Authorization": token}, trust_env=False)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert reports.lines() == []


def test_what_is_too_large_or_no_report_is_refused_in_bounded_memory(reports: Reports) -> None:
    bomb = gzip.compress(b"[" + b" " * (5 * LARGEST) + b"]")
    assert len(bomb) < LARGEST
    assert reports.post("/logs", bomb, Content_Encoding="gzip").status_code == 413
    host, _, port = reports.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        head = (
            f"POST /logs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {LARGEST + 1}\r\n\r\n"
        )
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413")
    for body, encoding in ((b"not gzip", "gzip"), (gzip.compress(b"[]")[:-4], "gzip"), (b"{", ""), (b"\xff", "")):
        assert reports.post("/logs", body, Content_Encoding=encoding).status_code == 400
        assert reports.post("/status", body, Content_Encoding=encoding).status_code == 400
    assert reports.post("/status", b"[]").status_code == 400


def test_a_sink_that_fails_is_said_so_that_opa_tries_again(reports: Reports, log: Failing) -> None:
    log.broken = True
    answer = reports.batch(entry(1))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    log.broken = False
    assert reports.batch(entry(1)).status_code == 200
    assert len(reports.lines()) == 1


def test_which_revision_an_opa_decides_by_and_what_it_refused_is_known(
    place: Place, reports: Reports, start_opa: Start
) -> None:
    server = reporting(place, reports, start_opa)
    first = place.publish()
    place.served(server, first)

    def said() -> dict[str, Any]:
        answer = httpx.get(reports.url + "/status", headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False)
        opas = answer.json()["opas"]
        return opas[0] if opas else {}

    server.eventually(lambda: said().get("revision") == first.meta.revision)
    assert said()["problem"] == ""
    (place.directory / CURRENT).write_bytes(unsigned(place))
    server.eventually(lambda: "missing .signatures.json" in said()["problem"])
    assert said()["revision"] == first.meta.revision
    second = replace(place).publish()
    server.eventually(lambda: said()["revision"] == second.meta.revision and not said()["problem"])
    activated = reports.lines("bundle.activated")
    assert [line["resource"] for line in activated] == [f"bundle {one.meta.revision}" for one in (first, second)]
    refused = reports.lines("bundle.refused")
    assert refused
    assert {(line["outcome"], line["actor"]) for line in refused} == {("failure", activated[0]["actor"])}


def test_doctor_says_which_revision_is_decided_by_and_who_is_behind(
    place: Place, reports: Reports, start_opa: Start, tmp_path: Path
) -> None:
    server = reporting(place, reports, start_opa)
    place.served(server, place.publish(clock=lambda: time.time() - 60))
    environment = {
        "ADMIN_SYNC_BUNDLE_DIR": str(place.directory),
        "ADMIN_SYNC_BUNDLE_KEY_FILE": str(place.key),
        "ADMIN_SYNC_OPA_URL": server.url,
        "ADMIN_SYNC_REPORTS_URL": reports.url,
        "ADMIN_SYNC_REPORTS_TOKEN_FILE": str(reports.token_file),
        "TRADEPULSE_AUDIT_DIR": str(tmp_path / "audit"),
        "PATH": os.environ["PATH"],
        "ADMIN_SYNC_OPA_BIN": str(place.opa),
    }

    def doctor() -> dict[str, tuple[str, str]]:
        command = [
            sys.executable,
            "-m",
            "admin_sync",
            "doctor",
            "--json",
            "--config",
            POLICY.parent / "configs" / "iam",
        ]
        done = subprocess.run(command, env=environment, cwd=POLICY.parent, capture_output=True, text=True, check=False)
        # There is no Keycloak here, and that alone makes it a failure.
        assert done.returncode == 1, done.stderr
        return {one["check"]: (one["state"], one["detail"]) for one in json.loads(done.stdout)["checks"]}

    server.eventually(lambda: reports.receiver.report()["opas"])
    well = doctor()
    assert {well[name][0] for name in ("configuration", "bundle key", "bundle", "opa", "opa reports", "audit")} == {
        "ok"
    }
    published = read_published(place.directory)
    assert published is not None
    assert well["opa"][1].endswith(published.revision)
    assert "its file is 0 days old" in well["bundle key"][1]
    # What is published now has another key, so no OPA takes it.
    other = place.home / "other.pem"
    create_key(other, place.home / "other.pub.pem")
    place.publish(key=other, clock=lambda: time.time() - 30)
    server.eventually(lambda: reports.receiver.report()["opas"][0]["problem"])  # type: ignore[index]
    ill = doctor()
    assert ill["opa"][0] == ill["opa reports"][0] == "failed"
    assert "is published; its log says why" in ill["opa"][1]
    assert "verify" in ill["opa reports"][1]
