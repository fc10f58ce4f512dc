"""Auth health, the question after a login and a partner's alerts, in a real browser."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import workspace_world as world
from lent_role import lent
from playwright.sync_api import Page, expect

if TYPE_CHECKING:
    from tests.conftest import Stack

pytestmark = pytest.mark.integration

Look = Callable[[Page, str], None]


@pytest.fixture(scope="module")
def operator(stack: Stack, people: world.People, tmp_path_factory: pytest.TempPathFactory) -> Iterator[world.Somebody]:
    """Somebody who may read audit trails."""
    somebody = people.anybody()
    with lent(stack, somebody, "sre", tmp_path_factory.mktemp("health") / "iam"):
        yield somebody


@pytest.fixture
def operator_page(browsers: world.Browsers, operator: world.Somebody) -> Iterator[Page]:
    """Their window."""
    page = browsers.page(operator)
    yield page
    page.close()


def to_the_dashboard(page: Page, somebody: world.Somebody) -> None:
    """By the menu, through a step-up where the role wants one; the policy may be seconds old."""
    deadline = time.monotonic() + 40
    while not page.get_by_role("heading", name="Auth health", level=1).count():
        assert time.monotonic() < deadline, page.inner_text("main")
        page.goto("/")
        page.get_by_role("link", name="Auth health").first.click()
        page.wait_for_load_state("domcontentloaded")
        if page.get_by_role("heading", name="Confirm that it is you").count():
            world.confirm(page, somebody)
        page.wait_for_timeout(300)


def test_the_dashboard_shows_logins_as_they_happen_and_says_where_figures_come_from(
    operator_page: Page, operator: world.Somebody, look: Look
) -> None:
    page = operator_page
    to_the_dashboard(page, operator)
    # The login that brought us here is counted within seconds, and the page renews itself.
    logins = page.locator("table", has_text="Success rate").locator("tr", has_text="dev").locator("td").first
    expect(logins).not_to_have_text("0", timeout=40_000)
    expect(page.get_by_role("img", name="Logins over time")).to_be_visible()
    expect(page.locator("#promised ~ ul li", has_text="Logins that succeed")).to_be_visible()
    expect(page.get_by_role("row", name="iam_events.jsonl")).to_contain_text("read")
    page.get_by_label("each chart as a table too").check()
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("region", name="Logins as a table")).to_be_visible()
    look(page, "auth-health")
    with page.expect_download() as download:
        page.get_by_role("link", name="as Markdown").first.click()
    assert download.value.path().read_text().startswith("# Auth health of ")
    page.get_by_role("link", name="The vault's week").click()
    expect(page.get_by_role("heading", name="The vault's week", level=1)).to_be_visible()
    look(page, "auth-health-vault")


def test_who_may_not_read_audit_trails_is_told_so(people: world.People, browsers: world.Browsers) -> None:
    page = browsers.page(people.staff("quant.one"))
    page.goto("/auth-health")
    expect(page.get_by_role("heading", level=1)).to_have_text("Not allowed")
    page.close()


def test_the_question_is_asked_once_and_answered_without_a_name(
    people: world.People, browsers: world.Browsers, look: Look
) -> None:
    page = browsers.page(people.anybody())
    expect(page.get_by_text("How easy was it to log in?")).to_be_visible()
    look(page, "pulse")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("status")).to_contain_text("Choose one of the five")
    page.get_by_label("Very easy").check()
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("status")).to_contain_text("kept without your name")
    expect(page.get_by_text("How easy was it to log in?")).to_have_count(0)
    page.goto("/")
    expect(page.get_by_text("How easy was it to log in?")).to_have_count(0)
    page.close()


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """A partner's webhook."""
    got: list[tuple[dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None: ...

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(204)
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hook", got
    server.shutdown()
    server.server_close()


def test_a_partner_sets_a_webhook_sees_its_secret_once_and_a_test_arrive(
    people: world.People,
    partner_page: Page,
    look: Look,
    receiver: tuple[str, list[tuple[dict[str, str], bytes]]],
    stack: Stack,
) -> None:
    del stack
    url, got = receiver
    page, me = partner_page, people.partner_administrator()
    page.goto(f"/partners/{world.PARTNER}/alerts")
    expect(page.get_by_text("is usually told: connections that failed")).to_be_visible()
    page.get_by_role("textbox", name="Name").fill("Trading Desk")
    page.get_by_role("textbox", name="Address").fill("somewhere")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("That was not set")
    look(page, "partner-alerts-wrong")
    page.get_by_role("textbox", name="Name").fill("trading-desk")
    page.get_by_label("By", exact=True).select_option("webhook")
    page.get_by_role("textbox", name="Address").fill(url)
    page.get_by_role("button", name="Add", exact=True).click()
    if page.get_by_role("heading", name="Confirm").count():
        world.confirm(page, me)
    expect(page.get_by_text("whsec_", exact=False).first).to_be_visible()
    look(page, "partner-alert-secret")
    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_role("status")).to_contain_text("on its way")
    arrived = page.locator("section", has=page.locator("#log")).get_by_text("arrived")
    for _ in range(60):
        if arrived.count():
            break
        page.wait_for_timeout(500)
        page.reload()
    expect(arrived.first).to_be_visible()
    assert json.loads(got[0][1])["type"] == "test"
    assert got[0][0]["webhook-signature"].startswith("v1,")
    look(page, "partner-alerts")
    assert "whsec_" not in page.content()
    page.get_by_role("button", name="Take trading-desk away").click()
    expect(page.get_by_role("status")).to_contain_text("nobody is told there any more")
