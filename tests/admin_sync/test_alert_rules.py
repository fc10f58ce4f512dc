"""The alert rules speak of metrics and alerts that exist, and say where to read on."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from admin_sync.measures import MEASURES
from admin_sync.measures.exposition import PREFIX
from admin_sync.monitor.alert import KINDS
from admin_sync.monitor.tally import Tally
from stack.layout import CHECKOUT

FILE = CHECKOUT / "observability" / "alerts" / "iam.yaml"
GROUPS: list[dict[str, Any]] = yaml.safe_load(FILE.read_text())["groups"]
RULES: list[dict[str, Any]] = [rule for group in GROUPS for rule in group["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule]
EXTENSION = CHECKOUT / "realm/extension/src/main/java/example/tradepulse/keycloak/audit"


def exported() -> set[str]:
    """Every metric that the monitor, our listener in Keycloak and `metrics` export, under its name in Prometheus."""
    ours = {
        f"{metric.name}_total" if metric.type == "counter" else metric.name for metric in Tally().registry.collect()
    }
    writer = (EXTENSION / "AuditWriter.java").read_text()
    [listed] = re.findall(r"METRICS\s*=\s*List\.of\(([^)]*)\)", writer)
    assert '"tradepulse.audit." + name' in writer
    ours |= {f"{PREFIX}_{one.name}_{number}" for one in MEASURES for number in one.numbers}
    return ours | {f"tradepulse_audit_{name}_total" for name in re.findall(r'"([a-z]+)"', listed)}


def test_every_metric_in_a_rule_is_exported() -> None:
    named = {name for rule in RULES for name in re.findall(r"tradepulse_[a-z_]+", rule["expr"])}
    assert named
    assert named <= exported()


def test_every_recorded_series_in_a_rule_is_recorded() -> None:
    recorded = {rule["record"] for rule in RULES if "record" in rule}
    named = {name for rule in RULES for name in re.findall(r"tradepulse:[a-z_0-9:]+", rule["expr"])}
    assert named <= recorded


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_alert_has_a_rule_and_a_row_in_the_docs(kind: str) -> None:
    patterns = [text for rule in ALERTS for text in re.findall(r'kind=~?"([^"]+)"', rule["expr"])]
    told = any(re.fullmatch(pattern, kind) for pattern in patterns)
    # Missing lines have a counter of their own, which says how many.
    assert told or kind == "audit.lines_missing"
    assert f"`{kind}`" in (CHECKOUT / "docs" / "monitoring.md").read_text()


def test_no_rule_waits_for_a_kind_that_there_is_not() -> None:
    for rule in ALERTS:
        for text in re.findall(r'kind=~?"([^"]+)"', rule["expr"]):
            for part in text.split("|"):
                assert any(re.fullmatch(part, kind) for kind in KINDS), part


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_every_alert_has_a_severity_a_sentence_and_a_place_to_read_on(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert rule["annotations"]["summary"]
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^#+ (.*)$", (CHECKOUT / page).read_text(), re.MULTILINE)
    assert anchor in {re.sub(r"[^a-z0-9 -]", "", one.lower()).replace(" ", "-") for one in headings}
