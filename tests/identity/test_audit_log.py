"""The audit log on real files and in real processes: durable or unavailable, and never half."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from identity.audit import file as audit_file
from identity.audit import log as audit_log
from identity.audit.chain import Chain
from identity.audit.event import AuditEvent
from identity.audit.lock import exclusive
from identity.audit.log import AuditLog, AuditUnavailable
from identity.audit.verify import verify_file

CHILD = Path(__file__).with_name("audit_child.py")
CHECKOUT = Path(__file__).resolve().parent.parent.parent
EVENT = AuditEvent(event="thing.done", outcome="success", actor="ada", resource="a\nb\r\u2028\x00\x1b[31m")
ENVIRONMENT = {"PYTHONPATH": str(CHECKOUT), "PATH": os.environ["PATH"]}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "audit" / "api_events.jsonl"


@pytest.fixture
def opened(path):
    logs = []

    def make(**options):
        log = AuditLog(path, **{"source": "test", "node": "n1", "timeout": 2.0, **options})
        logs.append(log)
        return log

    yield make
    for log in logs:
        log.close()


def lines(path):
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


def child(mode, path, count, node="n1"):
    return subprocess.Popen(
        [sys.executable, str(CHILD), mode, str(path), str(count), node],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        text=True,
    )


async def test_what_append_returns_is_what_is_on_disk(opened, path):
    log = opened()
    records = [await log.append(EVENT) for _ in range(3)]
    assert lines(path) == records
    assert [record["seq"] for record in records] == [1, 2, 3]
    assert records[0]["source"] == "test"
    assert records[0]["node"] == "n1"
    assert records[0]["time"].endswith("Z")
    assert verify_file(path).ok


def test_the_file_is_for_its_owner_only(opened, path):
    opened().append_sync(EVENT)
    assert path.stat().st_mode & 0o777 == 0o600


async def test_injected_newlines_and_control_characters_break_no_line(opened, path):
    log = opened()
    await log.append(AuditEvent(event='x"}\n{"seq":1,"hash":"', outcome="\x85\u2029\x7f", actor='a\\"\n'))
    await log.append(EVENT)
    assert len(lines(path)) == 2
    assert len(path.read_text("utf-8").splitlines()) >= 2
    assert verify_file(path).ok


async def test_events_that_wait_together_share_one_sync(opened, path, monkeypatch):
    log = opened()
    log.append_sync(EVENT)
    syncs = []
    real = audit_file._sync_data
    monkeypatch.setattr(audit_file, "_sync_data", lambda descriptor: (syncs.append(1), real(descriptor))[1])
    records = await asyncio.gather(*(log.append(EVENT) for _ in range(400)))
    assert sorted(record["seq"] for record in records) == list(range(2, 402))
    assert len(syncs) < 100
    assert verify_file(path).ok


async def test_a_new_process_goes_on_with_the_chain(opened, path):
    opened().append_sync(EVENT)
    first = opened()
    first.append_sync(EVENT)
    first.close()
    assert opened().append_sync(EVENT)["seq"] == 3
    assert verify_file(path).heads[Chain("test", "n1")].seq == 3


def test_an_event_killed_in_the_middle_of_its_line_is_mended_and_said(opened, path):
    process = child("torn", path, 10)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == -9
    assert out.split() == ["1", "2"]
    torn = path.read_bytes().split(b"\n")[-1]
    assert torn
    report = verify_file(path)
    assert report.ok
    assert report.torn_bytes == len(torn)

    log = opened(source="child")
    assert log.append_sync(EVENT)["seq"] == 4
    mended = lines(path)[2]
    assert mended["event"] == "audit.mended"
    assert (path.parent / mended["resource"]).read_bytes() == torn
    report = verify_file(path)
    assert report.ok
    assert report.torn_bytes == 0


def test_a_torn_tail_is_mended_when_the_log_is_opened_and_not_only_when_it_is_used(opened, path):
    opened().append_sync(EVENT)
    with path.open("ab") as file:
        file.write(b'{"half":')
    log = opened()
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline and path.read_bytes().endswith(b'{"half":'):
        time.sleep(0.01)
    log.append_sync(EVENT)
    assert [line["event"] for line in lines(path)] == ["thing.done", "audit.mended", "thing.done"]


def test_whoever_was_told_durable_before_a_kill_finds_the_line_after_it(opened, path):
    for round_ in range(3):
        process = child("append", path, 100_000)
        acknowledged = [process.stdout.readline() for _ in range(20 + round_ * 7)]
        time.sleep(random.random() / 50)  # noqa: S311 - when to kill, not a secret
        process.kill()
        rest, _ = process.communicate(timeout=20)
        seqs = [int(line) for line in [*acknowledged, *rest.split("\n")[:-1]]]
        report = verify_file(path)
        assert report.ok
        assert report.heads[Chain("child", "n1")].seq >= max(seqs)
    opened(source="child").append_sync(EVENT)
    assert verify_file(path).ok


def test_two_processes_of_one_source_and_node_never_fork_the_chain(path):
    both = [child("append", path, 60) for _ in range(2)]
    outputs = [process.communicate(timeout=30) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    seqs = [int(line) for out, _ in outputs for line in out.split()]
    assert sorted(seqs) == list(range(1, 121))
    assert verify_file(path).ok


def test_processes_of_other_nodes_share_the_file_with_chains_of_their_own(path):
    both = [child("append", path, 40, node) for node in ("a", "b")]
    for process in both:
        process.communicate(timeout=30)
    report = verify_file(path)
    assert report.ok
    assert {chain.key: head.seq for chain, head in report.heads.items()} == {"a": 40, "b": 40}


def test_two_logs_of_one_process_take_turns(opened, path):
    one, two = opened(), opened()
    for _ in range(20):
        one.append_sync(EVENT)
        two.append_sync(EVENT)
    assert verify_file(path).heads[Chain("test", "n1")].seq == 40


def test_lines_of_a_writer_that_takes_no_lock_are_neither_lost_nor_torn(opened, path):
    log = opened()
    foreign = b'{"source":"keycloak","node":"k","foreign":true,"pad":"' + b"x" * 3000 + b'"}\n'
    stop = threading.Event()
    written = 0

    def write() -> None:
        nonlocal written
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
        while not stop.is_set():
            os.write(descriptor, foreign)
            written += 1
            time.sleep(0.0005)
        os.close(descriptor)

    log.append_sync(EVENT)
    thread = threading.Thread(target=write)
    thread.start()
    for _ in range(150):
        log.append_sync(EVENT)
    stop.set()
    thread.join()
    log.append_sync(EVENT)
    found = lines(path)
    assert sum("foreign" in line for line in found) == written
    assert [line["seq"] for line in found if "foreign" not in line] == list(range(1, 153))
    assert list(path.parent.glob("*.torn-*")) == []


def test_a_full_disk_is_unavailable_and_leaves_no_half_line(opened, path):
    process = child("limit", path, 4000)
    out, errors = process.communicate(timeout=20)
    assert process.returncode == 3, errors
    *seqs, last = out.split("\n")[:-1]
    assert last.startswith("unavailable")
    assert path.read_bytes().endswith(b"\n")
    assert [line["seq"] for line in lines(path)] == [int(seq) for seq in seqs]
    assert opened(source="child").append_sync(EVENT)["seq"] == len(seqs) + 1
    assert verify_file(path).ok


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
@pytest.mark.parametrize("kept", [0, 1, 50, 10_000])
def test_a_disk_that_fails_is_unavailable_until_it_recovers(opened, path, monkeypatch, code, kept):
    log = opened()
    log.append_sync(EVENT)
    real = os.write

    def failing(descriptor, data):
        if kept and bytes(data)[:kept]:
            real(descriptor, bytes(data)[:kept])
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as broken:
        broken.setattr(audit_file.os, "write", failing)
        for _ in range(2):
            with pytest.raises(AuditUnavailable):
                log.append_sync(EVENT)
        assert log.problem() is not None
    assert log.append_sync(EVENT)["seq"] in (2, 3, 4)
    assert log.problem() is None
    report = verify_file(path)
    assert report.ok
    assert report.torn_bytes == 0


def test_lines_whose_sync_failed_are_taken_away(opened, path, monkeypatch):
    log = opened()
    log.append_sync(EVENT)
    before = path.read_bytes()

    def failing(_descriptor):
        raise OSError(errno.EIO, "I/O error")

    with monkeypatch.context() as broken:
        broken.setattr(audit_file, "_sync_data", failing)
        with pytest.raises(AuditUnavailable, match="I/O error"):
            log.append_sync(EVENT)
        assert path.read_bytes() == before
    assert log.append_sync(EVENT)["seq"] == 2
    assert verify_file(path).ok


def test_lines_that_could_not_be_taken_away_at_once_are_taken_away_later(opened, path, monkeypatch):
    log = opened()
    log.append_sync(EVENT)
    before = path.read_bytes()

    def failing(*_):
        raise OSError(errno.EIO, "I/O error")

    with monkeypatch.context() as broken:
        broken.setattr(audit_file, "_sync_data", failing)
        broken.setattr(audit_file.os, "ftruncate", failing)
        for _ in range(3):
            with pytest.raises(AuditUnavailable):
                log.append_sync(EVENT)
        assert len(path.read_bytes()) > len(before)
    assert log.append_sync(EVENT)["seq"] == 2
    assert len(lines(path)) == 2
    assert verify_file(path).ok


async def test_a_disk_that_hangs_is_unavailable_in_time_and_then_at_once(opened, path, monkeypatch):
    log = opened(timeout=0.2)
    await log.append(EVENT)
    release, real = threading.Event(), audit_file._sync_data

    def hanging(descriptor):
        release.wait(10)
        real(descriptor)

    monkeypatch.setattr(audit_file, "_sync_data", hanging)
    started = time.monotonic()
    with pytest.raises(AuditUnavailable, match=r"within 0\.2 s"):
        await log.append(EVENT)
    assert time.monotonic() - started < 1
    started = time.monotonic()
    for _ in range(50):
        with pytest.raises(AuditUnavailable, match="does not take writes"):
            await log.append(EVENT)
    with pytest.raises(AuditUnavailable):
        await log.check()
    assert time.monotonic() - started < 0.2
    release.set()
    monkeypatch.undo()
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        try:
            await log.append(EVENT)
            break
        except AuditUnavailable:
            await asyncio.sleep(0.02)
    assert lines(path)[-1]["seq"] in (3, 4)
    assert verify_file(path).ok


async def test_an_event_that_was_given_up_while_waiting_is_not_written_later(opened, path, monkeypatch):
    log = opened(timeout=0.3)
    await log.append(EVENT)
    release, real = threading.Event(), audit_file._sync_data

    def hanging(descriptor):
        release.wait(10)
        real(descriptor)

    monkeypatch.setattr(audit_file, "_sync_data", hanging)
    first = asyncio.create_task(log.append(EVENT))
    await asyncio.sleep(0.05)
    waiting = [asyncio.create_task(log.append(AuditEvent(event="late", outcome="success"))) for _ in range(5)]
    outcomes = await asyncio.gather(first, *waiting, return_exceptions=True)
    assert all(isinstance(outcome, AuditUnavailable) for outcome in outcomes)
    monkeypatch.undo()
    release.set()
    log.close()
    assert [line["event"] for line in lines(path)] == ["thing.done", "thing.done"]


def test_a_lock_held_by_another_process_is_unavailable_in_time(opened, path):
    log = opened(timeout=0.3)
    log.append_sync(EVENT)
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            # The record lock that Java's FileChannel.lock takes.
            "import fcntl,sys,time; f=open(sys.argv[1],'r+b'); fcntl.lockf(f,fcntl.LOCK_EX); print('held',flush=True); "
            "time.sleep(30)",
            str(path),
        ],
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout.readline() == b"held\n"
        started = time.monotonic()
        with pytest.raises(AuditUnavailable):
            log.append_sync(EVENT)
        assert time.monotonic() - started < 1.5
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        try:
            log.append_sync(EVENT)
            break
        except AuditUnavailable:
            time.sleep(0.02)
    assert verify_file(path).ok
    assert log.problem() is None


def test_the_lock_keeps_out_whoever_takes_record_locks(path):
    path.parent.mkdir()
    path.touch()
    program = "import fcntl,sys; f=open(sys.argv[1],'r+b'); fcntl.lockf(f,fcntl.LOCK_EX|fcntl.LOCK_NB)"
    descriptor = os.open(path, os.O_RDWR)
    with exclusive(descriptor, timeout=1):
        held = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, check=False)
    free = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, check=False)
    os.close(descriptor)
    assert (held.returncode, free.returncode) == (1, 0)
    assert fcntl.F_OFD_SETLK


def test_a_file_that_was_cut_shows_the_gap(opened, path):
    log = opened()
    for _ in range(5):
        log.append_sync(EVENT)
    whole = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join(whole[:2]) + b"\n")
    assert log.append_sync(EVENT)["seq"] == 6
    bad = verify_file(path).bad
    assert (bad.line, bad.seq) == (3, 6)
    assert "seq 3 to 5 are missing" in bad.why


def test_a_file_that_was_moved_away_is_continued_in_a_new_one(opened, path):
    log = opened()
    log.append_sync(EVENT)
    log.append_sync(EVENT)
    old = path.with_name("old.jsonl")
    path.rename(old)
    assert log.append_sync(EVENT)["seq"] == 3
    before = verify_file(old)
    assert not verify_file(path).ok
    assert verify_file(path, heads=before.heads).ok


def test_a_symbolic_link_in_the_files_place_is_not_followed(path):
    path.parent.mkdir()
    elsewhere = path.parent / "elsewhere"
    path.symlink_to(elsewhere)
    log = AuditLog(path, source="test", node="n1", timeout=1)
    with pytest.raises(AuditUnavailable):
        log.append_sync(EVENT)
    log.close()
    assert not elsewhere.exists()


def hint_of(path):
    (hint,) = path.parent.glob(".*.head")
    return hint


def test_a_hint_spares_reading_the_file(opened, path, monkeypatch):
    log = opened()
    for _ in range(200):
        log.append_sync(EVENT)
    log.close()
    read = []
    real = audit_file.AuditFile.new_lines
    monkeypatch.setattr(
        audit_file.AuditFile, "new_lines", lambda self, torn: (read.append(line) or line for line in real(self, torn))
    )
    assert opened().append_sync(EVENT)["seq"] == 201
    assert read == []


@pytest.mark.parametrize(
    "change",
    [
        lambda hint, _: hint.write_text("nonsense"),
        lambda hint, _: hint.write_text(hint.read_text().replace('"seq":5', '"seq":9')),
        lambda hint, _: hint.write_text(hint.read_text().replace('"read_to":', '"read_to":1')),
        lambda hint, records: hint.write_text(
            json.dumps({**json.loads(hint.read_text()), "seq": 3, "hash": records[2]["hash"]})
        ),
        lambda hint, _: hint.write_text('{"inode":1,"read_to":10,"seq":1,"hash":"' + "0" * 64 + '"}'),
        lambda hint, _: hint.unlink(),
    ],
    ids=["nonsense", "later seq", "elsewhere", "earlier line", "other file", "gone"],
)
def test_a_hint_is_never_believed_against_the_file(opened, path, change):
    log = opened()
    for _ in range(5):
        log.append_sync(EVENT)
    log.close()
    change(hint_of(path), lines(path))
    assert opened().append_sync(EVENT)["seq"] == 6
    assert verify_file(path).ok


async def test_readiness_sees_a_disk_that_fails_and_one_that_recovered(opened, monkeypatch):
    log = opened()
    await log.check()

    def failing(_descriptor):
        raise OSError(errno.EIO, "I/O error")

    with monkeypatch.context() as broken:
        broken.setattr(audit_file.os, "fsync", failing)
        with pytest.raises(AuditUnavailable):
            await log.check()
    await log.check()
    assert log.problem() is None


async def test_readiness_sees_a_full_disk_before_an_event_does(opened, monkeypatch):
    log = opened()
    real = os.fstatvfs

    def full(descriptor):
        facts = list(real(descriptor))
        facts[4] = 0  # f_bavail
        return os.statvfs_result(facts)

    with monkeypatch.context() as broken:
        broken.setattr(audit_file.os, "fstatvfs", full)
        with pytest.raises(AuditUnavailable, match="No space left"):
            await log.check()
    await log.check()


def test_too_many_waiting_events_are_refused_and_not_kept_in_memory(opened, monkeypatch):
    monkeypatch.setattr(audit_log, "_MAX_WAITING", 3)
    release, real = threading.Event(), audit_file._sync_data
    log = opened(timeout=3.0)
    log.append_sync(EVENT)

    def hanging(descriptor):
        release.wait(10)
        real(descriptor)

    monkeypatch.setattr(audit_file, "_sync_data", hanging)
    threads = [threading.Thread(target=log.append_sync, args=(EVENT,)) for _ in range(4)]
    threads[0].start()
    time.sleep(0.1)
    for thread in threads[1:]:
        thread.start()
    time.sleep(0.1)
    with pytest.raises(AuditUnavailable, match="events wait"):
        log.append_sync(EVENT)
    release.set()
    for thread in threads:
        thread.join()


def test_a_closed_log_takes_nothing(opened):
    log = opened()
    log.close()
    with pytest.raises(AuditUnavailable, match="closed"):
        log.append_sync(EVENT)


@pytest.mark.parametrize("name", ["", "a/b", "a b", "a\n", "-a", "x" * 64])
def test_a_source_or_node_that_could_be_mistaken_is_refused(path, name):
    with pytest.raises(ValueError, match="cannot be the source"):
        AuditLog(path, source=name, node="n")
    with pytest.raises(ValueError, match="cannot be the node"):
        AuditLog(path, source="s", node=name)
