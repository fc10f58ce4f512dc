"""Members of a partner in real browsers: staff invite the first one, who comes in with the code; a deputy of another
company is lent a role, and has it taken away."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Locator, Page, expect
from workspace_world import PARTNER, Browsers, People, Somebody, confirm, prove

from stack.login import FirstLogin, Login, SavedFactor

if TYPE_CHECKING:
    from tests.conftest import Stack

pytestmark = pytest.mark.integration

Look = Callable[[Page, str], None]

OTHER = "birch-research"
MEMBERS = f"/partners/{PARTNER}/members"


@dataclass
class Newcomer(Somebody):
    """Somebody who logs in for the first time."""

    chosen: str = field(default_factory=lambda: f"Aa1-{secrets.token_urlsafe(18)}", repr=False)

    def login(self) -> Login:
        """With the code as the password, which is replaced, and a key that is registered."""
        return FirstLogin(self.email, self.password, self.chosen).login


@pytest.fixture
def newcomer(stack: Stack) -> Iterator[str]:
    """An address of the partner's that nobody has yet."""
    email = f"new.{secrets.token_hex(3)}@acme.example"
    yield email
    for found in stack.admin.get("/tradepulse-dev/users", email=email, exact=True) or ():
        stack.admin.delete(f"/tradepulse-dev/users/{found['id']}")


def through(page: Page, somebody: Somebody, path: str, until: str) -> None:
    """To a page that may first ask to confirm who is there; the policy may be seconds old."""
    for _ in range(20):
        page.goto(path)
        if page.get_by_role("heading", name="Confirm that it is you").count():
            confirm(page, somebody)
        if page.get_by_role("heading", level=1).inner_text() == until:
            return
        page.wait_for_timeout(500)
    raise AssertionError(page.inner_text("main"))


def sent(page: Page, somebody: Somebody, button: str, *, fill: Callable[[], None] = lambda: None) -> None:
    """Press a button of a change, which may first ask to confirm who is there; then fill in and press it again."""
    fill()
    press(page, button)
    if page.get_by_role("heading", name="Confirm that it is you").count():
        confirm(page, somebody)
        fill()
        press(page, button)


def of(page: Page, email: str) -> Locator:
    """The row of a person, and not those of people whom they gave something."""
    return page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=email))


def press(page: Page, button: str) -> None:
    """Press a button, and wait for what comes of it, redirects and all."""
    with page.expect_navigation():
        page.get_by_role("button", name=button).click()


def invited(page: Page) -> tuple[str, str]:
    """The link and the code, as the page shows them this once."""
    expect(page.get_by_role("heading", level=1)).to_contain_text("is invited")
    return page.locator("#link").inner_text(), page.locator("#code").inner_text()


def test_staff_invite_the_first_administrator_who_comes_in_with_the_code(
    browsers: Browsers, supporter: Somebody, look: Look, newcomer: str
) -> None:
    staff = browsers.page(supporter)
    through(staff, supporter, "/onboarding", "Onboarding of partners")
    staff.get_by_role("link", name="Invite somebody to Acme Capital").click()
    staff.get_by_label("E-mail address").fill(newcomer)
    staff.get_by_label("Administrator").check()
    look(staff, "onboarding-invite")
    press(staff, "Make the invitation")
    link, code = invited(staff)
    assert code not in link
    look(staff, "member-invited")
    press(staff, "I have noted both")
    expect(staff.get_by_role("row", name=newcomer)).to_contain_text("Open")
    look(staff, "onboarding")

    page = browsers.fresh()
    page.goto(link)
    look(page, "invitation")
    page.get_by_label("Code").fill("0000-0000-0000-0000")
    page.get_by_label("First name").fill("Noor")
    page.get_by_label("Last name").fill("Acme")
    press(page, "Make my account")
    expect(page.get_by_role("alert")).to_contain_text("that code is not good")
    look(page, "invitation-wrong")
    page.get_by_label("Code").fill(code.lower())
    press(page, "Make my account")
    expect(page.get_by_role("heading", level=1)).to_have_text("Your account is made")
    look(page, "invitation-done")
    press(page, "Log in")
    me = Newcomer("", newcomer, code, SavedFactor())
    prove(page, me)
    if page.get_by_role("heading", name="Confirm that it is you").count():
        # The key was registered in this login, and proves nothing before it is used.
        confirm(page, me)
    expect(page.get_by_role("heading", level=1)).to_have_text("First steps at Acme Capital")
    expect(page.get_by_role("listitem").filter(has_text="Register a security key")).to_contain_text("Done")
    look(page, "partner-start")

    again = browsers.fresh()
    again.goto(link)
    again.get_by_label("Code").fill(code)
    again.get_by_label("First name").fill("Eve")
    again.get_by_label("Last name").fill("Else")
    press(again, "Make my account")
    expect(again.get_by_role("alert")).to_contain_text("is not good")
    page.goto(f"/partners/{PARTNER}/audit?kind=members")
    expect(page.get_by_role("row", name="Take up an invitation").first).to_be_visible()
    for one in (again, page):
        one.context.close()
    staff.close()


