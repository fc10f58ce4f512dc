"""Keycloak is killed while it works: no event is lost and none is doubled, and the reconciler proves it.

TRADEPULSE_SOAK=N makes it N times as many kills.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import pytest

from admin_sync.audit_reconcile.run import Asked, Outcome, reconcile
from admin_sync.audit_reconcile.written import announced
from admin_sync.keycloak.connection import Connection
from admin_sync.settings import settings
from identity.audit.chain import Chain
from identity.audit.checkpoint import open_checkpoint
from identity.audit.verify import verify_file
from identity.client_key import ClientKey
from stack import control
from tests.realm.audit_load import Load, kill_keycloak, open_segments

if TYPE_CHECKING:
    from stack.login import SavedFactor
    from tests.conftest import Stack
    from tests.realm.conftest import Person, Realm

pytestmark = pytest.mark.integration

KILLS = 2 * int(os.environ.get("TRADEPULSE_SOAK", "1"))
SETTLED_SECONDS = 60.0
SHOWN = 10

Record = dict[str, Any]


def trail(realm: Realm) -> Path:
    return realm.audit / "iam_events.jsonl"


def lines(realm: Realm, begin: int = 0) -> list[Record]:
    """The lines of Keycloak's from a byte of the file on."""
    with trail(realm).open("rb") as file:
        file.seek(begin)
        records = [orjson.loads(line) for line in file if line.endswith(b"\n")]
    return [record for record in records if record["source"] == "keycloak"]


def settled(realm: Realm) -> None:
    """Wait until Keycloak has said of everything that it announced what became of it."""
    deadline = time.monotonic() + SETTLED_SECONDS
    while announced(trail(realm)):
        assert time.monotonic() < deadline, f"never settled: {open_segments(trail(realm))}"
        time.sleep(0.2)


def looked(stack: Stack, realm: Realm, since: float, **asked: Any) -> Outcome:
    """A reconciliation of everything since a time in unix seconds."""
    made = settings({**stack.env, **asked.pop("environ", {})})
    wanted = Asked(("tradepulse-dev",), round(since * 1000), 0, (), asked.pop("dry_run", True))
    return reconcile(realm.admin, made, wanted, lambda _text: None)


@pytest.fixture
def service_key(stack: Stack) -> ClientKey:
    """The key of a service that logs in by itself."""
    pem = Path(stack.env["VAULT_CLIENT_KEY_FILE"]).read_text()
    return ClientKey("vault-api", pem, audience=stack.env["TRADEPULSE_ISSUER"])


@pytest.fixture
def load(stack: Stack, realm: Realm, app_holder: tuple[Person, SavedFactor]) -> Iterator[Load]:
    """Load on the realm; what it leaves there is taken away afterwards."""
    url = f"{stack.urls['keycloak']}/admin/realms/tradepulse-dev"
    made = Load(url, Connection(settings(stack.env).account()).bearer, app_holder[0].id)
    yield made
    for role in realm.admin.pages(f"{realm.path}/roles", search=made.prefix):
        realm.admin.delete(f"{realm.path}/roles-by-id/{role['id']}")


@pytest.mark.timeout(900 + 120 * KILLS)
def test_events_of_a_server_that_is_killed_under_load_are_neither_lost_nor_doubled(
    stack: Stack, realm: Realm, app_holder: tuple[Person, SavedFactor], service_key: ClientKey, load: Load
) -> None:
    person, app = app_holder
    since, begin = realm.admin.time(), trail(realm).stat().st_size
    chance = random.Random(KILLS)  # noqa: S311 - when to kill, not a secret
    with realm.forms(app) as driver, load.running(driver, person.again(), stack.env["VAULT_TOKEN_URL"], service_key):
        for number in range(KILLS):
            before, deadline = load.done.total, time.monotonic() + 120
            while load.done.total < before + 20 and time.monotonic() < deadline:
                time.sleep(0.05)
            time.sleep(chance.random())
            kill_keycloak(stack.layout)
            if (number + 1) % SHOWN == 0:
                print(f"{number + 1} kills, {load.done.total} requests acknowledged", flush=True)
    settled(realm)

    outcome = looked(stack, realm, since)
    found = outcome.realms[0].findings
    recovered = Counter(str(line["outcome"]) for line in lines(realm, begin) if "recovered_by" in line)
    print(f"{KILLS} kills: {load.done.total} acknowledged, {found.stored} stored, {found.written} written, {recovered}")
    assert found.stored >= load.done.total
    assert (found.missing, found.doubled, found.pending) == ((), (), 0)

    grants = [line for line in lines(realm, begin) if line["event"] == "role.granted"]
    named = Counter(part for line in grants for part in line["resource"].split() if part.startswith("role=audit-"))
    assert {f"role={name}" for name in load.done.granted} <= named.keys()
    assert set(named.values()) <= {1}
    assert {line["outcome"] for line in grants} == {"success"}
    report = verify_file(trail(realm))
    assert report.bad is None, str(report.bad)


