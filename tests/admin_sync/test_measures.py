"""What `admin-sync metrics` says about sessions: each counted once, by its strongest factor."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from admin_sync.commands.measuring import metrics
from admin_sync.commands.options import Options
from admin_sync.console import DONE, FAILED, Console
from admin_sync.errors import Misconfigured
from admin_sync.monitor.line import pairs

NOW = datetime.now(UTC)


def login(
    session: str | None, *amr: str, age: float = 0.0, realm: str = "tradepulse-dev", **changed: Any
) -> dict[str, Any]:
    return {
        "event": "login",
        "outcome": "success",
        "time": (NOW - timedelta(days=age)).isoformat(),
        "source": "keycloak",
        "node": "n",
        "seq": 1,
        "actor": "a@b.example",
        "session": session,
        "amr": list(amr),
        "resource": f"client=tradepulse-cli realm={realm}",
        **changed,
    }


def written(path: Path, *records: Mapping[str, Any]) -> Path:
    path.write_bytes(b"".join(json.dumps(one).encode() + b"\n" for one in records))
    return path


def taken(folder: Path, capsys: pytest.CaptureFixture[str], code: int = DONE, **asked: Any) -> dict[str, Any]:
    options = Options(folder, (), Console(as_json=True), {"TRADEPULSE_AUDIT_DIR": str(folder)})
    assert metrics(options, **{"only": ["hardware_factors"], **asked}) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_session_counts_once_by_its_strongest_factor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(
        tmp_path / "iam_events.jsonl",
        login("s1", "pwd"),
        login("s1", "pwd", "hwk"),
        login("s2", "pwd", "otp"),
        login("s3", "pwd"),
        login("s4", "pwd", realm="tradepulse-prod"),
    )
    found = taken(tmp_path, capsys)["measures"]["hardware_factors"]
    assert (found["sessions"], found["hardware"], found["second_factor"]) == (4, 1, 2)
    assert (found["hardware_share"], found["second_factor_share"]) == (0.25, 0.5)
    assert found["realms"]["tradepulse-dev"]["sessions"] == 3
    assert found["realms"]["tradepulse-prod"]["hardware_share"] == 0.0


def test_only_logins_of_people_in_the_period_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(
        tmp_path / "iam_events.jsonl",
        login("old", "pwd", "hwk", age=8),
        login(None, "pwd"),
        login("failed", outcome="failure"),
        login("service", event="client.login"),
        login("new", "pwd", age=6.9),
    )
    assert taken(tmp_path, capsys)["measures"]["hardware_factors"]["sessions"] == 1
    assert taken(tmp_path, capsys, days=9)["measures"]["hardware_factors"]["sessions"] == 2


def test_rotated_files_count_and_torn_lines_do_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path / "iam_events.jsonl.1", login("s1", "pwd", "hwk"))
    with written(tmp_path / "iam_events.jsonl", login("s2", "pwd")).open("ab") as file:
        file.write(b'{"event":"login","outcome":"succ')
    (tmp_path / "iam_events.jsonl.x.lock").write_bytes(b"")
    assert taken(tmp_path, capsys)["measures"]["hardware_factors"]["sessions"] == 2


def test_a_measure_that_cannot_be_taken_says_why_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = taken(tmp_path, capsys, FAILED)
    assert found["measures"] == {}
    assert "TRADEPULSE_AUDIT_DIR" in found["not_taken"]["hardware_factors"]


def test_no_session_has_no_share(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path / "iam_events.jsonl", login("old", age=30))
    os.utime(tmp_path / "iam_events.jsonl")
    assert taken(tmp_path, capsys)["measures"]["hardware_factors"]["hardware_share"] is None


def test_an_unknown_measure_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="there are hardware_factors"):
        metrics(Options(tmp_path, (), Console(), {}), only=["nothing"])


def test_a_value_with_space_in_it_is_one_value_and_no_other_pair() -> None:
    assert pairs('client=x realm=r user="a b\\" realm=evil"') == {
        "client": "x",
        "realm": "r",
        "user": 'a b" realm=evil',
    }
