"""kcwarden, an auditor that is not ours, finds nothing in the running realms but what `kcwarden.yaml` explains."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
import pytest
import yaml

if TYPE_CHECKING:
    from tests.conftest import Stack

REVIEWED: Final = Path(__file__).with_name("kcwarden.yaml")

ASKS_THE_INTERNET: Final = "KeycloakVersionShouldBeUpToDate"
"""Its answer changes with every release of Keycloak, and without a network there is none."""


def kcwarden(*words: str | Path) -> bytes:
    program = Path(sys.executable).with_name("kcwarden")
    done = subprocess.run([program, *words], capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture(scope="module")
def auditors() -> list[str]:
    """Every check that kcwarden has, but for the one that asks the internet."""
    template = yaml.safe_load(kcwarden("generate-config-template"))
    names = [one["auditor"] for one in template["auditors"]]
    assert ASKS_THE_INTERNET in names
    return [name for name in names if name != ASKS_THE_INTERNET]


def audit(stack: Stack, realm: str, auditors: list[str], place: Path, config: Path) -> list[dict[str, Any]]:
    """What kcwarden finds in a realm as it is on the server now."""
    export = stack.admin.query(f"/{realm}/partial-export", exportClients=True, exportGroupsAndRoles=True)
    dump, report = place / "realm.json", place / "report.json"
    dump.write_bytes(orjson.dumps(export))
    kcwarden("audit", dump, "--config", config, "--format", "json", "--output", report, "--auditors", *auditors)
    found: list[dict[str, Any]] = orjson.loads(report.read_bytes())
    return found


@pytest.mark.integration
@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_nothing_is_found_but_what_was_reviewed(
    stack: Stack, auditors: list[str], environment: str, tmp_path: Path
) -> None:
    assert audit(stack, f"tradepulse-{environment}", auditors, tmp_path, REVIEWED) == []


@pytest.mark.integration
def test_every_reviewed_exception_is_still_needed(stack: Stack, auditors: list[str], tmp_path: Path) -> None:
    none = tmp_path / "none.yaml"
    none.write_text("auditors: []\nmonitors: []\n")
    found = {one["reporting_auditor"] for one in audit(stack, "tradepulse-dev", auditors, tmp_path, none)}
    assert found == {one["auditor"] for one in yaml.safe_load(REVIEWED.read_text())["auditors"]}
