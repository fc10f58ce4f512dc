"""Who may ask the shared OPA what: the rule of the compose file, evaluated by the real OPA."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from stack.layout import Layout
from stack.opa import find

RULE = Path(__file__).resolve().parents[2] / "deploy" / "compose" / "opa-authorization.rego"
DECISION = ["v1", "data", "tradepulse", "authz", "decision"]


def _opa(*words: str | Path, given: str = "") -> str:
    program = find(Layout.here().tools)
    assert program is not None, "make install"
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False, input=given)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def _allowed(method: str, path: list[str]) -> bool:
    question = json.dumps({"method": method, "path": path})
    told = _opa("eval", "--data", RULE, "--stdin-input", "--format", "raw", "data.system.authz.allow", given=question)
    return json.loads(told) is True


def test_the_rule_is_strict_and_formatted() -> None:
    _opa("check", "--strict", RULE)
    assert _opa("fmt", "--list", RULE).strip() == ""


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", DECISION),
        ("GET", ["v1", "data", "tradepulse", "iam", "meta"]),
        ("GET", ["v1", "data", "tradepulse", "iam", "vault"]),
        ("POST", ["v1", "data", "tradepulse", "iam", "vault"]),
        ("GET", ["health"]),
        ("GET", ["v1", "status"]),
    ],
)
def test_what_services_ask_is_answered(method: str, path: list[str]) -> None:
    assert _allowed(method, path)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", ["v1", "policies", "mine"]),
        ("DELETE", ["v1", "policies", "tradepulse"]),
        ("PUT", ["v1", "data", "tradepulse", "iam"]),
        ("PATCH", DECISION),
        ("GET", ["v1", "data"]),
        ("GET", ["v1", "data", "tradepulse", "iam"]),
        ("POST", [*DECISION, "allow"]),
        ("POST", ["v1", "query"]),
        ("POST", ["v1", "compile"]),
        ("POST", []),
        ("GET", ["v1", "config"]),
        ("POST", ["health"]),
    ],
)
def test_everything_else_is_refused(method: str, path: list[str]) -> None:
    assert not _allowed(method, path)
