"""The workspace in real browsers, against the whole stack: see workspace_world.py.

    partner_page, staff_page   a tab of somebody who is logged in, with a factor, and with their grants in force
    people, browsers           whoever else a test needs, in windows of their own
    look(page, name)           what every page must be; its picture with TRADEPULSE_SCREENSHOTS=1

Every test of a module that uses `browsers` fails where a console shows an error or the policy was violated.
With TRADEPULSE_RUNNING_STACK_DIR=.stack they use the stack that runs there, and begin in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
import workspace_world as world
from lent_role import lent
from playwright.sync_api import Page, sync_playwright

from stack.login.browser import FLAGS, chromium

if TYPE_CHECKING:
    from tests.conftest import Stack


@pytest.fixture(scope="session")
def people(stack: Stack) -> Iterator[world.People]:
    """Staff and members of partners, each with a security key."""
    found = world.People(stack)
    yield found
    found.leave()


@pytest.fixture(scope="module")
def opened(stack: Stack) -> Iterator[world.Browsers]:
    """Chromium, once for a module: Playwright runs once in a process, and other tests use it too."""
    binary = chromium()
    assert binary is not None, "install Chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(binary), args=list(FLAGS))
        browsers = world.Browsers(browser, stack.env["WORKSPACE_URL"])
        yield browsers
        browsers.close()
        browser.close()


@pytest.fixture
def browsers(opened: world.Browsers) -> Iterator[world.Browsers]:
    """Windows of people. At its end a test fails for what their consoles complained about."""
    with world.quiet(opened.watch):
        yield opened


@pytest.fixture(scope="module")
def supporter(stack: Stack, people: world.People, tmp_path_factory: pytest.TempPathFactory) -> Iterator[world.Somebody]:
    """Somebody of staff with the role that may simulate and bring partners in, in the realm and in the policy."""
    somebody = people.anybody()
    with lent(stack, somebody, "super_admin", tmp_path_factory.mktemp("supporter") / "iam"):
        yield somebody


@pytest.fixture
def partner_page(people: world.People, browsers: world.Browsers) -> Iterator[Page]:
    """A partner's administrator on the first page."""
    page = browsers.page(people.partner_administrator())
    yield page
    page.close()


@pytest.fixture
def staff_page(people: world.People, browsers: world.Browsers) -> Iterator[Page]:
    """Somebody of staff, a manager whom configs/iam names, on the first page."""
    page = browsers.page(people.staff("manager.one"))
    yield page
    page.close()


@pytest.fixture(scope="session")
def look() -> Callable[[Page, str], None]:
    """Hold a page to what every page must be, and keep its picture."""
    return world.look
