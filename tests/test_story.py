"""The main job, end to end: the story that `make up` tells, on a stack of this run's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stack.layout import CHECKOUT, STATE_VARIABLE
from tests.conftest import Stack

pytestmark = pytest.mark.integration

PROVED = (
    "a second plan is empty in every environment",
    "registering a factor proves nothing yet: aal1 opens nothing",
    "the factor was used, and the token names our audience alone",
    "sealed under Acme Capital's own key",
    "the access token places an order; the refresh token stays inside",
    "the proxy knows who asks, believes no header of theirs, and shows nothing else",
    "404, word for word the answer for a partner that does not exist",
    "as the vault's own database role, with another partner's setting: 0 rows",
    "both chains verify and hold no token",
)


def tell(stack: Stack) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stack", "demo"],
        cwd=CHECKOUT,
        env={**os.environ, STATE_VARIABLE: str(stack.layout.state)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def test_the_story_proves_every_step_and_can_be_told_twice(stack: Stack) -> None:
    for telling in ("first", "second"):
        result = tell(stack)
        assert result.returncode == 0, f"{telling} telling:\n{result.stdout}\n{result.stderr}"
        told = [line.strip().removeprefix("✓ ") for line in result.stdout.splitlines()]
        assert [line for line in told if line in PROVED] == list(PROVED)


@pytest.fixture(scope="module")
def told(stack: Stack) -> Stack:
    """A stack on which the story has been told."""
    assert tell(stack).returncode == 0
    return stack


def test_what_the_vault_did_is_in_opas_own_log_under_the_same_id(told: Stack) -> None:
    def lines(name: str) -> list[dict[str, str]]:
        return [json.loads(line) for line in (told.layout.audit / name).read_text().splitlines()]

    def named(file: str, event: str) -> dict[str, dict[str, str]]:
        found = [line for line in lines(file) if (line["event"], line["outcome"]) == (event, "success")]
        return {line["decision_id"]: line for line in found}

    # The vault ships its lines, and OPA sends what it decided, every second or two.
    until = time.monotonic() + 30
    while time.monotonic() < until:
        asked, found = named("api_events.jsonl", "credential.release"), named("iam_events.jsonl", "policy.decided")
        if asked and asked.keys() <= found.keys():
            break
        time.sleep(0.2)
    assert asked
    assert asked.keys() <= found.keys()
    for name, line in asked.items():
        assert found[name]["partner"] == line["partner"]
        assert found[name]["resource"].startswith("dev/bundle/")
        # The decision log names nobody by address; the vault's line does, for the same decision.
        assert "@" in line["actor"]
        assert "@" not in found[name]["actor"]


def test_no_token_of_the_story_is_in_a_log_or_an_audit_file(told: Stack) -> None:
    stack = told
    searched = [*stack.layout.logs.rglob("*"), *stack.layout.audit.rglob("*")]
    files = [path for path in searched if path.is_file()]
    assert {"iam_events.jsonl", "api_events.jsonl"} <= {path.name for path in files}
    # The story's broker tokens begin so, and so does every JWT.
    marks = (b"paper-access-", b"paper-refresh-", b"eyJhbGciOi")
    assert [(path.name, mark) for path in files for mark in marks if mark in Path(path).read_bytes()] == []
