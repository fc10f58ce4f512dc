"""The monitor: every alert once, in order, over rotations, half lines, crashes and restarts; and what is one."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from admin_sync_world import Configuration

from admin_sync.errors import Misconfigured, Refused
from admin_sync.monitor import service
from admin_sync.monitor.alert import Alert
from admin_sync.monitor.detect import Limits, Memory, detect
from admin_sync.monitor.line import parsed
from admin_sync.monitor.service import Monitor
from admin_sync.monitor.settings import MonitorSettings, monitor_settings
from admin_sync.monitor.state import FILE, held
from stack.ports import unused

START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
LIMITS = Limits(count=3, window=600, emergency=frozenset({"break-glass-1"}))
SECRET = "s3cret-of-at-least-24-bytes-for-sure"


@dataclass
class Log:
    """An audit file that events are appended to."""

    path: Path
    seq: int = 0

    def line(self, event: str, *, at: float = 0.0, credential: str | None = None, **changed: Any) -> bytes:
        self.seq += 1
        about = {"realm": "tradepulse-dev", "client": "tradepulse-cli", "credential_type": credential}
        about |= changed.pop("about", {})
        record = {
            "event": event,
            "outcome": "failure" if event.endswith(".error") else "success",
            "time": (START + timedelta(seconds=at or self.seq)).isoformat(),
            "source": "keycloak",
            "node": "n1",
            "seq": self.seq,
            "actor": "a@b.example",
            "session": None,
            "ip": "192.0.2.1",
            "reason": None,
            "assurance_level": None,
            "amr": [],
            "resource": " ".join(f"{name}={value}" for name, value in about.items() if value is not None),
            **changed,
        }
        return orjson.dumps(record) + b"\n"

    def add(self, event: str, **changed: Any) -> None:
        with self.path.open("ab") as file:
            file.write(self.line(event, **changed))

    def locked(self, who: str) -> None:
        self.add("user.locked.temporarily", actor=who)


@dataclass
class Watch:
    """A monitor, as often as it is started, with what it showed."""

    log: Log
    settings: MonitorSettings
    shown: list[Alert] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def start(self, *, from_start: bool = True) -> Monitor:
        return Monitor(
            self.log.path, self.settings, LIMITS, self.shown.append, self.notes.append, from_start=from_start
        )

    def once(self, **asked: Any) -> list[str]:
        """The actors of the alerts that a new process shows."""
        before = len(self.shown)
        with held(self.settings.state_dir):
            monitor = self.start(**asked)
            monitor.once()
            monitor._follower.close()
        return [alert.actor or "" for alert in self.shown[before:]]


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    settings = MonitorSettings(tmp_path / "state", None, None, "127.0.0.1", 0)
    return Watch(Log(tmp_path / "iam_events.jsonl"), settings)


def test_a_restart_repeats_nothing_and_misses_nothing(watch: Watch) -> None:
    watch.log.locked("one")
    assert watch.once() == ["one"]
    assert watch.once() == []
    watch.log.locked("two")
    assert watch.once() == ["two"]


def test_a_first_run_begins_with_what_comes_unless_told_otherwise(watch: Watch) -> None:
    watch.log.locked("old")
    assert watch.once(from_start=False) == []
    watch.log.locked("new")
    assert watch.once(from_start=False) == ["new"]


def test_a_file_that_comes_later_is_read_from_its_beginning(watch: Watch) -> None:
    monitor = watch.start(from_start=False)
    watch.settings.state_dir.mkdir()
    monitor.once()
    watch.log.locked("first")
    monitor.once()
    assert [alert.actor for alert in watch.shown] == ["first"]


def test_half_a_line_waits_for_its_other_half(watch: Watch) -> None:
    whole = watch.log.line("user.locked.temporarily", actor="one")
    watch.log.path.write_bytes(whole[:40])
    assert watch.once() == []
    with watch.log.path.open("ab") as file:
        file.write(whole[40:])
    assert watch.once() == ["one"]


def test_half_a_line_that_was_moved_aside_is_no_line(watch: Watch) -> None:
    watch.log.locked("one")
    torn = watch.log.line("user.locked.temporarily", actor="torn")[:50]
    size = watch.log.path.stat().st_size
    with watch.log.path.open("ab") as file:
        file.write(torn)
    assert watch.once() == ["one"]
    os.truncate(watch.log.path, size)
    watch.log.path.with_name(f"{watch.log.path.name}.torn-{size}-abcdef01").write_bytes(torn + b"\n")
    watch.log.seq -= 1
    watch.log.locked("two")
    assert watch.once() == ["two"]


@pytest.mark.parametrize("running", [True, False])
def test_rotated_files_are_read_to_their_end_in_their_order(watch: Watch, running: bool) -> None:
    watch.settings.state_dir.mkdir()
    watch.log.locked("one")
    monitor = watch.start()
    monitor.once()
    if not running:
        monitor._follower.close()
    path = watch.log.path
    watch.log.locked("two")
    for number, who in ((2, "three"), (1, "four")):
        path.rename(path.with_name(f"{path.name}.{number}"))
        watch.log.locked(who)
        later = time.time_ns() + 1_000_000 * (3 - number)
        os.utime(path, ns=(later, later))
    path.with_name(f"{path.name}.keycloak@n1.000000000001.wal").write_bytes(watch.log.line("user.locked.temporarily"))
    watch.log.seq -= 1
    if running:
        monitor.once()
    else:
        watch.once()
    assert [alert.actor for alert in watch.shown] == ["one", "two", "three", "four"]


def aside(path: Path, name: str, *, age: float, packed: bool = False) -> None:
    """What logrotate does to a file: another name, and perhaps gzip, which keeps the time of the last change."""
    when = time.time_ns() - int(age * 1_000_000_000)
    target = path.with_name(name)
    if packed:
        target.write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    else:
        path.rename(target)
    os.utime(target, ns=(when, when))


def test_a_file_that_was_put_aside_with_a_date_before_its_ending_is_read_to_its_end(watch: Watch) -> None:
    watch.log.locked("one")
    assert watch.once() == ["one"]
    watch.log.locked("two")
    aside(watch.log.path, "iam_events-20261123.jsonl", age=1)
    watch.log.locked("three")
    assert watch.once() == ["two", "three"]


def test_the_oldest_line_is_in_the_oldest_file_that_is_left(watch: Watch) -> None:
    watch.log.locked("one")
    aside(watch.log.path, "iam_events.jsonl-20261121.gz", age=20, packed=True)
    watch.log.locked("two")
    aside(watch.log.path, "iam_events-20261122.jsonl", age=10)
    watch.log.locked("three")
    assert watch.once() == ["one", "two", "three"]
    assert not watch.notes
    assert watch.once() == []


def test_what_was_packed_while_nobody_watched_is_read_once(watch: Watch) -> None:
    watch.log.locked("one")
    assert watch.once() == ["one"]
    watch.log.locked("two")
    aside(watch.log.path, "iam_events.jsonl.1.gz", age=0, packed=True)
    watch.log.path.write_bytes(b"")
    watch.log.locked("three")
    assert watch.once() == ["two", "three"]
    assert not watch.notes
    assert not any(alert.kind.startswith("audit.") for alert in watch.shown)


def test_a_run_without_a_file_forgets_nothing_of_where_the_last_one_stopped(watch: Watch) -> None:
    watch.log.locked("one")
    assert watch.once(from_start=False) == []
    watch.log.locked("two")
    assert watch.once(from_start=False) == ["two"]
    aside(watch.log.path, "iam_events.jsonl.1.gz", age=0, packed=True)
    assert watch.once(from_start=False) == []
    watch.log.locked("three")
    assert watch.once(from_start=False) == ["three"]


def test_half_a_packed_file_is_said_and_stops_nothing(watch: Watch) -> None:
    watch.log.locked("one")
    assert watch.once() == ["one"]
    watch.log.path.with_name("iam_events.jsonl.1.gz").write_bytes(gzip.compress(watch.log.path.read_bytes() * 99)[:60])
    watch.log.path.unlink()
    watch.log.locked("two")
    assert watch.once() == ["two"]
    assert any("is gone" in note for note in watch.notes)


def test_a_file_that_was_copied_and_emptied_repeats_nothing(watch: Watch) -> None:
    watch.log.locked("one")
    assert watch.once() == ["one"]
    shutil.copy(watch.log.path, watch.log.path.with_name("iam_events.jsonl.1"))
    os.truncate(watch.log.path, 0)
    watch.log.locked("two")
    assert watch.once() == ["two"]


def test_a_file_that_is_gone_is_said_and_what_is_there_is_read_without_repeating(watch: Watch) -> None:
    watch.log.locked("one")
    watch.once()
    watch.log.locked("two")
    kept = watch.log.path.read_bytes()
    watch.log.path.unlink()
    watch.log.path.with_name("other").write_bytes(b"takes the inode")
    watch.log.path.write_bytes(kept)
    assert watch.once() == ["two"]
    assert any("is gone" in note for note in watch.notes)


def test_lines_that_are_missing_from_a_chain_are_an_alert(watch: Watch) -> None:
    watch.log.add("login")
    watch.log.seq += 4
    watch.log.add("login")
    watch.once()
    [alert] = watch.shown
    assert (alert.kind, alert.severity, alert.detail["missing"]) == ("audit.lines_missing", "critical", 4)


def test_a_chain_that_begins_anew_is_an_alert_and_is_followed(watch: Watch) -> None:
    for _ in range(3):
        watch.log.add("login")
    watch.log.seq = 0
    watch.log.add("login", at=100.0)
    watch.log.add("user.locked.temporarily", at=101.0, actor="later")
    watch.once()
    assert [alert.kind for alert in watch.shown] == ["audit.chain_restarted", "mfa.locked_out"]


def test_what_is_no_line_is_counted_and_passed_over(watch: Watch) -> None:
    watch.settings.state_dir.mkdir()
    watch.log.path.write_bytes(b"\xff\xfe garbage\n[]\n{}\n")
    watch.log.locked("one")
    monitor = watch.start()
    monitor.once()
    assert monitor.tally.unreadable._value.get() == 3
    assert [alert.actor for alert in watch.shown] == ["one"]


def test_a_state_that_cannot_be_read_stops_the_monitor(watch: Watch) -> None:
    watch.settings.state_dir.mkdir()
    (watch.settings.state_dir / FILE).write_text('{"version": 1')
    with pytest.raises(Misconfigured, match="move it away"):
        watch.start()


def test_two_monitors_do_not_share_a_state(watch: Watch) -> None:
    with (
        held(watch.settings.state_dir),
        pytest.raises(Refused, match="another monitor"),
        held(watch.settings.state_dir),
    ):
        pytest.fail("both had it")


def kinds(log: Log, *events: bytes) -> list[str]:
    memory = Memory()
    found: list[str] = []
    for text in events:
        line = parsed(text)
        assert line is not None
        # A memory that went through a restart knows the same.
        memory = Memory.of(orjson.loads(orjson.dumps(memory.record())))
        found += [alert.kind for alert in detect(line, memory, LIMITS)]
    return found


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "unused")


def wrong(log: Log, at: float, **changed: Any) -> bytes:
    given = {"credential": "otp", "reason": "invalid_user_credentials", **changed}
    return log.line("login.error", at=at, **given)


def test_failures_of_a_factor_are_counted_by_person_within_the_window(log: Log) -> None:
    assert kinds(log, *(wrong(log, at) for at in (1, 300, 600))) == ["mfa.failed_repeatedly"]
    assert kinds(log, *(wrong(log, at) for at in (1, 500, 1000, 1500))) == []
    assert kinds(log, *(wrong(log, at, actor=f"{at}@b.example") for at in (1, 2, 3, 4))) == []


def test_each_further_run_of_failures_is_an_alert_of_its_own(log: Log) -> None:
    assert kinds(log, *(wrong(log, at) for at in range(1, 8))) == ["mfa.failed_repeatedly"] * 2


def test_wrong_passwords_and_tries_against_a_lock_are_no_failures_of_a_factor(log: Log) -> None:
    passwords = [wrong(log, at, credential=None) for at in range(1, 5)]
    locked = [wrong(log, at, reason="user_temporarily_disabled") for at in range(5, 9)]
    assert kinds(log, *passwords, *locked) == []


def test_a_factor_is_an_alert_only_where_there_was_one_that_was_not_proved(log: Log) -> None:
    def registered(at: float, level: str | None, credential: str = "webauthn") -> bytes:
        return log.line("credential.registered", at=at, credential=credential, assurance_level=level)

    first = (registered(1, "aal1"), registered(60, "aal1", "recovery-authn-codes"))
    assert kinds(log, *first) == []
    assert kinds(log, *first, registered(9000, "aal2")) == []
    assert kinds(log, *first, registered(9000, "aal1")) == ["mfa.registered_unproved"]
    assert kinds(log, *first, registered(9000, None)) == ["mfa.registered_unproved"]
    assert kinds(log, *first, registered(9000, "aal1", "password")) == []


@pytest.mark.parametrize(
    ("event", "changed", "kind"),
    [
        ("user.locked.permanently", {}, "mfa.locked_out"),
        ("credential.registered.error", {"reason": "not_allowed"}, "mfa.bypass_attempt"),
        ("custom_required_action.error", {"reason": "not_allowed"}, "mfa.bypass_attempt"),
        ("custom_required_action.error", {"reason": "rejected_by_user"}, None),
        ("login", {"credential": "recovery-authn-codes", "assurance_level": "aal2"}, "mfa.recovery_code_used"),
        ("login", {"credential": "recovery-authn-codes", "assurance_level": "aal1"}, None),
        ("login", {"credential": "recovery-authn-codes", "recovered_by": "reconcile"}, "mfa.recovery_code_used"),
        ("login", {"actor": "Break-Glass-1@tradepulse.example"}, "access.emergency_login"),
        ("break_glass.opened", {}, "access.emergency"),
        ("mfa_bypass.granted", {}, "access.emergency"),
        ("mfa_bypass.used", {}, "access.emergency"),
        ("mfa_bypass.refused", {"outcome": "failure", "reason": "wrong_code"}, "access.emergency"),
        ("token.refreshed.error", {"about": {"cause": "refresh_token_reused"}}, "session.refresh_token_reused"),
        ("token.refreshed.error", {"reason": "invalid_token"}, None),
        ("separation.refused", {"outcome": "failure", "about": {"roles": "quant,trader"}}, "access.separation.refused"),
        ("separation.withheld", {"outcome": "failure", "about": {"roles": "a,b"}}, "access.separation.withheld"),
        ("separation.rules.refused", {"outcome": "failure"}, "access.separation.rules.refused"),
        ("login.risk", {"outcome": "denied", "reason": "network"}, "login.denied_by_risk"),
        ("login.risk", {"outcome": "success"}, None),
        ("audit.reconciled", {"outcome": "failure", "reason": "lines_missing"}, "audit.not_whole"),
        ("audit.reconciled", {"outcome": "success"}, None),
        ("login", {"credential": "webauthn", "assurance_level": "aal3"}, None),
    ],
)
def test_what_is_an_alert(log: Log, event: str, changed: dict[str, Any], kind: str | None) -> None:
    assert kinds(log, log.line(event, **changed)) == ([] if kind is None else [kind])


def test_an_emergency_code_is_told_with_its_request_and_by_whom_it_was_opened(log: Log) -> None:
    about = {"user": "ann@tradepulse.example", "request": "REQ-000007", "by": "mallory"}
    line = parsed(log.line("mfa_bypass.granted", about=about))
    assert line is not None
    [alert] = detect(line, Memory(), LIMITS)
    assert "for ann@tradepulse.example, request REQ-000007, by mallory" in alert.summary


def test_the_same_lines_give_the_same_alerts_and_others_give_others(log: Log) -> None:
    texts = [log.line("user.locked.temporarily"), log.line("user.locked.temporarily")]

    def ids() -> list[str]:
        lines = [parsed(text) for text in texts]
        return [alert.id for line in lines if line is not None for alert in detect(line, Memory(), LIMITS)]

    assert ids() == ids()
    assert len(set(ids())) == 2


class Receiver(ThreadingHTTPServer):
    """Takes webhooks and keeps them; answers as it is told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 204
        self.refuses: bytes | None = None
        self.taken: list[tuple[dict[str, str], bytes]] = []


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        receiver = self.server
        assert isinstance(receiver, Receiver)
        receiver.taken.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(400 if receiver.refuses is not None and receiver.refuses in body else receiver.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def telling(watch: Watch, receiver: Receiver, tmp_path: Path) -> Watch:
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\n")
    secret.chmod(0o600)
    url = f"http://127.0.0.1:{receiver.server_address[1]}/hook"
    watch.settings = MonitorSettings(watch.settings.state_dir, url, secret, "127.0.0.1", 0)
    return watch


def test_a_webhook_is_signed_and_sent_once(telling: Watch, receiver: Receiver) -> None:
    telling.log.locked("one")
    telling.once()
    telling.once()
    [(headers, body)] = receiver.taken
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mac = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{mac}"
    said = orjson.loads(body)
    assert (said["type"], said["data"]["actor"]) == ("mfa.locked_out", "one")
    assert headers["webhook-id"] == f"msg_{said['data']['id']}"
    assert said["data"]["lines"] == ["keycloak/n1/1"]


def test_what_a_receiver_does_not_take_is_kept_and_sent_again_under_the_same_id(
    telling: Watch, receiver: Receiver
) -> None:
    receiver.status = 500
    for who in ("one", "two"):
        telling.log.locked(who)
    telling.once()
    assert len(receiver.taken) == 1
    receiver.status = 204
    with held(telling.settings.state_dir):
        monitor = telling.start()
        assert [one.attempts for one in monitor.state.outbox.values()] == [0, 1]
        monitor._delivery.round(now=time.time() + 60)
        assert monitor.state.outbox == {}
    ids = [headers["webhook-id"] for headers, _ in receiver.taken]
    assert ids[0] == ids[2] != ids[1]


def test_an_alert_that_is_never_taken_keeps_no_other_from_being_told(telling: Watch, receiver: Receiver) -> None:
    receiver.refuses = b'"actor":"one"'
    for who in ("one", "two", "three"):
        telling.log.locked(who)
    telling.once()
    with held(telling.settings.state_dir):
        monitor = telling.start()
        for minutes in (10, 20):
            monitor._delivery.round(now=time.time() + 60 * minutes)
        assert [one.alert.actor for one in monitor.state.outbox.values()] == ["one"]


def test_what_waits_is_bounded_and_the_oldest_that_is_not_critical_goes_first(
    telling: Watch, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_MOST_WAITING", 2)
    receiver.status = 503
    telling.log.add("user.locked.permanently", actor="worst")
    for who in ("one", "two", "three"):
        telling.log.locked(who)
    telling.once()
    with held(telling.settings.state_dir):
        state = telling.start().state
    assert sorted(one.alert.actor or "" for one in state.outbox.values()) == ["three", "worst"]
    assert state.given_up == 2
    assert len([note for note in telling.notes if "is given up" in note]) == 2


def test_a_clock_that_is_set_back_puts_no_alert_off(telling: Watch, receiver: Receiver) -> None:
    receiver.status = 503
    telling.log.locked("one")
    telling.once()
    receiver.status = 204
    with held(telling.settings.state_dir):
        monitor = telling.start()
        monitor._delivery.round(now=time.time() - 86_400)
        assert monitor.state.outbox == {}


def test_a_receiver_that_is_gone_for_good_and_one_that_is_away_too_long_are_given_up(
    telling: Watch, receiver: Receiver
) -> None:
    receiver.status = 410
    telling.log.locked("one")
    telling.once()
    receiver.status = 503
    telling.log.locked("two")
    telling.once()
    with held(telling.settings.state_dir):
        monitor = telling.start()
        assert (len(monitor.state.outbox), monitor.state.given_up) == (1, 1)
        monitor._delivery.round(now=time.time() + 3 * 86_400)
        assert (len(monitor.state.outbox), monitor.state.given_up) == (0, 2)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"ADMIN_SYNC_MONITOR_WEBHOOK": "http://hooks.example/secret-path"}, "use https"),
        ({"ADMIN_SYNC_MONITOR_WEBHOOK": "https://hooks.example/secret-path"}, "SECRET_FILE"),
        ({"ADMIN_SYNC_MONITOR_LISTEN": "8310"}, "address and a port"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_without_showing_the_address(environ: dict[str, str], said: str) -> None:
    with pytest.raises(Misconfigured, match=said) as caught:
        monitor_settings(environ)
    assert "secret-path" not in str(caught.value)


def test_the_command_survives_being_killed_and_tells_each_once(
    telling: Watch, receiver: Receiver, configuration: Configuration
) -> None:
    port = unused()
    environ = {
        **os.environ,
        "TRADEPULSE_AUDIT_DIR": str(telling.log.path.parent),
        "ADMIN_SYNC_MONITOR_WEBHOOK": str(telling.settings.webhook),
        "ADMIN_SYNC_MONITOR_SECRET_FILE": str(telling.settings.secret_file),
        "ADMIN_SYNC_MONITOR_STATE_DIR": str(telling.settings.state_dir),
        "ADMIN_SYNC_MONITOR_LISTEN": f"127.0.0.1:{port}",
    }
    command = [sys.executable, "-m", "admin_sync", "monitor", "--from-start", "--config", str(configuration.directory)]

    def told(count: int) -> list[str]:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and len({h["webhook-id"] for h, _ in receiver.taken}) < count:
            time.sleep(0.05)
        return sorted({orjson.loads(body)["data"]["actor"] for _, body in receiver.taken})

    telling.log.locked("one")
    first = subprocess.Popen(command, env=environ)
    assert told(1) == ["one"]
    first.kill()
    first.wait()
    telling.log.locked("two")
    second = subprocess.Popen(command, env=environ)
    assert told(2) == ["one", "two"]
    metrics = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
    assert 'tradepulse_alerts_total{kind="mfa.locked_out",severity="warning"} 1.0' in metrics
    second.send_signal(signal.SIGTERM)
    assert second.wait(20) == 0
    # Killed between the receiver's answer and our note of it, one may come again, and says so by its id.
    assert len({headers["webhook-id"] for headers, _ in receiver.taken}) == 2
