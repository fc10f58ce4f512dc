"""What the alert rules take from Keycloak and OPA is what the running ones say."""

from __future__ import annotations

import httpx

from stack.files import read_json
from tests.conftest import Stack
from tests.observability.test_alert_rules import FOREIGN

AFTER_A_FAULT = {"bundle_failed_load_counter"}
"""Said only after the first time that it happened."""


def test_every_metric_of_keycloak_and_opa_in_an_alert_rule_is_one_that_they_export(stack: Stack) -> None:
    management = read_json(stack.layout.run / "ports.json")["management"]
    said = ""
    for address in (f"http://127.0.0.1:{management}/metrics", f"{stack.urls['opa']}/metrics"):
        answer = httpx.get(address, timeout=30)
        assert answer.status_code == 200
        said += answer.text
    names = {line.partition("{")[0].split()[0] for line in said.splitlines() if line and not line.startswith("#")}
    assert FOREIGN - {"up"} - AFTER_A_FAULT <= names
