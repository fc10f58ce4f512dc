"""The pages that everybody sees, in a real browser; and that the suite would notice what it is there to notice."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page

if TYPE_CHECKING:
    from workspace_world import Browsers

pytestmark = pytest.mark.integration


def test_a_partners_administrator_finds_the_partner(partner_page: Page, look: Callable[[Page, str], None]) -> None:
    assert partner_page.locator("article h2").all_inner_texts() == ["acme-capital"]
    look(partner_page, "home-partner")


def test_somebody_of_staff_finds_requests_and_no_partner(staff_page: Page, look: Callable[[Page, str], None]) -> None:
    links = staff_page.locator("nav a").all_inner_texts()
    assert "Requests" in links
    assert "Connections" not in links
    look(staff_page, "home-staff")


def test_the_keyboard_is_enough(staff_page: Page) -> None:
    focused = "document.activeElement.innerText || document.activeElement.id"
    staff_page.keyboard.press("Tab")
    assert staff_page.evaluate(focused) == "Skip to the content"
    assert staff_page.locator(".skip").bounding_box()["x"] >= 0, "what has the focus is seen"  # type: ignore[index]
    staff_page.keyboard.press("Enter")
    assert staff_page.evaluate("document.activeElement.id") == "content"
    staff_page.reload()
    reached = []
    while len(reached) < 30 and (not reached or reached[-1] != "Ask for access"):
        staff_page.keyboard.press("Tab")
        reached.append(staff_page.evaluate(focused))
    assert reached[:4] == ["Skip to the content", "TradePulse", "Log out", "Home"]
    staff_page.keyboard.press("Enter")
    staff_page.wait_for_url("**/access/ask")


def test_pages_for_everybody_are_whole_without_a_login(browsers: Browsers, look: Callable[[Page, str], None]) -> None:
    page = browsers.fresh()
    page.goto("/signed-out")
    look(page, "signed-out")
    answered = page.goto("/nowhere")
    assert answered is not None
    assert answered.status == 404
    look(page, "error")
    page.context.close()


def test_the_suite_notices_a_violated_policy_and_an_inaccessible_page(
    browsers: Browsers, look: Callable[[Page, str], None]
) -> None:
    page = browsers.fresh()
    page.goto("/signed-out")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\">x</p><img src=\"/x.png\">')")
    page.wait_for_load_state("networkidle")
    with pytest.raises(AssertionError, match="image-alt"):
        look(page, "never")
    assert any("Content Security Policy" in one for one in browsers.watch.complaints)
    assert any("404" in one for one in browsers.watch.complaints)
    browsers.watch.complaints.clear()
    page.context.close()
