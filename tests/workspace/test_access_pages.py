"""The access portal in real browsers: ask, see what it brings, decide, see what is left; certify, review."""

from __future__ import annotations

import asyncio
import os
import secrets
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


@pytest.fixture
def why() -> str:
    return f"Reading the models before the release {secrets.token_hex(3)}."


def ask_for(page: Page, why: str, *, what: str = "role:mlops", where: str = "staging") -> str:
    """Fill the form in, look at the preview, send it. The request's name."""
    page.goto("/access/ask")
    page.get_by_label("What you need").select_option(what)
    page.get_by_label(where, exact=True).check()
    page.get_by_label("What for").fill(why)
    page.get_by_role("button", name="See what it brings").click()
    page.get_by_role("button", name="Send the request").click()
    page.wait_for_url("**/access/requests/REQ-*")
    return page.url.rpartition("/")[2]


def test_who_asks_sees_first_what_it_brings_and_two_people_decide_in_their_own_browsers(
    people: People, browsers: Browsers, look: Look, why: str
) -> None:
    platform, manager, owner = (people.staff(one) for one in ("platform.one", "manager.one", "owner.one"))
    page = browsers.page(platform)
    page.goto("/access/ask")
    page.get_by_label("What you need").select_option("role:mlops")
    page.get_by_label("staging", exact=True).check()
    page.get_by_label("What for").fill(why)
    page.get_by_role("button", name="See what it brings").click()
    preview = page.get_by_role("region", name="What it brings")
    expect(preview.get_by_role("row").filter(has_text="model:promote")).to_contain_text("sensitive")
    expect(preview).to_contain_text(manager.email)
    expect(preview).to_contain_text(owner.email)
    look(page, "access-preview")
    page.get_by_role("button", name="Send the request").click()
    page.wait_for_url("**/access/requests/REQ-*")
    name = page.url.rpartition("/")[2]
    expect(page.get_by_role("status")).to_contain_text(f"{name} is sent")
    # Whoever asks has no buttons to decide with.
    expect(page.get_by_role("button", name=f"Approve {name}")).to_have_count(0)

    theirs = browsers.page(manager)
    theirs.goto("/access/to-decide")
    look(theirs, "access-to-decide")
    theirs.get_by_role("link", name=f"Look at {name} and decide").click()
    look(theirs, "access-decide")
    theirs.get_by_label("Comment (optional)").fill("Two days are enough.")
    theirs.get_by_role("button", name=f"Approve {name}").click()
    expect(theirs.get_by_role("status")).to_contain_text("It still needs others")

    owners = browsers.page(owner)
    owners.goto(f"/access/requests/{name}")
    expect(owners.locator(".chain .given")).to_contain_text("Two days are enough.")
    owners.get_by_role("button", name=f"Approve {name}").click()
    expect(owners.get_by_role("status")).to_contain_text("is approved")

    page.goto("/access/requests")
    expect(page.get_by_role("row").filter(has_text=name)).not_to_contain_text("waiting")
    look(page, "access-requests")
    page.goto(f"/access/requests/{name}")
    expect(page.locator(".chain .given")).to_have_count(2)
    # Without a reconciler it would wait for one that another test starts.
    back = page.get_by_role("button", name=f"Take {name} back")
    if back.count():
        back.click()


def test_a_no_needs_a_reason_which_whoever_asked_reads(
    people: People, browsers: Browsers, look: Look, why: str
) -> None:
    page = browsers.page(people.staff("quant.one"))
    name = ask_for(page, why)
    theirs = browsers.page(people.staff("manager.one"))
    theirs.goto(f"/access/requests/{name}")
    theirs.get_by_role("button", name=f"Deny {name}").click()
    reason = theirs.get_by_label("Reason")
    expect(reason).to_have_attribute("aria-invalid", "true")
    reason.fill("Ask for it when the release has a day.")
    theirs.get_by_role("button", name=f"Deny {name}").click()
    expect(theirs.get_by_role("status")).to_contain_text(f"{name} is denied")
    page.goto(f"/access/requests/{name}")
    expect(page.get_by_role("definition").filter(has_text="Ask for it when the release has a day.")).to_be_visible()


