"""What `admin-sync metrics` says about access: denials, orphans, waiting, certifications, and that for Prometheus."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from certification_world import address, configured

from admin_sync.commands.measuring import Shape, metrics
from admin_sync.commands.options import Options
from admin_sync.console import DONE, FAILED, Console
from admin_sync.measures import MEASURES, Subject
from admin_sync.measures.exposition import exposition
from admin_sync.measures.identities import orphans
from admin_sync.model import Current, Ref, Resource, index
from admin_sync.refs import USER

NOW = datetime.now(UTC)


def named(measure: str) -> tuple[str, ...]:
    """The numbers of a measure that alert rules wait for."""
    (one,) = (one for one in MEASURES if one.name == measure)
    assert one.numbers
    return one.numbers


def decision(outcome: str, environment: str, reason: str | None = None, *, days: float = 0.0) -> dict[str, Any]:
    return {
        "event": "policy.decided",
        "outcome": outcome,
        "time": (NOW - timedelta(days=days)).isoformat(),
        "source": "opa",
        "node": "n",
        "seq": 1,
        "resource": f"{environment}/bundle/2026",
        "reason": reason,
    }


def taken(
    folder: Path, capsys: pytest.CaptureFixture[str], only: str, environ: Mapping[str, str], code: int = DONE
) -> dict[str, Any]:
    options = Options(folder, (), Console(as_json=True), {"TRADEPULSE_AUDIT_DIR": str(folder), **environ})
    assert metrics(options, only=[only]) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found["measures"].get(only) or found["not_taken"]


def test_denials_are_counted_by_environment_and_reason_and_nothing_else_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        decision("denied", "prod", "no_role outside_window"),
        decision("denied", "prod", "no_role"),
        decision("success", "prod"),
        decision("failure", "dev", "evaluation_error"),
        decision("denied", "dev", "no_role", days=8),
        {**decision("denied", "prod", "no_role"), "event": "credential.released"},
    ]
    text = "".join(json.dumps(one) + "\n" for one in lines)
    (tmp_path / "iam_events.jsonl").write_text(f'{text}{{"event":"policy.decided","outc')
    found = taken(tmp_path, capsys, "policy_denials", {})
    assert (found["decisions"], found["denied"], found["failed"], found["denied_share"]) == (4, 2, 1, 0.5)
    assert found["environments"]["prod"]["reasons"] == {"no_role": 2, "outside_window": 1}
    assert found["environments"]["dev"]["denied"] == 0


class Reads:
    """A session whose realms are given."""

    def __init__(self, *accounts: Resource) -> None:
        self._accounts = accounts

    def gateway(self, _: str) -> Reads:
        return self

    def read(self, realm: str) -> Current:
        return Current(realm, exists=True, resources=index(self._accounts))


def account(name: str, **attrs: Any) -> Resource:
    return Resource(Ref(USER, name), {"enabled": True, **attrs}, managed=True)


def test_orphans_are_holders_and_accounts_that_nobody_employs(tmp_path: Path) -> None:
    folder = tmp_path / "iam"
    configured(folder, [("ann", "role viewer", ("dev",)), ("gone", "role viewer", ("prod",))])
    roster = tmp_path / "roster.csv"
    roster.write_text(
        "email,name,manager,department,active,start,end,aliases\n"
        f"{address('boss')},Boss,,d,true,,,\n{address('ann')},Ann,{address('boss')},d,true,,,a.one@x.example\n"
    )
    options = Options(folder, ("dev", "prod"), Console(), {"ACCESS_ROSTER_FILE": str(roster)})
    subject = Subject(options, NOW, 7)
    subject.__dict__["session"] = Reads(
        account("a.one@x.example"),
        account("stray@x.example"),
        account("disabled@x.example", enabled=False),
        account("break-glass-1"),
        account("admin@acme.example"),
    )
    found = orphans(subject)
    assert found["orphaned"] == 2
    assert set(named("orphaned_identities")) <= found.keys()
    assert found["environments"]["dev"]["who"] == ["stray@x.example"]
    assert found["environments"]["prod"]["who"] == [address("gone"), "stray@x.example"]
    assert (found["environments"]["prod"]["orphaned_holders"], found["environments"]["prod"]["accounts"]) == (1, 2)


def test_a_roster_that_cannot_be_used_makes_nobody_an_orphan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configured(tmp_path / "iam", [("ann", "role viewer", ("dev",))])
    empty = tmp_path / "roster.csv"
    empty.write_text("")
    for environ in ({}, {"ACCESS_ROSTER_FILE": str(empty)}):
        assert (
            "roster" in taken(tmp_path / "iam", capsys, "orphaned_identities", environ, FAILED)["orphaned_identities"]
        )


@pytest.fixture
async def database(postgres: Any, access_template: str, tmp_path: Path) -> dict[str, str]:
    """The settings that reach an empty database of requests."""
    name = "access_metrics"
    admin = await asyncpg.connect(postgres.dsn("postgres", "postgres"))
    await admin.execute(f"CREATE DATABASE {name} OWNER access_owner TEMPLATE {access_template}")
    await admin.close()
    place = f"{postgres.host}:{postgres.port}/{name}"
    secret = tmp_path / "password"
    secret.write_text(postgres.passwords["access_reconciler"])
    secret.chmod(0o600)
    return {
        "ACCESS_RECONCILER_DATABASE_URL": f"postgresql://access_reconciler@{place}",
        "ACCESS_RECONCILER_DATABASE_PASSWORD_FILE": str(secret),
    }


async def test_a_certification_that_never_was_is_overdue_and_no_decision_has_no_mean(
    database: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "iam"
    configured(folder, [("ann", "role viewer", ("dev",))])
    found = await asyncio.to_thread(taken, folder, capsys, "certification", database)
    assert (found["overdue"], found["last_closed"], found["open_items"]) == (True, None, 0)
    assert set(named("certification")) <= found.keys()
    waits = await asyncio.to_thread(taken, folder, capsys, "time_to_decide", database)
    assert (waits["decided"], waits["seconds_mean"], waits["open"]) == (0, None, 0)


def test_prometheus_reads_every_number_and_nothing_that_is_unknown(tmp_path: Path) -> None:
    text = exposition(
        {"policy_denials": {"denied": 3, "share": None, "who": ["x"], "late": True,
                            "environments": {'pr"od\n': {"denied": 2, "reasons": {"no_role": 2}}}}},
        {"policy_denials": "what was refused"},
    )  # fmt: skip
    assert text.splitlines() == [
        "# HELP tradepulse_measure_policy_denials_denied what was refused",
        "# TYPE tradepulse_measure_policy_denials_denied gauge",
        "tradepulse_measure_policy_denials_denied 3",
        'tradepulse_measure_policy_denials_denied{environment="pr\\"od\\n"} 2',
        "# HELP tradepulse_measure_policy_denials_late what was refused",
        "# TYPE tradepulse_measure_policy_denials_late gauge",
        "tradepulse_measure_policy_denials_late 1",
        "# HELP tradepulse_measure_policy_denials_reason what was refused",
        "# TYPE tradepulse_measure_policy_denials_reason gauge",
        'tradepulse_measure_policy_denials_reason{environment="pr\\"od\\n",reason="no_role"} 2',
    ]


def test_a_file_for_the_collector_is_replaced_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "iam_events.jsonl").write_text(json.dumps(decision("denied", "prod", "no_role")) + "\n")
    out = tmp_path / "iam.prom"
    options = Options(tmp_path, (), Console(), {"TRADEPULSE_AUDIT_DIR": str(tmp_path)})
    assert metrics(options, only=["policy_denials"], shape=Shape.PROMETHEUS, out=out) == DONE
    assert 'tradepulse_measure_policy_denials_denied{environment="prod"} 1' in out.read_text()
    assert out.stat().st_mode & 0o777 == 0o644
