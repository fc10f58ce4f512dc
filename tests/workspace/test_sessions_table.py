"""docs/sessions.md says what is set, and names tests that exist."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from stack.layout import CHECKOUT
from workspace.session import cookie, sessions
from workspace.settings import WorkspaceSettings

PAGE = (CHECKOUT / "docs" / "sessions.md").read_text()
ROWS = {
    cells[0]: cells[1]
    for line in PAGE.splitlines()
    if line.startswith("| ") and len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 4
}
REALM: dict[str, Any] = yaml.safe_load((CHECKOUT / "realm" / "base" / "realm.yaml").read_text())["realm"]
POLICIES: dict[str, Any] = yaml.safe_load((CHECKOUT / "configs" / "iam" / "policies.yaml").read_text())["assurance"]


def default(name: str) -> int:
    return int(WorkspaceSettings.model_fields[name].default)


@pytest.mark.parametrize(
    ("row", "values"),
    [
        ("access token", [REALM["accessTokenLifespan"]]),
        ("renewal in the workspace", [int(sessions.EARLY)]),
        ("idle", [REALM["ssoSessionIdleTimeout"]]),
        ("absolute", [REALM["ssoSessionMaxLifespan"]]),
        ("remember me", [REALM["ssoSessionMaxLifespanRememberMe"], REALM["ssoSessionIdleTimeoutRememberMe"]]),
        ("a login under way", [cookie.LOGIN_SECONDS]),
        ("offline token", [REALM["offlineSessionIdleTimeout"], REALM["offlineSessionMaxLifespan"]]),
        ("the same, where the message was lost", [REALM["accessTokenLifespan"] - int(sessions.EARLY)]),
    ],
)
def test_a_row_says_what_is_set(row: str, values: list[int]) -> None:
    said = [int(number) for number in re.findall(r"(\d+) s\b", ROWS[row])]
    assert said[: len(values)] == values


def test_the_workspace_ends_a_session_when_the_realm_does() -> None:
    assert default("idle_seconds") == REALM["ssoSessionIdleTimeout"] == REALM["clientSessionIdleTimeout"]
    assert default("session_seconds") == REALM["ssoSessionMaxLifespan"] == REALM["clientSessionMaxLifespan"]
    assert REALM["accessCodeLifespanLogin"] == cookie.LOGIN_SECONDS
    assert REALM["revokeRefreshToken"] is True
    assert REALM["refreshTokenMaxReuse"] == 0


def test_what_is_sensitive_and_what_is_remembered_is_as_the_policy_says() -> None:
    assert POLICIES["sensitive"] == {"level": "aal2", "max_age": "5m"}
    assert POLICIES["remember_me"] == {"max_age": "30d", "level": "aal1"}
    assert REALM["ssoSessionMaxLifespanRememberMe"] == 30 * 86_400


def test_every_test_that_the_page_names_exists() -> None:
    tests = "\n".join(path.read_text() for path in (CHECKOUT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", PAGE))
    assert len(named) > 10
    assert {name for name in named if not re.search(rf"def {name}\b", tests)} == set()
    for path in re.findall(r"`(tests/[\w/]+\.py)`", PAGE):
        assert (CHECKOUT / path).exists(), path
