"""A page of a live desk that is merely open: it stays logged in, warns in time, and an abandoned one is logged out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Page, expect
from test_simulation_pages import execute
from test_workspace_login import renewals, sessions
from workspace_world import PARTNER, Browsers, People, Somebody, log_in

if TYPE_CHECKING:
    from tests.conftest import Stack

pytestmark = pytest.mark.integration

CONNECTIONS = f"/partners/{PARTNER}/connections"
MINUTE = 60_000


@pytest.fixture
def short_tokens(stack: Stack) -> Iterator[None]:
    """Access tokens of 62 seconds: a minute before its end a token is renewed, so one is due after two."""
    clients = "/tradepulse-dev/clients"
    (client,) = stack.admin.get(clients, clientId="tradepulse")

    def lasting(seconds: str) -> None:
        attributes = {**client["attributes"], "access.token.lifespan": seconds}
        stack.admin.put(f"{clients}/{client['id']}", {**client, "attributes": attributes})

    lasting("62")
    yield
    lasting("")


def unused_for(stack: Stack, minutes: int) -> None:
    """As if nobody had used any session for so long."""
    execute(stack, "workspace", "UPDATE workspace.session SET seen_at = now() - make_interval(mins => $1)", minutes)


def half_a_minute(page: Page) -> Any:
    """Until the page has told that it is open once more."""
    with page.expect_response("**/session/presence") as told:
        page.clock.fast_forward(31_000)
    return told.value


@pytest.mark.usefixtures("short_tokens")
def test_an_open_page_is_renewed_by_itself_warns_before_it_ends_and_ends_everywhere_when_abandoned(
    stack: Stack, people: People, browsers: Browsers, look: Callable[[Page, str], None]
) -> None:
    trader: Somebody = people.partner("partner-trader")
    page = browsers.fresh()
    page.clock.install()
    log_in(page, trader)
    page.goto(CONNECTIONS)
    shown = page.evaluate("performance.timeOrigin")
    time.sleep(2.1)
    page.mouse.move(900, 600)
    assert half_a_minute(page).json()["seconds_left"] > 3500
    assert renewals(stack, trader) >= 1, "the token is new before anybody has to wait for it"
    assert page.locator("#presence").is_hidden()

    unused_for(stack, 57)
    time.sleep(2.1)
    assert half_a_minute(page).json()["seconds_left"] < 200, "an open page is no use"
    expect(page.get_by_role("alert")).to_contain_text("You will be logged out in 3 min")
    look(page, "presence")
    with page.expect_response("**/session/presence"):
        page.get_by_role("button", name="Stay logged in").click()
    expect(page.locator("#presence")).to_be_hidden()
    assert page.evaluate("performance.timeOrigin") == shown, "the page was never left"

    time.sleep(2.1)
    half_a_minute(page)
    unused_for(stack, 61)
    page.clock.fast_forward(31_000)
    page.wait_for_url("**/signed-out?here=idle")
    expect(page.locator("main")).to_contain_text("Nobody used the page for a while")
    look(page, "signed-out-idle")
    assert sessions(stack, trader) == [], "pages alone kept it alive in the realm"
    page.goto(CONNECTIONS)
    page.wait_for_selector("#kc-login")
    browsers.watch.complaints.clear()
    page.context.close()
