"""Certification and emergencies in real browsers: reviewers see the facts, and say what they found."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect
from workspace_world import Browsers, People

from admin_sync.access.store.database import Database
from admin_sync.break_glass.stage import Opening
from admin_sync.break_glass.store import Openings
from identity.audit.event import AuditEvent
from identity.secret import read_secret
from stack.layout import CHECKOUT

if TYPE_CHECKING:
    from tests.conftest import Stack

pytestmark = pytest.mark.integration

Look = Callable[[Page, str], None]
QUARTER = "2026Q4"
ACCOUNT = "break-glass-1"


def open_campaign(stack: Stack) -> None:
    """A campaign as an operator opens it; one that is open already is as good."""
    words = ("certify", "open", "--quarter", QUARTER, "--without-keycloak", "--allow-orphans", "20")
    done = subprocess.run(
        [sys.executable, "-m", "admin_sync", *words],
        cwd=CHECKOUT, env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **stack.env},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0 or "a quarter has one" in done.stderr, done.stderr


def reconciler(stack: Stack, work: Callable[[Openings], object]) -> None:
    """What the reconciler notes of an opening, with its own role of the database."""

    async def run() -> None:
        password = read_secret(Path(stack.env["ACCESS_RECONCILER_DATABASE_PASSWORD_FILE"]), name="password").text()
        database = await Database.connect(stack.env["ACCESS_RECONCILER_DATABASE_URL"], password, size=1)
        try:
            await work(Openings(database, "test"))  # type: ignore[misc]
        finally:
            await database.close()

    # Playwright has a loop in this thread.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, run()).result()


def line(what: str) -> AuditEvent:
    return AuditEvent(event=f"break_glass.{what}", outcome="success", actor="reconciler", resource=ACCOUNT)


def test_a_reviewer_sees_the_facts_of_a_binding_and_decides_with_a_reason(
    stack: Stack, people: People, browsers: Browsers, look: Look
) -> None:
    open_campaign(stack)
    page = browsers.page(people.staff("security.two"))
    page.goto("/access/campaigns")
    page.get_by_role("link", name=QUARTER).click()
    article = page.get_by_role("article").filter(has_text="manager.two@tradepulse.example: role viewer")
    expect(article).to_contain_text("analytics:read")
    expect(article).to_contain_text("led by chief.one@tradepulse.example")
    look(page, "access-campaign")
    keep = "Keep role viewer of manager.two@tradepulse.example"
    page.get_by_role("button", name=keep).click()
    expect(page.get_by_role("alert")).to_contain_text("Say in at least 10 characters why")
    article.get_by_label("Why it stays, or is taken away").fill("Leads security, and reads what it has.")
    page.get_by_role("button", name=keep).click()
    expect(page.get_by_role("status")).to_contain_text("Your decision is recorded. It stays.")
    expect(article).to_have_count(0)
    page.get_by_role("link", name="Show what is decided and what is yours as well").click()
    expect(article).to_contain_text("Leads security, and reads what it has.")


def test_an_emergency_is_asked_for_seen_while_it_is_open_closed_and_reviewed_by_somebody_else(
    stack: Stack, people: People, browsers: Browsers, look: Look
) -> None:
    asker, approver, reviewer = (people.staff(one) for one in ("platform.one", "security.one", "owner.one"))
    why = "The order gateway refuses every order."
    page = browsers.page(asker)
    page.goto("/access/break-glass")
    page.get_by_label("What the emergency is").fill(why)
    page.get_by_role("button", name="Ask for the emergency account").click()
    expect(page.get_by_role("alert")).to_contain_text("Choose where.")
    page.get_by_label("Where").select_option("dev")
    page.get_by_role("button", name="Ask for the emergency account").click()
    page.wait_for_url("**/access/requests/REQ-*")
    name = page.url.rpartition("/")[2]
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"emergency account {ACCOUNT} in dev")
    page.get_by_role("button", name=f"Take {name} back").click()
    expect(page.get_by_role("status")).to_contain_text("is taken back")

    # What follows two approvals is shown by tests/access; here is how people see it.
    now = datetime.now(UTC)
    opening = Opening(
        number=int(name.removeprefix("REQ-")),
        environment="dev",
        account=ACCOUNT,
        opener=asker.email,
        approvers=(approver.email, "security.two@tradepulse.example"),
        reason=why,
        opened_at=now,
        until=now + timedelta(minutes=15),
        due=now + timedelta(hours=24),
    )
    reconciler(stack, lambda openings: openings.begin(opening, line("opened")))
    page.goto("/access/break-glass")
    expect(page.get_by_role("article")).to_contain_text(f"admin-sync break-glass open {name}")
    look(page, "access-emergency-open")
    page.get_by_role("button", name=f"Close {ACCOUNT} in dev now").click()
    expect(page.get_by_role("status")).to_contain_text(f"{name} is being closed")
    reconciler(stack, lambda openings: openings.close(opening.number, datetime.now(UTC), line("closed")))

    # Neither who opened it nor who agreed has the form.
    page.goto(f"/access/break-glass/{name}")
    expect(page.get_by_role("button", name=f"Record the review of {name}")).to_have_count(0)
    theirs = browsers.page(reviewer)
    theirs.goto("/access/break-glass")
    theirs.get_by_role("link", name=f"Review {name}").click()
    theirs.get_by_role("button", name=f"Record the review of {name}").click()
    expect(theirs.get_by_role("alert").get_by_role("listitem")).to_have_count(2)
    look(theirs, "access-emergency-review")
    theirs.get_by_role("radio", name="Justified").check()
    theirs.get_by_label("What it was used for").fill("The gateway was restarted, and nothing else was done.")
    theirs.get_by_role("button", name=f"Record the review of {name}").click()
    expect(theirs.get_by_role("status")).to_contain_text(f"The review of {name} is recorded")
    page.goto(f"/access/break-glass/{name}")
    expect(page.get_by_role("definition").filter(has_text="The gateway was restarted")).to_be_visible()
