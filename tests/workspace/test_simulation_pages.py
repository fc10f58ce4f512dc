"""Staff look at a partner in a real browser: they see what its member sees, and no form does anything."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from fastapi.routing import APIRoute
from playwright.sync_api import Page, expect
from workspace_world import PARTNER, Browsers, People, Somebody, confirm

from workspace.login import endpoints as login
from workspace.pages import PAGES

if TYPE_CHECKING:
    from tests.conftest import Stack

pytestmark = pytest.mark.integration

Look = Callable[[Page, str], None]
WHY = "Ticket 4711: the partner misses a connection"
PATIENCE = 40.0


def to_the_form(page: Page, somebody: Somebody) -> None:
    """To the form, through the step-up that it needs; the policy may be seconds old."""
    deadline = time.monotonic() + PATIENCE
    while True:
        page.goto("/simulation")
        if page.get_by_role("heading", name="Confirm that it is you").count():
            confirm(page, somebody)
        if page.get_by_label("Partner, and role there").count():
            return
        if page.get_by_role("button", name="End the simulation").count():
            page.get_by_role("button", name="End the simulation").click()
        assert time.monotonic() < deadline, page.inner_text("main")
        page.wait_for_timeout(500)


def by_keyboard(page: Page, role: str) -> None:
    """Fill the form in and send it without a mouse."""
    page.get_by_label("Partner, and role there").focus()
    # As people choose in a list: by the beginning of what they look for.
    page.keyboard.type(f"{PARTNER}: {role}")
    page.keyboard.press("Tab")
    page.keyboard.type(WHY)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.value") == "900"
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Begin to look"
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/partners/{PARTNER}/connections")


def changes() -> list[tuple[str, str]]:
    """Every address of the workspace that a form is sent to, filled in."""
    found = []
    for router in (login.router, *PAGES):
        for route in router.routes:
            methods = set(route.methods or ()) - {"GET", "HEAD"} if isinstance(route, APIRoute) else set()
            if isinstance(route, APIRoute) and methods:
                path = route.path.replace("{partner}", PARTNER).replace("{connection}", "main")
                found += [(method, re.sub(r"\{[^}]+\}", "x", path)) for method in sorted(methods)]
    return found


def test_staff_see_what_a_member_sees_and_no_form_does_anything(
    people: People, browsers: Browsers, supporter: Somebody, look: Look
) -> None:
    administrator = people.partner_administrator()
    member = browsers.page(administrator)
    page = browsers.page(supporter)
    to_the_form(page, supporter)
    look(page, "simulation")
    page.locator("form.panel").evaluate("form => form.noValidate = true")
    page.get_by_role("button", name="Begin to look").click()
    expect(page.get_by_role("alert")).to_contain_text("Choose whom you want to be")
    look(page, "simulation-wrong")

    by_keyboard(page, "partner-admin")
    banner = page.get_by_role("complementary", name="Simulation")
    expect(banner).to_contain_text(f"You see {PARTNER} (live-trading) as its partner-admin")
    expect(banner).to_contain_text("It ends in 5 min")
    look(page, "simulation-connections")
    # The same page, but for the banner and the name of who looks.
    for one in (member, page):
        one.goto(f"/partners/{PARTNER}/connections")
    assert page.locator("nav a").all_inner_texts() == member.locator("nav a").all_inner_texts()
    # What the member linked in another test is the member's own to them alone.
    own_words = member.locator("main").inner_text().replace("\tyou\t", f"\t{administrator.email}\t")
    assert page.locator("main").inner_text() == own_words
    for path in (f"/partners/{PARTNER}/audit", f"/partners/{PARTNER}/link"):
        page.goto(path)
        expect(page.get_by_role("complementary", name="Simulation")).to_be_visible()

    walked = [one for one in changes() if not one[1].startswith("/auth/")]
    own = {"/simulation/end", "/session/presence"}
    assert {path for _, path in walked} > own
    said = {
        path: page.evaluate(
            "([method, path]) => fetch(path, {method, body: new URLSearchParams({broker: 'paper', connection: 'x'})})"
            ".then(async reply => [reply.status, (await reply.text()).includes('A simulation only looks')])",
            [method, path],
        )
        for method, path in walked
        if path not in own
    }
    assert {path: one for path, one in said.items() if one != [403, True]} == {}
    assert len(said) >= 10
    # What is none of the member's pages shows nothing of the person's own either: the service refuses the reading.
    for path in ("/access/requests", "/access/grants", "/access/to-decide"):
        answered = page.goto(path)
        assert answered is not None
        assert (answered.status, page.inner_text("h1")) == (403, "A simulation only looks"), path
    browsers.watch.complaints.clear()

    page.goto(f"/partners/{PARTNER}/connections")
    page.keyboard.press("Tab")
    while page.evaluate("document.activeElement.innerText") != "End the simulation":
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text(f"The simulation of {PARTNER} is over. You are yourself again.")
    assert "Ask for access" in page.locator("nav a").all_inner_texts()

    # The partner finds who looked, and why.
    member.goto(f"/partners/{PARTNER}/audit?who={supporter.email}")
    expect(member.get_by_role("cell", name="Begin to look as a member").first).to_be_visible()
    expect(member.locator("main")).to_contain_text(WHY)
    look(member, "simulation-in-the-trail")
    member.close()
    page.close()


def test_a_simulation_that_does_not_stand_any_more_ends_on_the_next_page(
    stack: Stack, browsers: Browsers, supporter: Somebody
) -> None:
    page = browsers.page(supporter)
    to_the_form(page, supporter)
    by_keyboard(page, "partner-analyst")
    assert page.get_by_role("link", name="Link a broker").count() == 0, "an analyst links none"
    execute(stack, "vault", "UPDATE vault.simulation SET ended_at = now() WHERE ended_at IS NULL")
    page.goto(f"/partners/{PARTNER}/connections")
    expect(page.get_by_role("status")).to_contain_text(f"The simulation of {PARTNER} is over")
    page.close()


def test_who_may_not_simulate_is_told_how_to_ask(people: People, browsers: Browsers, look: Look) -> None:
    page = browsers.page(people.staff("manager.one"))
    answered = page.goto("/simulation")
    assert answered is not None
    assert answered.status == 403
    look(page, "simulation-not-yours")
    page.get_by_role("button", name="Ask for a role that has it").click()
    page.wait_for_url("**/access/ask")
    page.close()


def execute(stack: Stack, database: str, statement: str, *values: Any) -> None:
    """One statement that no program of ours may run."""

    async def run() -> None:
        address = stack.urls["postgres"].removeprefix("postgresql://")
        connection = await asyncpg.connect(
            f"postgresql://postgres@{address}/{database}",
            password=stack.layout.secret("postgres-postgres").read_text().strip(),
        )
        try:
            await connection.execute(statement, *values)
        finally:
            await connection.close()

    # Playwright has a loop in this thread.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, run()).result()
