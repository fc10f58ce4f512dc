"""The digest says what happened and what is held, to those who may know; the SOC gets every event in its own words."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from lease_world import OPERATOR
from vault_world import CHECKOUT, FIRST, TOKENS, VaultProcess, World, credential_url

from vault_api.compliance.digest import Counted, Holdings, count
from vault_api.compliance.ecs import _UNKNOWN, class_of, ecs
from vault_api.compliance.weekly import WeeklyDigest
from vault_api.permissions import Call
from vault_api.store.database import Database

DIGEST = "/v1/compliance/digest"

CATEGORIES = {
    "api", "authentication", "configuration", "database", "driver", "email", "file", "host", "iam",
    "intrusion_detection", "library", "malware", "network", "package", "process", "registry", "session", "threat",
    "vulnerability", "web",
}  # fmt: skip
TYPES = {
    "access", "admin", "allowed", "change", "connection", "creation", "deletion", "denied", "device", "end", "error",
    "group", "indicator", "info", "installation", "protocol", "start", "user",
}  # fmt: skip
"""The values that ECS 8.17 allows in event.category and event.type."""


def used(vault: VaultProcess, world: World, partner: str) -> None:
    """Two releases by a trader, one by an administrator, and one that an analyst may not have."""
    url, bearer = credential_url(partner, "main"), world.realm.bearer(partner)
    assert vault.http.put(url, headers={**bearer, **FIRST}, json=TOKENS).status_code == 201
    for role, status in (
        ("partner-trader", 200),
        ("partner-trader", 200),
        ("partner-admin", 200),
        ("partner-analyst", 403),
    ):
        answer = vault.http.post(f"{url}/release", headers=world.realm.bearer(partner, role=role))
        assert answer.status_code == status


def test_a_partner_reads_its_own_digest_with_releases_by_role_and_refusals(
    vault: VaultProcess, world: World, partner: str, other_partner: str
) -> None:
    used(vault, world, partner)
    used(vault, world, other_partner)
    analyst = world.realm.bearer(partner, role="partner-analyst")
    answer = vault.http.get(DIGEST, headers=analyst, params={"partner": partner})
    assert answer.status_code == 200, answer.text
    (digest,) = answer.json()["partners"]
    assert digest["partner"] == partner
    assert (digest["stores"], digest["releases"]) == (1, 3)
    assert digest["releases_by_role"] == {"partner_role:partner-admin": 1, "partner_role:partner-trader": 2}
    assert digest["refusals"] == {"credential.release: no_role_grants_permission": 1}
    assert digest["exceptions"] == {}
    assert digest["holdings"]["credentials"] == 1
    assert [key["rows"] for key in digest["holdings"]["keys"]] == [1]
    text = vault.http.get(DIGEST, headers={**analyst, "Accept": "text/markdown"}, params={"partner": partner})
    assert text.headers["content-type"].startswith("text/markdown")
    assert f"## {partner}" in text.text
    assert "| partner\\_role:partner-trader | 2 |" in text.text
    assert other_partner not in text.text


def test_only_whoever_may_view_audit_trails_sees_all_partners(
    vault: VaultProcess, world: World, partner: str, other_partner: str
) -> None:
    used(vault, world, partner)
    root, trader = world.realm.bearer(None, **OPERATOR), world.realm.bearer(partner)
    assert partner in {one["partner"] for one in vault.http.get(DIGEST, headers=root).json()["partners"]}
    assert vault.http.get(DIGEST, headers=trader).status_code == 403
    missing = vault.http.get(DIGEST, headers=trader, params={"partner": "no-such-partner"}).json()
    for place in (other_partner, "NO NAME", ""):
        foreign = vault.http.get(DIGEST, headers=trader, params={"partner": place})
        assert foreign.status_code == 404
        assert {**foreign.json(), "trace_id": ""} == {**missing, "trace_id": ""}
    for days in ("0", "93", "x", "7.0", "-1"):
        assert vault.http.get(DIGEST, headers=root, params={"days": days}).status_code == 422


def test_a_digest_counts_what_is_inside_its_days_and_nothing_else() -> None:
    holdings = Holdings(
        credentials=0, expired=0, oldest_stored_at=None, keys=(), leases=0, irrevocable_leases=0
    )  # fmt: skip
    lines = [
        Counted(event="credential.release", outcome="success", reason=None, roles=None, counted=3),
        Counted(event="credential.release", outcome="failure", reason="integrity_error", roles=None, counted=1),
        Counted(event="key.rotation.begin", outcome="success", reason=None, roles='"role:admin"', counted=1),
        Counted(event="lease.issue", outcome="success", reason=None, roles=None, counted=2),
        Counted(event="lease.list", outcome="success", reason=None, roles=None, counted=9),
        Counted(event="credential.store", outcome="denied", reason="rate_limited:7", roles=None, counted=1),
    ]
    digest = count("acme", holdings, lines)
    assert (digest.releases, digest.releases_by_role) == (3, {"unrecorded": 3})
    assert digest.exceptions == {"credential.release: integrity_error": 1}
    assert digest.refusals == {"credential.store: rate_limited": 1}
    assert (digest.rotations, digest.leases) == ({"key.rotation.begin": 1}, {"lease.issue": 2})


async def test_each_week_is_written_once_and_whole(
    vault: VaultProcess, world: World, partner: str, superuser: asyncpg.Connection, tmp_path: Path
) -> None:
    await asyncio.to_thread(used, vault, world, partner)
    database = await Database.connect(
        f"postgresql://vault_app@{world.postgres.host}:{world.postgres.port}/vault",
        world.postgres.passwords["vault_app"],
        size=2,
    )
    try:
        # As it will be in a week: what happened today is then last week's.
        later = datetime.now(UTC) + timedelta(days=7)
        task = WeeklyDigest(database, tmp_path, clock=lambda: later)
        await task.run_once()
        year, week, _ = datetime.now(UTC).isocalendar()
        page, document = (tmp_path / f"digest-{year}-W{week:02d}.{kind}" for kind in ("md", "json"))
        found = {one["partner"]: one for one in json.loads(document.read_text())["partners"]}
        assert found[partner]["releases"] == 3
        assert f"| {partner} |" in page.read_text().replace("\\", "")
        written = document.stat().st_mtime_ns
        await task.run_once()
        assert document.stat().st_mtime_ns == written
        assert await asyncio.to_thread(lambda: len(list(tmp_path.iterdir()))) == 2
    finally:
        await database.close()


def events() -> set[str]:
    """Every event that the vault's code and its database functions can write."""
    found = {call.event for call in Call}
    for path in (CHECKOUT / "vault_api").rglob("*"):
        if path.suffix == ".py":
            found |= set(re.findall(r'\bevent="([a-z_]+(?:\.[a-z_]+)+)"', path.read_text()))
        elif path.suffix == ".sql":
            found |= set(re.findall(r"append_audit\([^;]*?'([a-z_]+(?:\.[a-z_]+)+)'", path.read_text()))
    return found


