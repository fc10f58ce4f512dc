"""The dashboards ask Prometheus for what there is, in queries that it understands."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from stack import promtool
from stack.layout import CHECKOUT, Layout
from stack.steps import Commands
from tests.observability.test_alert_rules import FOREIGN, RULES, exported, named

FILES: Final = sorted((CHECKOUT / "observability" / "dashboards").glob("*.json"))
BESIDES: Final = frozenset({"agroal_active_count", "tradepulse_risk_verdicts_total"})
"""Of Keycloak and our extension in it, in no alert rule."""


def load(file: Path) -> dict[str, Any]:
    board: dict[str, Any] = json.loads(file.read_text())
    return board


def queries(file: Path) -> list[str]:
    return [target["expr"].replace("$realm", ".*") for panel in load(file)["panels"] for target in panel["targets"]]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_query_is_one_that_prometheus_understands(file: Path, tmp_path: Path) -> None:
    rules = [{"record": f"query_{number}", "expr": query} for number, query in enumerate(queries(file))]
    written = tmp_path / "rules.yaml"
    written.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    program = promtool.ensure(Layout.here(), Commands())
    done = subprocess.run([program, "check", "rules", written], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_metric_and_recorded_series_of_a_query_exists(file: Path) -> None:
    recorded = {rule["record"] for _, rule in RULES if "record" in rule}
    for query in queries(file):
        parts = {re.sub(r"_(bucket|sum|count)$", "", name) for name in named(query)}
        there = {re.sub(r"_(sum|count)$", "", name) for name in exported() | FOREIGN | BESIDES}
        assert parts <= there | {"histogram_quantile", "label_values"}, query
        assert set(re.findall(r"tradepulse:[a-z_0-9:]+", query)) <= recorded


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_panel_says_what_it_shows_and_in_which_unit_and_none_covers_another(file: Path) -> None:
    board = load(file)
    assert board["uid"] == f"tradepulse-{file.stem}"
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        assert panel["title"]
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert all(x < 24 for x, _ in cells)
        taken |= cells
