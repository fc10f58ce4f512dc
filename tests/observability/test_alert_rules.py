"""The alert rules speak of metrics and alerts that exist, say where to read on, and fire when they should."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from admin_sync.access.metrics import Metrics as AccessMetrics
from admin_sync.audit_reconcile.repeated import Tally as AuditTally
from admin_sync.measures import MEASURES
from admin_sync.measures.exposition import PREFIX
from admin_sync.monitor.alert import KINDS
from admin_sync.monitor.tally import Tally
from admin_sync.reconciler.tally import Tally as ReconcilerTally
from session_broker.metrics import Metrics as BrokerMetrics
from stack import promtool
from stack.layout import CHECKOUT, Layout
from stack.steps import Commands
from vault_api.metrics import Metrics as VaultMetrics
from workspace.metrics import Metrics as WorkspaceMetrics

FOLDER: Final = CHECKOUT / "observability" / "alerts"
FILES: Final = sorted(FOLDER.glob("*.yaml"))
RULES: Final[list[tuple[str, dict[str, Any]]]] = [
    (file.name, rule)
    for file in FILES
    for group in yaml.safe_load(file.read_text())["groups"]
    for rule in group["rules"]
]
ALERTS: Final = [(file, rule) for file, rule in RULES if "alert" in rule]
EXTENSION: Final = CHECKOUT / "realm/extension/src/main/java/example/tradepulse/keycloak/audit"
FOREIGN: Final = frozenset(
    {
        "up",
        "keycloak_user_events_total",
        "http_server_requests_seconds_sum",
        "http_server_requests_seconds_count",
        "agroal_awaiting_count",
        "bundle_failed_load_counter",
        "last_success_bundle_request",
    }
)
"""Of Prometheus itself, Keycloak and OPA; `tests/stack` asks the running ones for them."""

WORDS: Final = re.compile(r"\b[a-z][a-z0-9]*(?:_[a-z0-9]+)+\b|\bup\b")


@pytest.fixture(scope="module")
def program() -> Path:
    return promtool.ensure(Layout.here(), Commands())


def exported() -> set[str]:
    """Every metric of ours under its name in Prometheus."""
    text = (
        b"".join(one.render() for one in (VaultMetrics(), BrokerMetrics(), AccessMetrics())) + WorkspaceMetrics().text()
    )
    ours = {line.split()[2] for line in text.decode().splitlines() if line.startswith("# TYPE")}
    for tally in (Tally(), ReconcilerTally(every=1), AuditTally()):
        ours |= {f"{one.name}_total" if one.type == "counter" else one.name for one in tally.registry.collect()}
    writer = (EXTENSION / "AuditWriter.java").read_text()
    [listed] = re.findall(r"METRICS\s*=\s*List\.of\(([^)]*)\)", writer)
    assert '"tradepulse.audit." + name' in writer
    ours |= {f"{PREFIX}_{one.name}_{number}" for one in MEASURES for number in one.numbers}
    return ours | {f"tradepulse_audit_{name}_total" for name in re.findall(r'"([a-z]+)"', listed)}


def named(expression: str) -> set[str]:
    """The metrics in an expression: words outside of quotes and braces, and names that one may choose from."""
    chosen = {name for text in re.findall(r'__name__=~"([^"]+)"', expression) for name in text.split("|")}
    bare = re.sub(r'"[^"]*"|tradepulse:[a-z_0-9:]+|\{[^}]*\}', " ", expression)
    return {word for word in WORDS.findall(bare) if word not in ("group_left", "group_right")} | chosen


@pytest.mark.parametrize(("file", "rule"), RULES, ids=lambda one: one if isinstance(one, str) else "")
def test_every_metric_in_a_rule_is_exported(file: str, rule: dict[str, Any]) -> None:
    assert named(rule["expr"]) or "tradepulse:" in rule["expr"]
    assert named(rule["expr"]) <= exported() | FOREIGN


def test_every_recorded_series_in_a_rule_is_recorded() -> None:
    recorded = {rule["record"] for _, rule in RULES if "record" in rule}
    assert {name for _, rule in RULES for name in re.findall(r"tradepulse:[a-z_0-9:]+", rule["expr"])} <= recorded


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_alert_has_a_rule_and_a_row_in_the_docs(kind: str) -> None:
    patterns = [text for _, rule in ALERTS for text in re.findall(r'kind=~?"([^"]+)"', rule["expr"])]
    assert any(re.fullmatch(pattern, kind) for pattern in patterns)
    assert f"`{kind}`" in (CHECKOUT / "docs" / "monitoring.md").read_text()


def test_no_rule_waits_for_a_kind_that_there_is_not() -> None:
    for _, rule in ALERTS:
        for text in re.findall(r'kind=~?"([^"]+)"', rule["expr"]):
            for part in text.split("|"):
                assert any(re.fullmatch(part, kind) for kind in KINDS), part


def test_a_kind_of_alert_is_there_before_its_first() -> None:
    text = {
        sample.labels["kind"]
        for metric in Tally().registry.collect()
        for sample in metric.samples
        if "kind" in sample.labels
    }
    assert text == set(KINDS)


@pytest.mark.parametrize("rule", [rule for _, rule in ALERTS], ids=lambda rule: rule["alert"])
def test_every_alert_has_a_severity_an_owner_a_sentence_and_a_place_to_read_on(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert rule["labels"]["owner"] in ("identity", "security", "platform", "partners")
    assert rule["annotations"]["summary"]
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^#+ (.*)$", (CHECKOUT / page).read_text(), re.MULTILINE)
    assert anchor in {re.sub(r"[^a-z0-9 -]", "", one.lower()).replace(" ", "-") for one in headings}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_alert_fires_and_is_silent_as_its_unit_tests_say(program: Path, file: Path) -> None:
    tests = FOLDER / "tests" / file.name
    cases = [case for test in yaml.safe_load(tests.read_text())["tests"] for case in test.get("alert_rule_test", ())]
    fires = {case["alertname"] for case in cases if case["exp_alerts"]}
    assert fires == {rule["alert"] for name, rule in ALERTS if name == file.name}
    done = subprocess.run(
        [program, "test", "rules", tests.name], cwd=tests.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_prometheus_scrapes_is_a_configuration_that_it_reads(program: Path) -> None:
    file = CHECKOUT / "observability" / "prometheus.yaml"
    done = subprocess.run(
        [program, "check", "config", "--syntax-only", file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = {job["job_name"] for job in yaml.safe_load(file.read_text())["scrape_configs"]}
    wanted = {name for _, rule in ALERTS for name in re.findall(r'job="([^"]+)"', rule["expr"])}
    assert wanted <= jobs