def test_what_is_missing_is_said_at_the_top_and_at_its_field_and_what_was_filled_in_stays(
    people: People, browsers: Browsers, look: Look
) -> None:
    page = browsers.page(people.staff("quant.one"))
    page.goto("/access/ask")
    page.get_by_label("What for").fill("short")
    page.get_by_role("button", name="See what it brings").click()
    expect(page.get_by_role("alert").get_by_role("listitem")).to_have_count(3)
    expect(page.get_by_label("What for")).to_have_value("short")
    expect(page.get_by_label("What for")).to_have_accessible_description("One line. It is read by whoever decides, and "
        "stands in the audit trail. Say in at least 10 characters what you need it for.")  # fmt: skip
    look(page, "access-ask-incomplete")


def test_a_conflict_of_duties_is_shown_before_asking_and_its_exception_can_be_asked_for(
    people: People, browsers: Browsers, why: str
) -> None:
    page = browsers.page(people.staff("quant.one"))
    page.goto("/access/ask?what=role:trader&environment=dev")
    page.get_by_label("What for").fill(why)
    page.get_by_role("button", name="See what it brings").click()
    expect(page.get_by_role("alert")).to_contain_text("build-or-run")
    expect(page.get_by_role("button", name="Send the request")).to_have_count(0)
    page.get_by_role("checkbox", name="build-or-run").check()
    page.get_by_role("button", name="Look again").click()
    expect(page.get_by_role("region", name="What it brings")).to_contain_text("risk")
    expect(page.get_by_role("button", name="Send the request")).to_be_visible()


def test_a_request_can_be_taken_back_and_another_persons_is_not_there(
    people: People, browsers: Browsers, why: str
) -> None:
    page = browsers.page(people.staff("platform.one"))
    name = ask_for(page, why, what="role:quant", where="dev")
    page.get_by_role("button", name=f"Take {name} back").click()
    expect(page.get_by_role("status")).to_contain_text(f"{name} is taken back")
    stranger = browsers.page(people.staff("quant.one"))
    reply = stranger.goto(f"/access/requests/{name}")
    assert reply is not None
    assert reply.status == 404


def test_grants_show_the_time_that_is_left_of_oneself_and_of_those_whom_one_leads_alone(
    people: People, browsers: Browsers, look: Look
) -> None:
    page = browsers.page(people.staff("manager.one"))
    page.goto("/access/grants?user=platform.one@tradepulse.example")
    expect(page.get_by_role("row").filter(has_text="role sre")).to_contain_text("in ")
    look(page, "access-grants")
    page.get_by_label("Somebody whom you lead").fill("security.one@tradepulse.example")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#user-wrong")).to_contain_text("people whom you lead")


def test_a_reviewer_sees_the_facts_of_a_binding_and_decides_with_a_reason(
    stack: Stack, people: People, browsers: Browsers, look: Look
) -> None:
    open_campaign(stack)
    page = browsers.page(people.staff("security.two"))
    page.goto("/access/campaigns")
    page.get_by_role("link", name=QUARTER).click()
    article = page.get_by_role("article").filter(has_text="mlops.one@tradepulse.example: group model-platform")
    expect(article).to_contain_text("model:promote")
    expect(article).to_contain_text("led by manager.one@tradepulse.example")
    look(page, "access-campaign")
    keep = "Keep group model-platform of mlops.one@tradepulse.example"
    page.get_by_role("button", name=keep).click()
    expect(page.get_by_role("alert")).to_contain_text("Say in at least 10 characters why")
    article.get_by_label("Why it stays, or is taken away").fill("Promotes models every week.")
    page.get_by_role("button", name=keep).click()
    expect(page.get_by_role("status")).to_contain_text("Your decision is recorded. It stays.")
    expect(article).to_have_count(0)
    page.get_by_role("link", name="Show what is decided and what is yours as well").click()
    expect(article).to_contain_text("Promotes models every week.")


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