def test_a_person_of_another_company_is_lent_a_role_and_has_it_taken_away(
    people: People, browsers: Browsers, partner_page: Page, look: Look
) -> None:
    admin, page = people.partner_administrator(), partner_page
    agent = people.partner("partner-analyst", OTHER)
    theirs = browsers.page(agent)
    # Two partners do not see each other, whoever asks.
    for path in (MEMBERS, f"{MEMBERS}/invite", f"/partners/{PARTNER}/start"):
        assert theirs.goto(path).status == 404  # type: ignore[union-attr]
    assert page.goto(f"/partners/{OTHER}/members").status == 404  # type: ignore[union-attr]
    theirs.goto(f"/partners/{OTHER}/members")
    expect(theirs.get_by_role("button", name="Invite somebody")).to_have_count(0)

    def fill() -> None:
        page.get_by_label("E-mail address").fill(agent.email)
        page.get_by_label("Analyst").check()
        page.get_by_label("For how long").select_option("7 days")

    page.goto(f"{MEMBERS}/invite")
    look(page, "member-invite")
    sent(page, admin, "Make the invitation", fill=fill)
    link, code = invited(page)

    theirs.goto(link)
    look(theirs, "invitation-delegate")
    theirs.get_by_label("Code").fill(code)
    press(theirs, f"Take it up as {agent.email}")
    expect(theirs.get_by_role("heading", level=1)).to_have_text("First steps at Acme Capital")
    theirs.goto(f"/partners/{PARTNER}/connections")
    expect(theirs.get_by_role("heading", level=1)).to_have_text("Broker connections")

    page.goto(MEMBERS)
    row = of(page, agent.email)
    expect(row).to_contain_text(re.compile("Analyst ends in (6|7) d"))
    expect(row).to_contain_text(admin.email)
    look(page, "members")
    row.get_by_role("link").click()
    look(page, "member")
    # A day that has passed is said at its place, whatever the browser thinks of it.
    page.get_by_label("Trader").check()
    page.get_by_label("Or up to and including a day").fill("2020-01-01")
    sent(page, admin, "Give the role")
    expect(page.get_by_role("alert")).to_contain_text("still to come")
    sent(page, admin, "Take Analyst from")
    expect(page.get_by_role("status")).to_contain_text("not Analyst any more")
    press(page, "End the membership")
    look(page, "member-remove")
    sent(page, admin, "End the membership of")
    expect(page.get_by_role("status")).to_contain_text("no more")
    expect(of(page, agent.email)).to_have_count(0)
    theirs.goto(f"/auth/login?next=/partners/{PARTNER}/connections")
    expect(theirs.get_by_role("heading", level=1)).not_to_have_text("Broker connections")
    theirs.close()


def test_an_administrator_finds_no_way_to_change_themselves(people: People, partner_page: Page, look: Look) -> None:
    page, me = partner_page, people.partner_administrator()
    page.goto(MEMBERS)
    row = of(page, me.email)
    expect(row).to_contain_text("you")
    expect(row.get_by_role("link")).to_have_count(0)
    page.goto(f"{MEMBERS}/{me.id}")
    expect(page.get_by_role("button", name="Give the role")).to_have_count(0)
    expect(page.locator("main")).to_contain_text("Nobody changes their own roles")
    look(page, "member-yourself")
