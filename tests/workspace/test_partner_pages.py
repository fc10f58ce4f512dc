"""A partner's pages in real browsers: link a broker on its own page, see it, have it approved, revoke it; the trail."""

from __future__ import annotations

import csv
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from lent_role import published
from playwright.sync_api import Page, expect
from workspace_world import PARTNER, prove

from identity.audit.verify import verify_file
from stack.layout import CHECKOUT
from stack.paper_broker.run import PASSWORD

if TYPE_CHECKING:
    from workspace_world import Browsers, People, Somebody

    from tests.conftest import Stack

pytestmark = pytest.mark.integration

Look = Callable[[Page, str], None]

CONNECTIONS = f"/partners/{PARTNER}/connections"
LINK = f"/partners/{PARTNER}/link"
AUDIT = f"/partners/{PARTNER}/audit"


@pytest.fixture
def password(stack: Stack) -> str:
    """What the owner of the account at the practice broker types there."""
    return stack.layout.secret(PASSWORD).read_text().strip()


@pytest.fixture
def name() -> str:
    """A connection of this test's own."""
    return f"desk-{secrets.token_hex(3)}"


def to_the_broker(page: Page, name: str) -> None:
    """From the form to the last page before the broker's."""
    page.goto(LINK)
    page.get_by_label("Paper Broker").check()
    page.get_by_label("Name of the connection").fill(name)
    page.get_by_role("button", name="Go on to the broker").click()
    page.get_by_role("heading", name="Go on at Paper Broker").wait_for()


def at_the_broker(page: Page, password: str, answer: str = "Allow") -> None:
    """On the broker's page, as the owner of the account."""
    page.get_by_role("button", name="Continue to Paper Broker").click()
    page.get_by_label("Account").fill("acme-desk")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name=answer).click()
    page.locator("header.top").wait_for()


def link(page: Page, name: str, password: str) -> None:
    """A connection that is linked in the browser."""
    to_the_broker(page, name)
    at_the_broker(page, password)
    expect(page.get_by_role("status")).to_contain_text(f"{name} is linked")


def test_a_partner_links_a_broker_sees_that_it_is_well_and_revokes_it(
    partner_page: Page, look: Look, password: str, name: str
) -> None:
    page = partner_page
    page.goto(LINK)
    look(page, "partner-link")
    to_the_broker(page, name)
    look(page, "partner-leave")
    at_the_broker(page, password)
    assert page.url.endswith(f"{CONNECTIONS}/{name}"), "the code is still in the address"
    expect(page.get_by_role("status")).to_have_text(f"{name} is linked.")
    expect(page.locator(".verdict .badge")).to_have_text("Healthy")
    expect(page.locator("dd", has_text=re.compile("^you"))).to_have_count(1)
    expect(page.get_by_role("cell", name="Link a broker")).to_be_visible()
    look(page, "partner-connection")

    page.goto(CONNECTIONS)
    row = page.get_by_role("row", name=name)
    expect(row).to_contain_text("Healthy")
    expect(row).to_contain_text("you")
    look(page, "partner-connections")
    row.get_by_role("link").click()
    page.get_by_role("button", name=f"Revoke {name}").click()
    look(page, "partner-revoke")
    page.get_by_role("button", name=f"Revoke {name} now").click()
    expect(page.get_by_role("status")).to_contain_text(f"{name} is revoked")
    expect(page.get_by_role("row", name=name)).to_contain_text("Revoked")
    page.goto(f"{CONNECTIONS}/{name}")
    expect(page.get_by_role("button", name=f"Revoke {name}")).to_have_count(0)
    expect(page.get_by_role("button", name=f"Reconnect {name}")).to_be_visible()


