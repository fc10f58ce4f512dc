"""In and out of the workspace in real browsers, beside the real realm: nobody gets another's session, none stays."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Page
from workspace_world import Somebody, confirm, log_in, prove

from workspace.session import cookie

if TYPE_CHECKING:
    from workspace_world import Browsers, People

    from tests.conftest import Stack

pytestmark = pytest.mark.integration

USERS = "/tradepulse-dev/users"
PATIENCE = 30.0


@pytest.fixture(scope="module")
def ada(people: People) -> Somebody:
    """Somebody whose sessions these tests begin and end."""
    return people.anybody()


@pytest.fixture
def fresh(browsers: Browsers) -> Iterator[Callable[..., Page]]:
    """Windows with nobody logged in, gone with the test."""
    opened: list[Page] = []

    def make(**options: Any) -> Page:
        opened.append(browsers.fresh(**options))
        return opened[-1]

    yield make
    for page in opened:
        page.context.close()


def name_shown(page: Page) -> str | None:
    """Whom a page says it is for."""
    shown = page.locator(".who .name")
    return shown.inner_text() if shown.count() else None


def secret(page: Page) -> str:
    """The session's cookie, which no script sees."""
    (found,) = [one for one in page.context.cookies(page.url) if one["name"] == cookie.SESSION]
    assert (found["httpOnly"], found["secure"], found["sameSite"], found["path"]) == (True, True, "Lax", "/")
    assert found["expires"] == -1
    return str(found["value"])


def sessions(stack: Stack, somebody: Somebody) -> list[Any]:
    """What the realm has of somebody's."""
    found: list[Any] = stack.admin.get(f"{USERS}/{somebody.id}/sessions")
    return found


def renewals(stack: Stack, somebody: Somebody) -> int:
    """How often the realm renewed the tokens of somebody's newest session, by its audit file."""
    path, deadline = Path(stack.env["TRADEPULSE_AUDIT_DIR"]) / "iam_events.jsonl", time.monotonic() + PATIENCE
    while True:
        lines = [json.loads(line) for line in path.read_text().splitlines() if somebody.email in line]
        newest = [line["session"] for line in lines if line["event"] == "login"][-1]
        found = [line for line in lines if line["event"] == "token.refreshed" and line["session"] == newest]
        if found:
            return len(found)
        assert time.monotonic() < deadline, "nothing was renewed"
        time.sleep(0.1)


def test_a_login_comes_back_to_the_page_that_was_asked_for_and_a_logout_is_one_everywhere(
    stack: Stack, ada: Somebody, fresh: Callable[..., Page], look: Callable[[Page, str], None]
) -> None:
    page = fresh()
    log_in(page, ada, "/confirm?level=aal2&next=/")
    assert (urlsplit(page.url).path, name_shown(page)) == ("/confirm", ada.email)
    look(page, "confirm")
    assert len(sessions(stack, ada)) == 1
    assert page.evaluate("document.cookie") == ""

    page.goto("/")
    kept = secret(page)
    page.click("text=Log out")
    page.wait_for_url("**/signed-out")
    assert sessions(stack, ada) == []
    assert cookie.SESSION not in {one["name"] for one in page.context.cookies()}
    # Back shows nothing of before, and a cookie that somebody kept is no session.
    page.go_back()
    page.wait_for_selector("#kc-login")
    assert ada.email not in page.content()
    again = httpx.get(f"{stack.env['WORKSPACE_URL']}/", headers={"Cookie": f"{cookie.SESSION}={kept}"}, trust_env=False)
    assert (again.status_code, urlsplit(again.headers["location"]).path) == (303, "/auth/login")


def test_an_administrators_logout_in_the_realm_ends_the_workspaces_session_in_seconds(
    stack: Stack, ada: Somebody, fresh: Callable[..., Page]
) -> None:
    page = fresh()
    log_in(page, ada)
    headers = {"Cookie": f"{cookie.SESSION}={secret(page)}"}
    stack.admin.post(f"{USERS}/{ada.id}/logout", {})
    begun = time.monotonic()
    # Its token is good for minutes: what ends it is the logout token that the session broker passes on.
    while httpx.get(f"{stack.env['WORKSPACE_URL']}/", headers=headers, trust_env=False).status_code == 200:
        assert time.monotonic() - begun < PATIENCE, "the workspace was not told"
        time.sleep(0.05)
    page.reload()
    page.wait_for_selector("#kc-login")


