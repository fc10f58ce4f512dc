"""The access portal in real browsers: ask, see what it brings, decide with the facts in view, see what is left."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from workspace_world import Browsers, People

pytestmark = pytest.mark.integration

Look = Callable[[Page, str], None]


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
    look(page, "access-ask")
    page.get_by_label("What you need").select_option("role:mlops")
    page.get_by_label("dev", exact=True).check()
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
    look(page, "access-request")
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
    look(theirs, "access-deny-without-reason")
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
    people: People, browsers: Browsers, look: Look, why: str
) -> None:
    page = browsers.page(people.staff("quant.one"))
    page.goto("/access/ask?what=role:trader&environment=dev")
    page.get_by_label("What for").fill(why)
    page.get_by_role("button", name="See what it brings").click()
    expect(page.get_by_role("alert")).to_contain_text("build-or-run")
    expect(page.get_by_role("button", name="Send the request")).to_have_count(0)
    look(page, "access-conflict")
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
