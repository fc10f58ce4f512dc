"""Whose open pages stay logged in is said by the persona, and reaches the page by the bundle and the vault's offers."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.requests import Request

from admin_sync.bundle.render import render
from admin_sync.load.document import load
from admin_sync.policy import policy_source
from identity.principal import AssuranceLevel, Principal
from identity.secret import Secret
from stack.layout import CHECKOUT
from vault_api.brokers.schemas import CatalogDocument
from workspace.render import page
from workspace.session.sessions import Session

ENVIRON = {"PAPER_BROKER_URL": "https://paper.example", "WORKFORCE_ISSUER": "https://workforce.example"}


def session() -> Session:
    principal = Principal(
        subject="person-1", email="ada@acme.example", kind="person", environment="dev", issuer="https://id.example",
        client="tradepulse", groups=frozenset(), assurance_level=AssuranceLevel.AAL2, acr="aal2", amr=("pwd", "hwk"),
        auth_time=1, session="session-1", expires_at=2, token_name="t",
    )  # fmt: skip
    return Session(principal, Secret("token"), 3.0)


def test_the_persona_of_live_trading_wants_it_and_that_of_analytics_does_not() -> None:
    bundle = render(policy_source(load(CHECKOUT / "configs" / "iam", ENVIRON)))
    partners = CatalogDocument.model_validate(bundle["vault"]).partners
    assert {name: one.proactive_refresh for name, one in partners.items()} == {
        "acme-capital": True,
        "birch-research": False,
    }


@pytest.mark.parametrize(
    ("offers", "asks"),
    [({"proactive_refresh": True}, True), ({"proactive_refresh": False}, False), ({}, False), (None, False)],
)
def test_only_a_page_of_such_a_partner_says_that_it_is_open(offers: dict[str, bool] | None, asks: bool) -> None:
    request = Request({"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""})
    values: dict[str, Any] = {} if offers is None else {"offers": offers}
    shown = bytes(page(request, "confirm.html", session(), back_to="/", level="", max_age=None, **values).body).decode()
    assert ("/static/presence.js" in shown) is asks
    assert ('id="presence"' in shown) is asks
