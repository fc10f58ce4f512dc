"""Killed in the middle of a bulk apply, Keycloak and the client leave the realm as it was."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from admin_sync_world import ROOT, plain_environment
from bulk_realm import BulkRealm, batch, operation, person

from admin_sync.keycloak.bulk.capability import ask, place
from admin_sync.keycloak.connection import Connection, NotReachable
from admin_sync.settings import settings
from stack import control

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

CLIENT = """
import json, os, sys
from admin_sync.keycloak.connection import Connection
from admin_sync.settings import settings
connection = Connection(settings(os.environ).account())
connection.get("/master")
print("asking", flush=True)
connection.ask(sys.argv[1], json.load(open(sys.argv[2])))
print("answered", flush=True)
"""


@pytest.fixture(scope="module")
def made(keycloak_environment: Mapping[str, str]) -> Iterator[BulkRealm]:
    """A realm with little in it."""
    admin = Connection(settings(dict(keycloak_environment)).account())
    realm = BulkRealm(admin, f"killed{secrets.token_hex(3)}")
    admin.post("", {"realm": realm.name, "enabled": True, "organizationsEnabled": True, "adminEventsEnabled": True})
    admin.post(f"{realm.path}/users", person("known"))
    yield realm
    admin.delete(realm.path)


def long(realm: BulkRealm) -> list[dict[str, object]]:
    """As many operations as one transaction takes: seconds of work. The last has the name that shows who came first."""
    most = ask(realm.admin, (realm.name,)).operations
    return [
        operation("POST", "roles", {"name": "first"}),
        *(operation("POST", "users", person(f"killed{number}")) for number in range(most - 1)),
    ]


def test_a_client_killed_before_the_answer_leaves_the_realm_as_it_was(
    made: BulkRealm, keycloak_environment: Mapping[str, str], tmp_path: Path
) -> None:
    before = made.everything()
    document = tmp_path / "batch.json"
    document.write_text(json.dumps(batch(*long(made))))
    environ = {**plain_environment(), **keycloak_environment}
    command = [sys.executable, "-c", CLIENT, f"{place(made.name)}/apply", str(document)]
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "asking\n"
        time.sleep(0.5)
        client.send_signal(signal.SIGKILL)
        assert client.stdout.read() == ""
    # The name is unique in the database, so this waits until the transaction of the dead client has ended.
    made.apply(operation("POST", "roles", {"name": "first"}))
    made.admin.delete(f"{made.path}/roles/first")
    assert made.everything() == before


def test_a_keycloak_killed_before_the_answer_finds_the_realm_as_it_was(made: BulkRealm, stack: object) -> None:
    before = made.everything()
    outcome: list[Exception | None] = []

    def send() -> None:
        try:
            made.apply(*long(made))
        except NotReachable as problem:
            outcome.append(problem)
        else:
            outcome.append(None)

    thread = threading.Thread(target=send)
    thread.start()
    time.sleep(0.7)
    layout = stack.layout  # type: ignore[attr-defined]
    os.kill(control.state(layout)["services"]["keycloak"]["pid"], signal.SIGKILL)
    thread.join(60)
    assert [type(one) for one in outcome] == [NotReachable]
    until = time.monotonic() + 300
    while time.monotonic() < until:
        try:
            assert made.everything() == before
            break
        except NotReachable:
            time.sleep(0.5)
    else:
        pytest.fail("Keycloak did not come back")
    assert made.apply(operation("POST", "users", person("after")))["applied"] == 1
