"""A session of the workspace: renewed once for all who ask, over when the realm, time or its person says so."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from session_world import ORIGIN, Place, signed_in

from identity.revisions import upgrade
from tests.identity.loopback_server import Answer, answer_json
from workspace.session.content import Simulation


@pytest.fixture(scope="module")
def sessions_database(postgres: Any) -> str:
    """A migrated database."""
    where = f"{postgres.host}:{postgres.port}/workspace"
    asyncio.run(
        upgrade(
            f"postgresql://workspace_owner@{where}",
            postgres.passwords["workspace_owner"],
            package="workspace.session",
            schema="workspace",
        )
    )
    return f"postgresql://workspace_app@{where}"


@pytest.fixture
def place(sessions_database: str, postgres: Any, tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path, sessions_database, postgres.passwords["workspace_app"])
    yield made
    made.server.stop()


@pytest.fixture
async def rows(postgres: Any, place: Place) -> AsyncIterator[asyncpg.Connection]:
    """The database as nobody of the service may see it, empty at first."""
    connection = await asyncpg.connect(postgres.dsn("postgres", "workspace"))
    await connection.execute("TRUNCATE workspace.session, workspace.login")
    yield connection
    await connection.close()


async def test_many_requests_at_once_in_two_processes_are_one_refresh(place: Place, rows: Any) -> None:
    async with place.workspaces(2) as (first, second):
        secret = await first.opened(place.tokens(left=20))
        pages = await asyncio.gather(*(window.home(secret) for window in (first, second) * 20))
        assert all(signed_in(page) for page in pages)
        assert [form["refresh_token"] for form in place.asked] == ["session-1.0"]
        assert signed_in(await second.home(secret))
    assert len(place.asked) == 1, "what was renewed is good for its whole life"


async def test_a_refresh_goes_on_when_whoever_asked_is_gone(place: Place, rows: Any) -> None:
    place.held = threading.Event()
    async with place.workspaces() as (window,):
        secret = await window.opened(place.tokens(left=20))
        asking = asyncio.create_task(window.home(secret))
        await place.until_asked()
        asking.cancel()
        place.held.set()
        assert signed_in(await window.home(secret))
    assert not place.dead, "the refresh token that was used is not used again"


async def test_a_workspace_that_stops_lets_a_refresh_land(place: Place, rows: Any) -> None:
    place.held = threading.Event()
    async with place.workspaces() as (window,):
        secret = await window.opened(place.tokens(left=20))
        asking = asyncio.create_task(window.home(secret))
        await place.until_asked()
        asking.cancel()
        asyncio.get_running_loop().call_later(0.3, place.held.set)
    async with place.workspaces() as (window,):
        assert signed_in(await window.home(secret))
    assert len(place.asked) == 1


async def test_a_realm_that_hangs_takes_nobody_with_it_whose_token_is_good(place: Place, rows: Any) -> None:
    place.held = threading.Event()
    async with place.workspaces(database_connections="4") as (window,):
        due = [await window.opened(place.tokens(left=30, sid=f"session-{number}")) for number in range(8)]
        fresh = await window.opened(place.tokens())
        waiting = [asyncio.create_task(window.home(secret)) for secret in due]
        # Two of four connections are all that the realm may hold up.
        await place.until_asked(2)
        assert signed_in(await window.home(fresh))
        # The token that is due is good still: its page does not wait for the realm either.
        assert all(signed_in(page) for page in await asyncio.gather(*waiting))
        place.held.set()


@pytest.mark.parametrize("answer", [Answer(503), Answer(429), Answer(cut=True)])
async def test_pages_work_without_the_realm_until_the_token_is_dead_and_then_say_so(
    place: Place, rows: Any, answer: Answer
) -> None:
    place.away = answer
    async with place.workspaces() as (window,):
        alive, dead = await window.opened(place.tokens(left=30)), await window.opened(place.tokens(left=-1))
        assert signed_in(await window.home(alive))
        refused = await window.home(dead)
        assert (refused.status_code, int(refused.headers["retry-after"]) > 0) == (503, True)
        assert "The login service does not answer" in refused.text
        place.away = None
        assert signed_in(await window.home(dead)), "nobody was logged out by it"


async def test_a_session_ends_where_the_realm_says_so(place: Place, rows: Any) -> None:
    async with place.workspaces() as (window,):
        secret = await window.opened(place.tokens(left=20))
        place.dead.add("session-1")
        assert not signed_in(await window.home(secret))
        assert await rows.fetchval("SELECT count(*) FROM workspace.session") == 0


@pytest.mark.parametrize(
    ("later", "lives"),
    [
        ("UPDATE workspace.session SET seen_at = now() - interval '61 minutes'", False),
        ("UPDATE workspace.session SET ends_at = now()", False),
        ("UPDATE workspace.session SET seen_at = now() - interval '59 minutes'", True),
    ],
)
async def test_a_session_ends_when_it_was_idle_and_when_its_day_is_over(
    place: Place, rows: Any, later: str, lives: bool
) -> None:
    async with place.workspaces() as (window,):
        secret = await window.opened(place.tokens())
        await rows.execute(later)
        assert signed_in(await window.home(secret)) is lives
        await window.workspace.store.sweep()
        assert await rows.fetchval("SELECT count(*) FROM workspace.session") == int(lives)


async def test_use_keeps_a_session_from_being_idle_and_lengthens_no_day(place: Place, rows: Any) -> None:
    async with place.workspaces() as (window,):
        secret = await window.opened(place.tokens())
        await rows.execute("UPDATE workspace.session SET seen_at = now() - interval '59 minutes'")
        ends = await rows.fetchval("SELECT ends_at FROM workspace.session")
        assert signed_in(await window.home(secret))
        assert await rows.fetchval("SELECT now() - seen_at < interval '1 minute' FROM workspace.session")
        assert await rows.fetchval("SELECT ends_at FROM workspace.session") == ends
        assert 35_900 < ends.timestamp() - time.time() <= 36_000


async def test_a_page_that_is_open_renews_its_session_and_is_no_use_of_it(place: Place, rows: Any) -> None:
    async with place.workspaces() as (window,):
        secret = await window.opened(place.tokens(left=20))
        await rows.execute("UPDATE workspace.session SET seen_at = now() - interval '30 minutes'")
        told = await window.presence(secret, used=False)
        assert told.status_code == 200
        assert 1790 < told.json()["seconds_left"] <= 1800
        assert [form["refresh_token"] for form in place.asked] == ["session-1.0"], "renewed before anybody waits for it"
        assert await rows.fetchval("SELECT now() - seen_at > interval '29 minutes' FROM workspace.session")

        told = await window.presence(secret, used=True)
        assert told.json()["seconds_left"] > 3590
        assert await rows.fetchval("SELECT now() - seen_at < interval '1 minute' FROM workspace.session")
        assert len(place.asked) == 1
        assert (await window.presence(bytes(32), used=True)).status_code == 401


@pytest.mark.parametrize(("used", "ended"), [(False, ["session-1.1"]), (True, [])])
async def test_an_abandoned_page_ends_its_session_in_the_realm_too_where_it_alone_kept_that_one_alive(
    place: Place, rows: Any, used: bool, ended: list[str]
) -> None:
    async with place.workspaces() as (window,):
        secret = await window.opened(place.tokens(left=20))
        assert (await window.presence(secret, used=used)).status_code == 200
        await rows.execute("UPDATE workspace.session SET seen_at = now() - interval '61 minutes'")
        await window.workspace.store.sweep()
        assert (await window.presence(secret, used=False)).status_code == 401
        assert place.ended == ended
        assert not signed_in(await window.home(secret))


async def test_nobody_elses_page_and_no_other_site_says_that_somebody_is_there(place: Place, rows: Any) -> None:
    async with place.workspaces() as (window,):
        secret = await window.opened(place.tokens())
        foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
        for given in (foreign, {}):
            answer = await window.http.post("/session/presence", headers={**window.cookie(secret), **given})
            assert answer.status_code == 403


async def test_a_simulation_lasts_through_a_renewal_and_ends_with_its_time(place: Place, rows: Any) -> None:
    async with place.workspaces() as (window,):
        sessions = window.workspace.sessions
        secret = await window.opened(place.tokens(left=20))
        session = await sessions.find(secret)
        assert session is not None
        looks = Simulation(
            number="0" * 32, partner="acme", persona="live-trading", role="partner-admin", ends_at=time.time() + 60
        )
        await sessions.simulate(session, looks)
        await rows.execute("UPDATE workspace.session SET seen_at = now()")
        page = await window.home(secret)
        assert "You see acme (live-trading) as its partner-admin" in page.text
        assert "/access/ask" not in page.text, "the menu is the member's"
        assert "ada@tradepulse.example" in page.text, "the name is that of who looks"
        refused = await window.http.post(
            "/access/ask", headers={**window.cookie(secret), "Origin": ORIGIN}, data={"action": "send"}
        )
        assert (refused.status_code, "A simulation only looks" in refused.text) == (403, True)

        session = await sessions.find(secret)
        assert session is not None
        await sessions.simulate(session, replace(looks, ends_at=time.time() - 1))
        over = await window.http.get("/", headers=window.cookie(secret))
        assert (over.status_code, over.headers["location"]) == (303, "/simulation/over")
        await window.http.get("/simulation/over", headers=window.cookie(secret))
        assert "The simulation of acme is over" in (await window.home(secret)).text


async def test_a_logout_ends_the_newest_session_of_the_realm(place: Place, rows: Any) -> None:
    place.held = threading.Event()
    async with place.workspaces(2) as (first, second):
        secret = await first.opened(place.tokens(left=20))
        page = asyncio.create_task(first.home(secret))
        await place.until_asked()
        # In another process, while the refresh is under way: the token to end is the one that it brings.
        leaving = asyncio.create_task(second.logout(secret))
        await asyncio.sleep(0.1)
        place.held.set()
        left = await leaving
        await page
        assert (left.status_code, left.headers["location"]) == (303, "/signed-out")
        assert "Max-Age=0" in left.headers["set-cookie"]
        assert place.ended == ["session-1.1"]
        assert not signed_in(await first.home(secret))


@pytest.mark.parametrize("answer", [Answer(503), Answer(cut=True), answer_json({"error": "invalid_client"}, 401)])
async def test_a_logout_that_the_realm_was_not_told_of_says_so(place: Place, rows: Any, answer: Answer) -> None:
    async with place.workspaces() as (window,):
        secret = await window.opened(place.tokens())
        place.away = answer
        left = await window.logout(secret)
        assert "Only here" in (await window.http.get(left.headers["location"])).text
        assert not signed_in(await window.home(secret))


async def test_a_logout_token_ends_its_session_in_every_process_and_no_other(place: Place, rows: Any) -> None:
    async with place.workspaces(2) as (first, second):
        mine, other = await first.opened(place.tokens()), await first.opened(place.tokens(sid="session-2"))
        somebody = await first.opened(place.tokens(sid="session-3", sub="person-2"))
        for bad in (
            place.logout_token(aud="tradepulse-cli"),
            place.logout_token(iss="http://localhost:9"),
            place.logout_token(exp=int(time.time()) - 100),
            place.token(),
            "x",
        ):
            assert (await second.told(bad)).status_code == 400
        assert signed_in(await first.home(mine))
        token = place.logout_token()
        assert (await second.told(token)).status_code == 200
        assert [signed_in(await first.home(secret)) for secret in (mine, other, somebody)] == [False, True, True]
        assert (await first.told(token)).status_code == 200


async def test_a_logout_token_of_a_person_ends_all_of_theirs(place: Place, rows: Any) -> None:
    async with place.workspaces() as (window,):
        mine = [await window.opened(place.tokens(sid=f"session-{number}")) for number in (1, 2)]
        other = await window.opened(place.tokens(sid="session-3", sub="person-2"))
        assert (await window.told(place.logout_token(without=("sid",)))).status_code == 200
        assert [signed_in(await window.home(secret)) for secret in (*mine, other)] == [False, False, True]


async def test_style_sheets_come_compressed_and_pages_do_not(place: Place, rows: Any) -> None:
    async with place.workspaces() as (window,):
        secret = await window.opened(place.tokens())
        accepts = {"Accept-Encoding": "gzip"}
        sheet = await window.http.get("/static/workspace.css", headers=accepts)
        assert (sheet.headers["content-encoding"], "max-age" in sheet.headers["cache-control"]) == ("gzip", True)
        # How long a compressed page is would tell of what is in it (BREACH).
        shown = await window.http.get("/", headers={**window.cookie(secret), **accepts})
        assert signed_in(shown)
        assert "content-encoding" not in shown.headers


async def test_a_secret_that_nobody_was_given_opens_nothing(place: Place, rows: Any) -> None:
    async with place.workspaces() as (window,):
        await window.opened(place.tokens())
        for secret in (secrets.token_bytes(32), bytes(32), b"short", b""):
            assert not signed_in(await window.home(secret))


async def test_a_new_login_ends_the_session_that_its_browser_had(place: Place, rows: Any) -> None:
    async with place.workspaces() as (window,):
        planted = await window.opened(place.tokens(sub="person-2", sid="session-2"))
        mine = await window.workspace.sessions.open(place.tokens(), instead_of=planted)
        assert mine != planted
        assert signed_in(await window.home(mine))
        assert not signed_in(await window.home(planted))


async def test_nothing_in_the_database_is_a_token_or_a_secret(place: Place, rows: Any) -> None:
    async with place.workspaces() as (window,):
        tokens = place.tokens()
        secret = await window.opened(tokens)
        row = dict(await rows.fetchrow("SELECT * FROM workspace.session"))
        kept = b"".join(value if isinstance(value, bytes) else str(value).encode() for value in row.values())
        for hidden in (
            tokens.access.text().encode(),
            b"session-1.0",
            secret,
            tokens.access.text().split(".")[1].encode(),
        ):
            assert hidden not in kept
