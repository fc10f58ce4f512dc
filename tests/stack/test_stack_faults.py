"""What happens to the processes when things go wrong, on real PostgreSQL and OPA."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from stack import control, postgres
from stack.files import read_json, write_json
from stack.process import known
from tests.stack.conftest import Light


def eventually(true: Callable[[], bool], *, seconds: float = 15.0) -> bool:
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def test_a_second_up_takes_seconds_and_keeps_every_process(light: Light) -> None:
    light.up()
    before = (light.supervisor, light.pids)
    began = time.monotonic()
    light.up()
    assert time.monotonic() - began < 15
    assert (light.supervisor, light.pids) == before


def test_a_short_lived_stack_stays_one_whoever_brings_it_up_again(light: Light) -> None:
    light.up()
    before = light.pids
    assert light.run("up", "--only", "postgres", "opa", f"--owner={os.getpid()}").returncode == 0
    assert light.pids == before
    assert "fsync=off" in Path(f"/proc/{before['postgres']}/cmdline").read_text()


def test_down_leaves_no_process_and_says_so_twice(light: Light) -> None:
    light.up()
    assert len(light.processes()) >= 4
    ports = light.state["ports"]
    assert light.run("down").returncode == 0
    assert light.processes() == []
    with socket.create_server(("127.0.0.1", ports["postgres"])):
        pass
    again = light.run("down")
    assert (again.returncode, again.stdout.strip()) == (0, "nothing was running")


def test_a_killed_supervisor_takes_its_children_along(light: Light) -> None:
    light.up()
    children = light.processes()
    os.kill(light.supervisor.pid, signal.SIGKILL)
    assert eventually(lambda: not any(child.alive for child in children)), light.processes()


def test_after_a_killed_supervisor_up_finds_the_data_again(light: Light) -> None:
    light.up()
    sql(light, "CREATE TABLE kept (line text); INSERT INTO kept VALUES ('still here')")
    ports = light.state["ports"]
    os.kill(light.supervisor.pid, signal.SIGKILL)
    light.up()
    assert sql(light, "SELECT line FROM kept") == "still here\n"
    assert light.state["ports"] == ports


def test_what_a_dead_supervisor_left_running_is_ended_before_the_next_start(light: Light) -> None:
    light.up()
    light.run("down")
    # Carries the mark, ignores the polite signal, and is nobody's child: as after a crash of the kernel's help.
    orphan = subprocess.Popen(
        [sys.executable, "-c", "import signal,time; signal.signal(2, signal.SIG_IGN); time.sleep(600)"],
        env={**os.environ, "TRADEPULSE_STACK_MARK": control.mark(light.layout)},
        start_new_session=True,
    )
    time.sleep(0.5)
    done = light.run("down")
    assert orphan.wait(5) == -signal.SIGKILL
    assert str(orphan.pid) in done.stdout


def test_a_pid_that_now_means_another_process_is_left_alone(light: Light) -> None:
    light.up()
    light.run("down")
    with subprocess.Popen(["sleep", "600"]) as stranger:
        identity = known(stranger.pid)
        assert identity is not None
        state = light.state
        state["services"] = {"opa": {"pid": stranger.pid, "started": identity.started - 1}}
        state["supervisor"] = {"pid": stranger.pid, "started": identity.started - 1}
        write_json(light.layout.run / "state.json", state)
        assert light.run("down").stdout.strip() == "nothing was running"
        assert stranger.poll() is None
        stranger.kill()


def test_a_crashed_service_comes_back(light: Light) -> None:
    light.up()
    first = light.pids["opa"]
    os.kill(first, signal.SIGKILL)
    assert eventually(lambda: light.pids.get("opa") not in (None, first))
    assert eventually(lambda: light.run("status").returncode == 0)
    assert light.state["services"]["opa"]["restarts"] == 1


def test_a_service_that_never_stays_up_is_given_up_and_named(light: Light) -> None:
    light.layout.make()
    light.up()
    (light.layout.opa_config).write_text("{not a configuration")
    os.kill(light.pids["opa"], signal.SIGKILL)
    assert eventually(lambda: light.state["services"]["opa"]["status"] == "failed", seconds=60)
    shown = light.run("status")
    assert shown.returncode == 1
    assert [line.split()[1] for line in shown.stdout.splitlines() if line.startswith("opa")] == ["failed"]


def test_a_port_that_is_taken_is_replaced_by_one_that_is_kept(light: Light) -> None:
    light.up()
    light.run("down")
    taken = read_json(light.layout.run / "ports.json")["opa"]
    with socket.create_server(("127.0.0.1", taken)):
        light.up()
        moved = light.state["ports"]
        assert moved["opa"] != taken
        light.run("down")
    light.up()
    assert light.state["ports"] == moved
    assert f"TRADEPULSE_OPA_URL=http://127.0.0.1:{moved['opa']}\n" in light.layout.environment.read_text()


def test_a_stack_does_not_outlive_its_owner(light: Light) -> None:
    with subprocess.Popen(["sleep", "600"]) as owner:
        assert light.run("up", "--only", "postgres", f"--owner={owner.pid}").returncode == 0
        assert len(light.processes()) >= 2
        owner.kill()
        owner.wait()
        assert eventually(lambda: light.processes() == [])


def test_two_ups_at_once_do_not_meet(light: Light) -> None:
    light.up()
    light.run("down")
    command = [sys.executable, "-m", "stack", "up", "--only", "postgres", "opa"]
    environment = {**os.environ, "TRADEPULSE_STACK_DIR": str(light.layout.state)}
    both = [
        subprocess.Popen(command, cwd=light.layout.checkout, env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    errors = [one.communicate()[1] for one in both]
    assert sorted(one.returncode for one in both) == [0, 1]
    assert [error for error in errors if "another `make up`" in error]
    assert light.run("status").returncode == 0


def test_no_secret_stands_in_a_log_a_command_line_or_a_world_readable_file(light: Light) -> None:
    light.up()
    files = [path for path in light.layout.secrets.iterdir() if path.suffix != ".pub"]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert light.layout.secrets.stat().st_mode & 0o777 == 0o700
    secrets = [path.read_text().strip() for path in files]
    seen = [path.read_text() for folder in (light.layout.logs, light.layout.run) for path in folder.iterdir()]
    seen.append(light.layout.environment.read_text())
    seen.extend(Path(f"/proc/{entry.pid}/cmdline").read_text() for entry in light.processes())
    assert len(secrets) > 8
    assert [text for text in seen for secret in secrets if secret in text] == []


def sql(light: Light, statement: str) -> str:
    layout = light.layout
    cluster = postgres.cluster(layout.state / "postgres", light.state["ports"]["postgres"], python=layout.python)
    return cluster.psql(layout.secret("postgres-postgres").read_text().strip(), statement, database="vault")
