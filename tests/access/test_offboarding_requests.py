"""What waits in the workflow when somebody leaves: their requests end, and others are told whose turn it is."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from access_world import World, at
from repository_world import granting, make

from admin_sync.keycloak.connection import Connection
from admin_sync.offboarding.bindings import Bindings
from admin_sync.offboarding.case import EVERYWHERE, Case, NotDone
from admin_sync.offboarding.requests import Approvals, Requests
from admin_sync.offboarding.settings import offboarding_settings
from admin_sync.repository import Repository, repository_settings
from admin_sync.settings import settings

LEAVER = at("security.two")


def case_of(world: World, folder: Path, email: str, **more: str) -> Case:
    source = folder / "source"
    if not source.exists():
        shutil.copytree(world.config, source)
    place = folder / "repository"
    if not place.exists():
        make(place, source)
    database: Mapping[str, Any] = {key.lower(): value for key, value in world.reconciler_settings.items()}
    environ = {
        "ADMIN_SYNC_REPOSITORY": str(place),
        "ACCESS_ROSTER_FILE": str(world.roster),
        "ACCESS_RECONCILER_DATABASE_URL": str(database["access_database_url"]),
        "ACCESS_RECONCILER_DATABASE_PASSWORD_FILE": str(database["access_database_password_file"]),
        **more,
    }
    made = settings(environ)
    document = Repository(repository_settings(environ)).document()
    return Case(
        addresses=[email],
        reason="Left.",
        author="ops@tradepulse.example",
        environments=["dev"],
        document=document,
        settings=made,
        own=offboarding_settings(environ, made),
        connection=cast(Connection, None),
        clock=lambda: datetime.now(UTC).replace(microsecond=0),
        held=[one for one in document.bindings.bindings if one.subject.user == email],
    )


async def taken(step: Requests | Approvals | Bindings, case: Case) -> list[str]:
    """Everything that a step finds, taken; by name."""

    def work() -> list[str]:
        items = step.look(case, EVERYWHERE)
        for item in items:
            step.take(case, EVERYWHERE, item)
        return [item.name for item in items]

    # A step is for a program without a loop of its own.
    return await asyncio.to_thread(work)


async def test_what_a_leaver_asked_for_or_was_to_get_is_cancelled(access_world: World, tmp_path: Path) -> None:
    world = access_world
    own = await world.ask("quant.one", payload={"role": "viewer"}, environments=["dev"], subject=None)
    others = await world.ask("mlops.one", payload={"role": "sre"}, environments=["dev"])
    case = case_of(world, tmp_path, at("quant.one"))
    assert await taken(Requests(), case) == [own["id"]]
    assert await taken(Requests(), case) == []
    assert (await world.read("quant.one", own)).json()["state"] == "cancelled"
    assert (await world.read("mlops.one", others)).json()["state"] == "open"
    late = await world.approve("manager.one", own)
    assert late.status_code == 409
    rows = await world.sql("SELECT line FROM access.audit ORDER BY seq")
    assert any("offboarding:ops@tradepulse.example" in row["line"] for row in rows)


async def test_a_grant_that_was_committed_for_a_cancelled_request_goes_with_it(
    access_world: World, tmp_path: Path
) -> None:
    """The reconciler may have committed it between the look at the file and the look at the requests."""
    world = access_world
    asked = await world.ask("manager.one", subject=at("mlops.one"))
    case = case_of(world, tmp_path, at("manager.one"))
    repository = Repository(repository_settings(case.settings.environ))
    grant = granting(1, user=at("mlops.one")).model_copy(update={"request": asked["id"]})
    with repository.change(at("manager.one"), "Grant") as change:
        change.add(grant)
    assert await taken(Requests(), case) == [asked["id"]]
    assert [one for one in repository.document().bindings.bindings if one.request == asked["id"]] == []


async def test_who_can_answer_instead_is_noted_also_by_a_run_after_a_crash(access_world: World, tmp_path: Path) -> None:
    world = access_world
    asked = await world.ask("mlops.one", payload={"role": "sre"}, environments=["dev"])
    case = case_of(world, tmp_path, LEAVER)
    await taken(Bindings(), case)
    # The run after a crash reads a file in which they are barred and hold nothing; the journal says what they held.
    again = replace(case, document=Repository(repository_settings(case.settings.environ)).document())
    assert again.document.barred(LEAVER)
    for one in (case, again):
        assert await taken(Approvals(), one) == [f"{asked['id']} needs security"]
    rows = await world.sql("SELECT line FROM access.audit ORDER BY seq")
    noted = [row["line"] for row in rows if "request.reassigned" in row["line"]]
    assert len(noted) == 2
    assert all("now: security.one@tradepulse.example" in line for line in noted)


async def test_an_approver_leaves_and_what_they_approved_stays_valid(access_world: World, tmp_path: Path) -> None:
    case = case_of(access_world, tmp_path, at("security.one"))
    standing = [one for one in case.document.bindings.bindings if one.request == "REQ-000001"]
    assert [one.by for one in standing[0].approvals if one.capacity == "security"] == [at("security.one")]
    await taken(Bindings(), case)
    after = Repository(repository_settings(case.settings.environ)).document()
    assert [one for one in after.bindings.bindings if one.request == "REQ-000001"] == standing
    assert after.barred(at("security.one"))
    assert [one.user for one in after.bindings.former_approvers] == [at("security.one")]


async def test_a_request_that_nobody_is_left_for_is_said(access_world: World, tmp_path: Path) -> None:
    world = access_world
    asked = await world.ask("mlops.one", payload={"role": "sre"}, environments=["dev"])
    case = case_of(world, tmp_path, at("owner.one"))
    await taken(Bindings(), case)
    with pytest.raises(NotDone, match=asked["id"]):
        await taken(Approvals(), case)


async def test_a_database_that_is_away_is_said_with_what_to_set(access_world: World, tmp_path: Path) -> None:
    case = case_of(access_world, tmp_path, LEAVER, ACCESS_RECONCILER_DATABASE_URL="postgresql://x@127.0.0.1:9/access")
    with pytest.raises(NotDone, match="the requests cannot be reached"):
        await asyncio.to_thread(Requests().look, case, EVERYWHERE)
