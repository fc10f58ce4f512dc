"""What the workspace takes from a browser, and where it sends one."""

from __future__ import annotations

import pytest

from workspace.guard import headers, policy, refused
from workspace.login.places import HOME, local

ORIGIN = "https://workspace.example"


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "same-origin", "origin": "https://evil.example"}, True),
        ({"origin": ORIGIN}, True),
        ({"sec-fetch-site": "same-site", "origin": ORIGIN}, False),
        ({"sec-fetch-site": "cross-site", "origin": ORIGIN}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"sec-fetch-site": "", "origin": ORIGIN}, False),
        ({"origin": "https://workspace.example.evil.example"}, False),
        ({"origin": "http://workspace.example"}, False),
        ({"origin": "null"}, False),
        ({}, False),
    ],
)
def test_a_change_is_taken_from_our_own_pages_only(given: dict[str, str], taken: bool) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE", "ANYTHING"):
        assert refused(ORIGIN, method, "/auth/logout", given) is not taken
    assert not refused(ORIGIN, "GET", "/", given)


def test_only_what_carries_its_own_proof_comes_from_elsewhere() -> None:
    assert not refused(ORIGIN, "POST", "/auth/backchannel-logout", {})
    assert refused(ORIGIN, "POST", "/auth/backchannel-logout/", {})


def test_pages_run_nothing_inline_and_are_in_nobodys_frame() -> None:
    rules = dict(one.split(" ", 1) for one in policy("https://login.example/realms/tradepulse").split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == "'self'"
    assert rules["frame-ancestors"] == "'none'"
    assert rules["form-action"] == "'self' https://login.example"
    assert "unsafe" not in policy("https://login.example/realms/tradepulse")
    assert "Strict-Transport-Security" in headers("https://login.example", secure=True)


@pytest.mark.parametrize("path", ["/", "/partners/acme/connections", "/access/requests?state=open&view=mine", "/a%20b"])
def test_a_login_leads_back_to_a_page_of_ours(path: str) -> None:
    assert local(path) == path


@pytest.mark.parametrize(
    "path",
    [
        None, "", "//evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example", "/\t/evil.example",
        "/\n/evil.example", "javascript:alert(1)", "/ /evil", "/auth/logout", "/auth/login?next=/", "/a//evil.example",
        "/" + "a" * 2000, "/ü", "evil.example", "/\x00",
    ],
)  # fmt: skip
def test_a_login_leads_nowhere_else(path: str | None) -> None:
    assert local(path) == HOME
