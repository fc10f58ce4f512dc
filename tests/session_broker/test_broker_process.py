"""The program as it is started: several processes behind one address, and one line where it cannot start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest

from stack.ports import unused
from tests.session_broker.door_world import World


def variables(world: World, **settings: str) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("TRADEPULSE_", "SESSION_BROKER_"))
    }
    given = {f"SESSION_BROKER_{name.upper()}": value for name, value in settings.items()}
    return {**kept, **world.environment, "PLACE": world.place, **given}


@contextmanager
def running(world: World, **settings: str) -> Iterator[str]:
    address = f"127.0.0.1:{unused()}"
    program = subprocess.Popen(
        [sys.executable, "-m", "session_broker"],
        env=variables(world, bind=address, **settings),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                if httpx.get(f"http://{address}/health/ready", trust_env=False).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            assert program.poll() is None, program.stderr and program.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield f"http://{address}"
    finally:
        program.send_signal(signal.SIGTERM)
        said = program.communicate(timeout=60)[1]
    assert program.returncode == 0, said
    # What it logs never holds a token.
    assert "eyJ" not in said


def test_two_processes_share_an_address_the_metrics_and_the_knowledge_of_what_ended(world: World) -> None:
    token = world.own()
    headers = {"Authorization": f"Bearer {token}", "X-TradePulse-Service": "vault"}
    with running(world, workers="2") as url:
        # A new connection each: the kernel spreads connections, not requests.
        before = [httpx.get(f"{url}/authorize", headers=headers, trust_env=False).status_code for _ in range(20)]
        body = urlencode({"logout_token": world.logout_token()})
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        assert httpx.post(f"{url}/backchannel-logout", content=body, headers=form, trust_env=False).status_code == 200
        after = [httpx.get(f"{url}/authorize", headers=headers, trust_env=False).status_code for _ in range(20)]
        metrics = httpx.get(f"{url}/metrics", trust_env=False).text
    assert (set(before), set(after)) == ({204}, {401})
    assert 'session_broker_requests_total{endpoint="authorize",status="204"} 20.0' in metrics
    assert 'session_broker_refusals_total{reason="session_ended"} 20.0' in metrics
    assert len([line for line in world.lines if line["event"] == "session.refused"]) == 20


def test_workers_that_end_at_the_same_time_end_the_parent_with_their_exit_code(tmp_path: Path) -> None:
    (tmp_path / "ends_at_once.py").write_text("raise SystemExit(3)\n")
    # The parent is busy with the first while the others end.
    program = (
        "import sys, time; from identity import serving\n"
        "serving.mark_process_dead = lambda *_: time.sleep(1)\n"
        "sys.exit(serving.parent(['ends_at_once'], 3, {'PYTHONPATH': sys.argv[1]}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, "Traceback" in done.stderr) == (3, False), done.stderr


WRONG = {
    "no access file": ({"access_file": "/nowhere/access.toml"}, "cannot read /nowhere/access.toml"),
    "a window that is none": ({"revocation_seconds": "0"}, "SESSION_BROKER_REVOCATION_SECONDS"),
    "a state directory that is a file": ({"state_dir": "{access}"}, "SESSION_BROKER_STATE_DIR"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_one_line_and_exit_code_3(world: World, case: str) -> None:
    changes, said = WRONG[case]
    access = str(world.folder / "access.toml")
    given = {name: value.format(access=access) for name, value in changes.items()}
    done = subprocess.run(
        [sys.executable, "-m", "session_broker"],
        env=variables(world, **given),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("session-broker: ")
    assert said in line