def test_a_connection_is_linked_by_keyboard_alone(partner_page: Page, password: str, name: str) -> None:
    page = partner_page
    page.goto(CONNECTIONS)
    keys = page.keyboard
    keys.press("Tab")
    expect(page.locator("*:focus")).to_have_text("Skip to the content")
    page.goto(LINK)
    page.locator("#content").focus()
    keys.press("Tab")
    keys.press("Tab")
    keys.press("Space")
    keys.press("Tab")
    keys.type(name)
    keys.press("Enter")
    page.get_by_role("heading", name="Go on at Paper Broker").wait_for()
    page.locator("#content").focus()
    keys.press("Tab")
    keys.press("Tab")
    keys.press("Enter")
    page.get_by_label("Account").wait_for()
    keys.type("acme-desk")
    keys.press("Tab")
    keys.type(password)
    keys.press("Enter")
    expect(page.get_by_role("status")).to_have_text(f"{name} is linked.")


def test_a_no_at_the_broker_is_said_and_leads_on(partner_page: Page, look: Look, password: str, name: str) -> None:
    page = partner_page
    to_the_broker(page, name)
    at_the_broker(page, password, "Refuse")
    expect(page.get_by_role("alert")).to_contain_text("The broker did not agree")
    look(page, "partner-not-linked")
    page.get_by_role("button", name="Begin again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Link a broker")


def test_what_is_wrong_with_a_link_is_said_at_its_place(partner_page: Page, look: Look, name: str) -> None:
    page = partner_page
    page.goto(LINK)
    page.get_by_label("Paper Broker").check()
    # As a browser sends it that does not check the pattern first.
    page.locator("form.panel").evaluate("form => { form.noValidate = true }")
    page.get_by_label("Name of the connection").fill("Not A Name")
    page.get_by_role("button", name="Go on to the broker").click()
    expect(page.get_by_role("alert")).to_contain_text("small letters")
    field = page.get_by_label("Name of the connection")
    expect(field).to_have_value("Not A Name")
    expect(field).to_have_attribute("aria-invalid", "true")
    look(page, "partner-link-wrong")
    page.get_by_role("alert").get_by_role("link").click()
    expect(field).to_be_focused()


def test_nobody_finishes_what_somebody_else_began(
    people: People, browsers: Browsers, partner_page: Page, password: str, name: str
) -> None:
    page = partner_page
    to_the_broker(page, name)
    page.get_by_role("button", name="Continue to Paper Broker").click()
    page.get_by_label("Account").fill("acme-desk")
    page.get_by_label("Password").fill(password)
    # The answer never arrives in the browser that it is meant for.
    page.route("**/link/callback*", lambda route: route.abort())
    with page.expect_request("**/link/callback*") as asked:
        page.get_by_role("button", name="Allow").click(no_wait_after=True)
    address = asked.value.url
    other = browsers.page(people.partner())
    answered = other.goto(address)
    assert answered is not None
    assert answered.status == 400
    expect(other.get_by_role("alert")).to_contain_text("This link cannot be finished")
    nobody = browsers.fresh()
    answered = nobody.goto(address)
    assert answered is not None
    assert answered.status == 400
    assert "code=" not in nobody.content()
    nobody.context.close()
    other.close()


def test_an_analyst_sees_the_connections_and_nothing_to_press(
    people: People, browsers: Browsers, partner_page: Page, look: Look, password: str, name: str
) -> None:
    link(partner_page, name, password)
    page = browsers.page(people.partner("partner-analyst", PARTNER))
    page.goto(f"{CONNECTIONS}/{name}")
    expect(page.get_by_role("main").get_by_role("button")).to_have_count(0)
    # Whoever linked it is known by name, out of the trail.
    expect(page.locator("dd", has_text="@acme.example")).to_have_count(1)
    look(page, "partner-connection-analyst")
    page.goto(CONNECTIONS)
    expect(page.get_by_role("main").get_by_role("button")).to_have_count(0)
    page.goto(LINK)
    expect(page.get_by_text("no broker can be linked")).to_be_visible()
    # What the page leaves out is refused all the same.
    for path in (f"{CONNECTIONS}/{name}/revoke", f"{CONNECTIONS}/{name}/approve", LINK):
        said = page.evaluate(
            "path => fetch(path, {method: 'POST', headers: {'Content-Type': 'application/x-www-form-urlencoded'},"
            " body: 'broker=paper&connection=x'}).then(reply => reply.status)",
            path,
        )
        assert said == 403, path
    browsers.watch.complaints.clear()
    page.close()


