"""Two partners at work at the same time, each in a browser of their own: neither sees anything of the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from workspace_world import Browsers, People

pytestmark = pytest.mark.integration

ACME, BIRCH = "acme-capital", "birch-research"
PAGES = ("connections", "link", "audit", "audit/export.csv", "audit/export.jsonl", "members")


def test_two_partners_in_two_browsers_never_see_each_other(people: People, browsers: Browsers) -> None:
    first, second = (
        browsers.page(people.partner_administrator()),
        browsers.page(people.partner("partner-analyst", BIRCH)),
    )
    for mine, own, other in ((first, ACME, BIRCH), (second, BIRCH, ACME)):
        mine.goto(f"/partners/{own}/connections")
        expect(mine.get_by_role("heading", level=1)).to_have_text("Broker connections")
        assert other not in mine.content()
        # One that there is and one that there is not are the same to somebody else.
        for page in PAGES:
            there, nowhere = (
                mine.evaluate(
                    "path => fetch(path).then(async reply => [reply.status, (await reply.text()).length])",
                    f"/partners/{partner}/{page}",
                )
                for partner in (other, "x" * len(other))
            )
            assert there == nowhere, page
            assert there[0] == 404, page
    # Each goes on where they were, as themselves.
    for mine, own in ((first, ACME), (second, BIRCH)):
        mine.reload()
        assert mine.locator("nav h2").first.inner_text() == own
        mine.close()
    browsers.watch.complaints.clear()