def test_what_the_files_lost_is_found_appended_once_and_signed(
    stack: Stack, realm: Realm, app_holder: tuple[Person, SavedFactor], tmp_path: Path
) -> None:
    person, app = app_holder
    settled(realm)
    copy = tmp_path / "iam_events.jsonl"
    shutil.copyfile(trail(realm), copy)
    since = realm.admin.time()
    with realm.forms(app) as driver:
        session = driver.login(person.again()).claims()["sid"]
    realm.admin.put(f"{realm.path}/users/{person.id}/groups/{_group(realm)}")
    realm.admin.delete(f"{realm.path}/users/{person.id}/groups/{_group(realm)}")

    elsewhere = {"TRADEPULSE_AUDIT_DIR": str(tmp_path)}
    first = looked(stack, realm, since, environ=elsewhere, dry_run=False)
    assert first.ok
    assert first.missing >= 4  # the login, the code's exchange, and the two changes
    second = looked(stack, realm, since, environ=elsewhere, dry_run=False)
    assert second.ok
    assert second.missing == 0

    records = [orjson.loads(line) for line in copy.read_bytes().splitlines()]
    login = next(line for line in records if line["event"] == "login" and line["session"] == session)
    assert (login["source"], login["recovered_by"], login["actor"]) == ("reconcile", "reconcile", person.email)
    assert login["occurred_at"] < login["time"]
    joined = next(line for line in records if line["event"] == "admin.group_membership.create")
    assert "path=users/" in joined["resource"]
    said = [line for line in records if line["event"] == "audit.reconciled"]
    assert [(line["outcome"], line["reason"]) for line in said] == [("failure", "lines_missing"), ("success", None)]

    assert second.chains is not None
    signer = _signer(stack)
    heads = {open_checkpoint(note.read_text(), signer).chain for note in second.chains.notes}
    assert Chain("keycloak", "keycloak") in heads
    # Keycloak's chain is now pinned: the file cut off before its last line is no longer believed.
    whole = copy.read_bytes().splitlines(keepends=True)
    last = max(place for place, line in enumerate(whole) if b'"source":"keycloak"' in line)
    copy.write_bytes(b"".join(whole[:last]))
    assert not looked(stack, realm, since, environ=elsewhere, dry_run=False).ok


def test_the_command_reports_what_it_found_and_one_run_is_under_way_at_most(
    stack: Stack, realm: Realm, tmp_path: Path
) -> None:
    settled(realm)
    words = [
        "audit",
        "reconcile",
        "--env",
        "dev",
        "--settle",
        "0s",
        "--json",
        "--report",
        str(tmp_path / "report.json"),
    ]
    done = _admin_sync(stack, words)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report == json.loads((tmp_path / "report.json").read_text())
    assert report["ok"] is True
    assert [one["realm"] for one in report["realms"]] == ["tradepulse-dev"]
    assert report["realms"][0]["missing"] == []
    assert report["realms"][0]["stored"] == report["realms"][0]["written"] > 0
    with subprocess.Popen(
        ["flock", "-x", str(trail(realm)) + ".reconcile.lock", "sh", "-c", "echo held; read _"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert _admin_sync(stack, words).returncode == 6
        holder.communicate(b"\n")


def test_without_a_record_there_is_no_effect(stack: Stack, realm: Realm) -> None:
    """A limit on the size of files stands for the full disk: the server may write no file any further."""
    pid = control.state(stack.layout)["pids"]["keycloak"]
    headers = {"Authorization": f"Bearer {realm.admin.bearer()}"}
    url = f"{stack.urls['keycloak']}/admin/realms/tradepulse-dev/roles"
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    try:
        refused = httpx.post(url, json={"name": "audit-unrecorded"}, headers=headers, timeout=30)
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
    assert refused.status_code == 503, refused.text
    assert realm.admin.get(f"{realm.path}/roles/audit-unrecorded") is None
    settled(realm)
    begin = trail(realm).stat().st_size
    realm.admin.post(f"{realm.path}/roles", {"name": "audit-recorded"})
    realm.admin.delete(f"{realm.path}/roles/audit-recorded")
    settled(realm)
    assert [line["event"] for line in lines(realm, begin)][:1] == ["admin.realm_role.create"]
    assert "audit-unrecorded" not in trail(realm).read_text()


def _group(realm: Realm) -> str:
    return str(next(one for one in realm.admin.pages(f"{realm.path}/groups") if one["name"] == "research")["id"])


def _signer(stack: Stack) -> Any:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    key = load_pem_private_key(Path(stack.env["TRADEPULSE_AUDIT_CHECKPOINT_KEY_FILE"]).read_bytes(), password=None)
    return key.public_key()


def _admin_sync(stack: Stack, words: list[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "admin_sync", *words]
    return subprocess.run(command, env={**os.environ, **stack.env}, capture_output=True, text=True, check=False)