def test_an_analytics_only_partner_is_told_what_it_will_see(people: People, browsers: Browsers, look: Look) -> None:
    page = browsers.page(people.partner("partner-analyst", "birch-research"))
    page.goto("/partners/birch-research/connections")
    expect(page.get_by_role("heading", name="No broker is linked yet")).to_be_visible()
    look(page, "partner-connections-none")
    answered = page.goto(CONNECTIONS)
    assert answered is not None
    assert answered.status == 404, "that the other partner exists was said"
    page.close()


@pytest.fixture
def approving(stack: Stack, tmp_path: Path) -> Iterator[None]:
    """The partner wants a second person for each link."""
    folder = tmp_path / "iam"
    shutil.copytree(CHECKOUT / "configs" / "iam", folder)
    partners = folder / "partners.yaml"
    text = partners.read_text()
    changed = text.replace("name: Acme Capital\n", "name: Acme Capital\n    approve_connections: true\n")
    assert changed != text
    partners.write_text(changed)
    with published(stack, folder):
        yield


@pytest.mark.usefixtures("approving")
def test_two_people_in_two_browsers_link_and_approve(
    people: People, browsers: Browsers, partner_page: Page, look: Look, password: str, name: str
) -> None:
    first = partner_page

    def shown(page: Page) -> bool:
        page.goto(LINK)
        return "somebody else has to approve" in page.inner_text("main")

    for _ in range(40):
        if shown(first):
            break
        first.wait_for_timeout(500)
    link(first, name, password)
    expect(first.locator(".verdict")).to_contain_text("Waits for approval")
    expect(first.locator(".verdict")).to_contain_text("somebody else has to approve it")
    expect(first.get_by_role("button", name=f"Approve {name}")).to_have_count(0)

    somebody = people.partner()
    second = browsers.page(somebody)
    second.goto(f"{CONNECTIONS}/{name}")
    look(second, "partner-approve")
    second.get_by_role("button", name=f"Approve {name}").click()
    step_up(second, somebody, f"Approve {name}")
    expect(second.get_by_role("status")).to_contain_text(f"{name} is approved")
    expect(second.locator(".verdict .badge")).to_have_text("Healthy")
    first.reload()
    expect(first.locator(".verdict .badge")).to_have_text("Healthy")
    expect(first.locator("dd", has_text=somebody.email)).to_have_count(1)
    second.close()


def step_up(page: Page, somebody: Somebody, button: str) -> None:
    """Confirm that it is them where that is asked, and press the button again."""
    page.wait_for_load_state()
    if page.get_by_role("heading", name="Confirm that it is you").count():
        page.get_by_role("button", name="Confirm").click()
        prove(page, somebody)
        page.get_by_role("button", name=button).click()


def test_the_trail_is_narrowed_holds_and_comes_as_files(
    partner_page: Page, look: Look, password: str, name: str, tmp_path: Path
) -> None:
    page = partner_page
    link(page, name, password)
    page.goto(AUDIT)
    expect(page.locator(".verdict .badge")).to_have_text("Chain holds")
    look(page, "partner-audit")
    assert "offers.read" not in page.inner_text("table")
    page.get_by_label("also who only looked").check()
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("cell", name="Look at what may be done").first).to_be_visible()

    page.goto(AUDIT)
    page.get_by_label("Connection", exact=True).fill(name)
    page.get_by_label("Outcome").select_option("success")
    page.get_by_role("button", name="Show").click()
    events = page.locator("table code").all_inner_texts()
    assert events == ["connection.linked"]
    with page.expect_download() as started:
        page.get_by_role("link", name="These lines for a spreadsheet").click()
    with Path(started.value.path()).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["event"] for row in rows] == ["connection.linked"]
    with page.expect_download() as started:
        page.get_by_role("link", name="All lines as they were hashed").click()
    report = verify_file(Path(started.value.path()))
    assert report.ok, report.bad
    assert report.lines > len(rows)

    page.goto(f"{AUDIT}?since=yesterday&who=nobody-at-all")
    expect(page.get_by_role("alert")).to_contain_text("Give a day")
    look(page, "partner-audit-wrong")
