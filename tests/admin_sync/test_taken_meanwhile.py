"""A name that somebody takes between the plan and the write is not taken over and gets nothing that was for ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from config_strategies import write
from keycloak_model import VETOED, Model

from admin_sync.check import checked
from admin_sync.desired import Facts
from admin_sync.errors import Interrupted, Refused
from admin_sync.guard import Allowances
from admin_sync.model import MANAGED_ATTRIBUTE, Resource
from admin_sync.settings import settings
from admin_sync.sync import Session
from admin_sync.trail import opened

PERSON = "u0@x.example"


class Bare(Session):
    """A session whose realms have nothing but what the configuration names: the model knows no flows."""

    def base(self, environment: str) -> Sequence[Resource]:  # type: ignore[override]
        return []


@pytest.fixture
def apply(tmp_path: Path) -> Callable[[Model, Any], None]:
    """Plan and apply one configuration to a model."""

    def run(model: Model, configuration: Any) -> None:
        (tmp_path / "iam").mkdir()
        write(configuration, tmp_path / "iam")
        made = settings({"ADMIN_SYNC_GATEWAY": "rest", "TRADEPULSE_AUDIT_DIR": str(tmp_path / "audit")})
        session = Bare(checked(tmp_path / "iam", {}), made, model.connection(), Facts())
        with opened(made) as trail:
            session.locked("dev", 0).apply(session.plan("dev"), Allowances(), trail)

    return run


def at_the_first_write(model: Model, act: Callable[[], object]) -> None:
    def fault(number: int) -> None:
        if number == 1:
            act()

    model.fault = fault


def test_a_role_that_somebody_makes_in_the_same_moment_stays_theirs(apply: Callable[[Model, Any], None]) -> None:
    model = Model()
    at_the_first_write(model, lambda: model._role("r0", {"description": "theirs"}))
    with pytest.raises(Interrupted, match=r"foreign: role r0 exists and is not admin-sync's.*re-run is safe"):
        apply(model, {"roles": {"r0": {"includes": []}}, "groups": {}, "clients": {}, "grants": []})
    assert model.dump()["roles"]["r0"]["description"] == "theirs"
    assert MANAGED_ATTRIBUTE not in model.dump()["roles"]["r0"]["attributes"]


def test_whoever_registers_an_address_in_the_same_moment_gets_no_grant_of_its_owner(
    apply: Callable[[Model, Any], None],
) -> None:
    model = Model()
    stranger = {"username": PERSON, "email": PERSON, "emailVerified": False, "enabled": True, "attributes": {}}
    at_the_first_write(model, lambda: model._user(stranger))
    grants = [{"user": PERSON, "role": "r0"}]
    apply(model, {"roles": {"r0": {"includes": []}}, "groups": {}, "clients": {}, "grants": grants})
    [account] = [one for one in model.users.values() if one["email"] == PERSON]
    assert account["roles"] == set()


def test_what_the_server_vetoes_meanwhile_ends_the_run_at_once_as_a_guard_would(
    apply: Callable[[Model, Any], None],
) -> None:
    model = Model()
    vetoed: list[int] = []

    def fault(number: int) -> str | None:
        if not model.users:
            return None
        vetoed.append(number)
        return VETOED

    model.fault = fault
    grants = [{"user": PERSON, "role": "r0"}]
    model._user({"username": PERSON, "email": PERSON, "emailVerified": True, "enabled": True, "attributes": {}})
    with pytest.raises(Refused, match=r"segregation-of-duties: .*somebody would hold both.*a re-run is safe"):
        apply(model, {"roles": {"r0": {"includes": []}}, "groups": {}, "clients": {}, "grants": grants})
    assert Refused.exit_code == 5
    # To ask again would change nothing.
    assert len(vetoed) == 1