def test_a_step_up_asks_for_the_key_and_comes_back_with_a_word(
    stack: Stack, ada: Somebody, fresh: Callable[..., Page]
) -> None:
    page = fresh()
    log_in(page, ada)
    before = secret(page)
    page.goto("/confirm?level=aal3&max_age=300&next=/")
    assert "needs your security key, proved within the last 5 min" in page.inner_text("main")
    confirm(page, ada)
    assert "Thank you, that was you" in page.inner_text("[role=status]")
    assert page.inner_text(".level") == "security key"
    after = secret(page)
    assert after != before
    page.reload()
    assert page.locator("[role=status]").count() == 0, "it is said once"
    old = httpx.get(f"{stack.env['WORKSPACE_URL']}/", headers={"Cookie": f"{cookie.SESSION}={before}"}, trust_env=False)
    assert old.status_code == 303, "the session of before is over"


def test_another_browser_cannot_finish_a_login(ada: Somebody, fresh: Callable[..., Page]) -> None:
    page, other = fresh(), fresh()
    page.goto("/")
    # The answer arrives in a browser that has lost what its login began with, and is as good as another's.
    (begun,) = [one for one in page.context.cookies() if one["name"] == cookie.LOGIN]
    page.context.clear_cookies(name=cookie.LOGIN)
    prove(page, ada)
    answer = page.url
    assert "code=" in answer
    assert page.inner_text("h1") == "This login is over"
    # With no login of its own, and with one that is under way.
    for start in (None, "/auth/login"):
        if start is not None:
            other.goto(start)
        other.goto(answer)
        assert other.inner_text("h1") == "This login is over"
        assert cookie.SESSION not in {one["name"] for one in other.context.cookies()}
    page.context.add_cookies([begun])
    page.goto(answer)
    assert name_shown(page) == ada.email
    page.goto(answer)
    assert page.inner_text("h1") == "This login is over"
    page.goto("/")
    assert name_shown(page) == ada.email


def test_a_secret_that_somebody_planted_is_not_what_a_login_gets(
    stack: Stack, ada: Somebody, people: People, fresh: Callable[..., Page]
) -> None:
    eve, page = people.anybody(), fresh()
    attacker = fresh()
    log_in(attacker, eve)
    (planted,) = [one for one in attacker.context.cookies() if one["name"] == cookie.SESSION]
    page.context.add_cookies([planted])
    page.goto("/auth/login")
    prove(page, ada)
    assert name_shown(page) == ada.email
    assert secret(page) != planted["value"]
    attacker.goto("/")
    assert name_shown(attacker) == eve.email, "eve is back by the realm's own session, and in a session of her own"


def test_everything_works_without_javascript_up_to_the_logout(ada: Somebody, fresh: Callable[..., Page]) -> None:
    page = fresh()
    log_in(page, ada)
    plain = fresh(java_script_enabled=False, storage_state=page.context.storage_state())
    plain.goto("/")
    assert name_shown(plain) == ada.email
    plain.click("text=Log out")
    plain.wait_for_url("**/signed-out")
    page.goto("/")
    page.wait_for_selector("#kc-login")


def opened_again(page: Page, fresh: Callable[..., Page]) -> Page:
    """The same browser after it was closed: what is left of its cookies."""
    new = fresh()
    new.context.add_cookies([one for one in page.context.cookies() if one["expires"] != -1])  # type: ignore[misc]
    return new


def test_a_remembered_browser_is_known_when_it_opens_again_and_another_is_not(
    ada: Somebody, fresh: Callable[..., Page]
) -> None:
    forgotten = fresh()
    log_in(forgotten, ada)
    again = opened_again(forgotten, fresh)
    again.goto("/")
    again.wait_for_selector("#kc-login")

    remembered = fresh()
    remembered.goto("/")
    remembered.check("#rememberMe")
    prove(remembered, ada)
    again = opened_again(remembered, fresh)
    again.goto("/")
    assert name_shown(again) == ada.email


def test_many_tabs_that_renew_at_once_stay_logged_in(stack: Stack, ada: Somebody, fresh: Callable[..., Page]) -> None:
    """By the stack's own process and the real realm, where a refresh token that is used twice ends the session."""
    clients = "/tradepulse-dev/clients"
    (client,) = stack.admin.get(clients, clientId="tradepulse")
    short = {**client["attributes"], "access.token.lifespan": "62"}
    stack.admin.put(f"{clients}/{client['id']}", {**client, "attributes": short})
    try:
        page = fresh()
        log_in(page, ada)
        # A minute before its end a token is due: this one is after two seconds.
        page.wait_for_timeout(2100)
        answers = page.evaluate(
            """async () => {
              const asked = Array.from({length: 24}, () => fetch('/', {redirect: 'manual'}));
              return (await Promise.all(asked)).map(one => one.status);
            }"""
        )
        assert answers == [200] * 24
        # One, or another where the requests took longer than the two seconds that its token was not due.
        assert 1 <= renewals(stack, ada) <= 2
    finally:
        stack.admin.put(
            f"{clients}/{client['id']}", {**client, "attributes": {**client["attributes"], "access.token.lifespan": ""}}
        )
    page.reload()
    assert name_shown(page) == ada.email
