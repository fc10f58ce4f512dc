"""A freeze on the real servers: OPA denies all but the emergency roles, sessions end, and a thaw ends it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from offboarding_world import Offboarding, Person, question_of

if TYPE_CHECKING:
    from tests.conftest import Stack

SECURITY = "security.one@tradepulse.example"
QUANT = "quant.one@tradepulse.example"


def asked(stack: Stack, email: str, role: str, permission: str) -> dict[str, Any]:
    """What the stack's OPA says to somebody who has just logged in with a security key."""
    claims = {
        "sub": "7f0c",
        "email": email,
        "azp": "tradepulse-cli",
        "groups": [role],
        "assurance_level": "aal3",
        "acr": "aal3",
        "amr": ["pwd", "hwk"],
        "auth_time": int(time.time()),
    }
    answer = httpx.post(
        f"{stack.env['TRADEPULSE_OPA_URL']}/v1/data/tradepulse/authz/decision",
        json={"input": question_of(claims, permission, "dev")},
        trust_env=False,
    )
    result: dict[str, Any] = answer.json()["result"]
    return result


def test_a_freeze_leaves_the_emergency_roles_and_ends_everybody_elses_sessions(stack: Stack, tmp_path: Path) -> None:
    world = Offboarding(stack, tmp_path)
    # This is about the bundle that the stack's OPA decides by.
    names = ("ADMIN_SYNC_BUNDLE_DIR", "ADMIN_SYNC_OPA_URL", "ADMIN_SYNC_REPOSITORY")
    world.env |= {name: stack.env[name] for name in names}
    guard, other = (Person(world, name, environment="staging") for name in ("guard", "other"))
    admin = stack.admin.get("/tradepulse-staging/roles/admin")
    brief = {"id": admin["id"], "name": admin["name"]}
    stack.admin.post(f"{guard.path}/users/{guard.id}/role-mappings/realm", [brief])
    assert asked(stack, QUANT, "viewer", "analytics:read")["allow"]
    try:
        frozen = world.run("bundle", "freeze", "--end-sessions", "--env", "staging", "--json")
        assert frozen.returncode == 0, frozen.stderr
        assert asked(stack, QUANT, "viewer", "analytics:read")["reasons"] == ["frozen"]
        assert asked(stack, SECURITY, "admin", "iam:modify")["allow"]
        told = json.loads(frozen.stdout)
        assert told["frozen"]
        assert told["served_after_seconds"] is not None
        assert told["sessions"]["tradepulse-staging"]["kept"] == 1
        assert other.has("sessions") == []
        assert other.offline is not None
        assert (other.refreshed(other.tokens), other.refreshed(other.offline)) == (400, 400)
        assert guard.has("sessions") != []
        # A freeze is ended by a thaw and by nothing else.
        assert world.run("bundle", "publish").returncode == 5
        assert asked(stack, QUANT, "viewer", "analytics:read")["reasons"] == ["frozen"]
    finally:
        thawed = world.run("bundle", "thaw")
        stack.admin.delete(f"{guard.path}/users/{guard.id}")
    assert thawed.returncode == 0, thawed.stderr
    assert asked(stack, QUANT, "viewer", "analytics:read")["allow"]
