"""The whole embedded stack: well, closed to the network, cheap to bring up again, and silent about its secrets."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import httpx
import pytest

from stack import control, process
from stack.ports import DEFAULTS
from tests.conftest import ABSENT, Stack, run_stack

pytestmark = pytest.mark.integration

OURS = {"vault", "vault-worker", "paper-broker", "session-broker", "proxy", "access", "workspace"}
LISTEN = "0A"
LOOPBACK = {
    socket.inet_pton(socket.AF_INET, "127.0.0.1"),
    socket.inet_pton(socket.AF_INET6, "::1"),
    socket.inet_pton(socket.AF_INET6, "::ffff:127.0.0.1"),
}


def listeners() -> dict[int, set[bytes]]:
    """Port -> addresses on which somebody listens, from the kernel's own table."""
    found: dict[int, set[bytes]] = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            _, local, _, state = line.split()[:4]
            address, port = local.split(":")
            if state == LISTEN:
                # Four-byte words in the byte order of the machine, which is little on all we run on.
                words = [bytes.fromhex(address[at : at + 8])[::-1] for at in range(0, len(address), 8)]
                found.setdefault(int(port, 16), set()).add(b"".join(words))
    return found


def test_every_service_is_up_and_healthy(stack: Stack) -> None:
    shown = run_stack(stack.layout, "status")
    names = {line.split()[0] for line in shown.splitlines()}
    assert names == {"supervisor", "postgres", "keycloak", "opa", "bundles", "neighbours", *OURS}
    assert "not healthy" not in shown


def test_nothing_listens_beyond_loopback(stack: Stack) -> None:
    open_ports = listeners()
    ports = control.state(stack.layout)["ports"]
    assert set(ports) == set(DEFAULTS)
    running = {name: port for name, port in ports.items() if name not in ABSENT}
    assert {name: open_ports[port] - LOOPBACK for name, port in running.items()} == {name: set() for name in running}


def test_a_second_up_takes_seconds_and_restarts_nothing(stack: Stack) -> None:
    before = control.state(stack.layout)["pids"]
    began = time.monotonic()
    printed = run_stack(stack.layout, "up", "--no-story", "--without", *ABSENT)
    assert time.monotonic() - began < 30
    assert control.state(stack.layout)["pids"] == before
    assert len(before) == 12
    assert any("apply configs/iam" in line and "unchanged" in line for line in printed.splitlines())


def test_the_realm_issues_tokens_under_the_name_that_the_settings_say(stack: Stack) -> None:
    issuer = stack.env["TRADEPULSE_ISSUER"]
    document = httpx.get(f"{issuer}/.well-known/openid-configuration").json()
    assert document["issuer"] == issuer


@pytest.mark.parametrize("name", ["workforce", "mock", "ci"])
def test_a_neighbour_is_a_real_provider_with_its_own_keys(stack: Stack, name: str) -> None:
    issuer = f"{stack.urls['neighbours']}/{name}"
    document = httpx.get(f"{issuer}/.well-known/openid-configuration").json()
    assert document["issuer"] == issuer
    assert httpx.get(document["jwks_uri"]).json()["keys"]


def test_local_people_have_one_time_passwords_that_stand_nowhere_else(stack: Stack) -> None:
    assert stack.logins
    file = stack.layout.secret("logins.txt")
    assert file.stat().st_mode & 0o777 == 0o600
    assert any(password in file.read_text() for password in stack.logins.values())


def test_no_secret_stands_in_a_log_an_audit_line_or_a_command_line(stack: Stack) -> None:
    layout = stack.layout
    values = [path.read_text().strip() for path in layout.secrets.iterdir() if path.suffix not in (".pub", ".txt")]
    values.extend(stack.logins.values())
    places = [
        path for folder in (layout.logs, layout.run, layout.audit) for path in folder.rglob("*") if path.is_file()
    ]
    seen = {str(path): path.read_text(errors="replace") for path in (*places, layout.environment)}
    for one in process.marked(control.mark(layout)):
        seen[f"pid {one.pid}"] = Path(f"/proc/{one.pid}/cmdline").read_text()
    assert len(values) > 12
    assert len(seen) > 12
    assert [place for place, text in seen.items() if any(value in text for value in values)] == []