@pytest.mark.parametrize("outcome", ["success", "denied", "failure"])
def test_every_event_of_the_vault_has_a_place_in_ecs(outcome: str) -> None:
    assert {"credential.release", "lease.issue", "legacy.switch"} <= events()
    for event in sorted(events()):
        assert class_of(event) is not _UNKNOWN, event
        document = ecs(
            {"event": event, "outcome": outcome, "time": "2026-01-01T00:00:00.000000Z", "source": "vault-api"}
        )
        assert set(document["event"]["category"]) <= CATEGORIES
        assert set(document["event"]["type"]) <= TYPES
        assert document["event"]["outcome"] == ("success" if outcome == "success" else "failure")
        assert document["event"]["action"] == event


def test_lines_of_the_file_become_ecs_documents_one_by_one(vault: VaultProcess, world: World, partner: str) -> None:
    used(vault, world, partner)
    trail = vault.http.get(f"/v1/partners/{partner}/audit", headers=world.realm.bearer(partner)).json()["events"]
    given = "".join(json.dumps(event) + "\n" for event in trail) + "half a li"
    done = subprocess.run(
        [sys.executable, "-m", "vault_api", "soc"],
        cwd=CHECKOUT, input=given, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, "half a li" in done.stdout + done.stderr) == (1, False), done.stderr
    documents = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(documents) == len(trail)
    released = next(one for one in documents if one["event"]["action"] == "credential.release")
    line = next(one for one in trail if one["event"] == "credential.release")
    assert released["event"]["id"] == line["hash"]
    assert released["organization"]["id"] == partner
    assert released["user"]["roles"] == ["partner_role:partner-trader"]
    assert released["@timestamp"] == line["time"]
    damaged = ecs({**line, "outcome": "failure", "reason": "integrity_error"})
    assert (damaged["event"]["kind"], damaged["event"]["type"]) == ("alert", ["access", "error"])
