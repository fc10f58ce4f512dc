"""Linking with a real browser on the broker's own page, back to a listener of a native app (RFC 8252)."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from broker_world import PASSWORD, BrokerWorld, close, open_broker_world
from playwright.sync_api import sync_playwright
from vault_world import QuietServer, World

from stack.login.browser import chromium


@pytest.fixture(scope="module")
def brokers(world: World, opa_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerWorld]:
    made = open_broker_world(world, opa_binary, tmp_path_factory.mktemp("browser"))
    yield made
    close(made)


@pytest.fixture
def listener() -> Iterator[tuple[int, list[str]]]:
    """Where the browser comes back to: its port, and the addresses it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"You can close this window.")

    server = QuietServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1], asked
    server.shutdown()
    server.server_close()


def test_a_person_with_a_browser_links_their_account(brokers: BrokerWorld, listener: tuple[int, list[str]]) -> None:
    partner, (port, asked) = "partner-160", listener
    vault = brokers.vault()
    started = vault.http.post(
        f"/v1/partners/{partner}/connections",
        json={"broker": "paper", "connection": "main", "redirect_uri": f"http://127.0.0.1:{port}/callback"},
        headers=brokers.bearer(partner),
    )
    assert started.status_code == 201, started.text
    binary = chromium()
    assert binary is not None, "install chromium; this test is about a real browser"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(binary), headless=True, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        page = browser.new_page()
        page.goto(started.json()["authorize_url"])
        assert page.get_by_role("listitem").all_inner_texts()[-1] == "place orders"
        page.get_by_label("Account").fill("desk")
        page.get_by_label("Password").fill("not the password")
        page.get_by_role("button", name="Allow").click()
        assert "not the password" in page.get_by_role("alert").inner_text()
        page.get_by_label("Account").fill("desk")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Allow").click()
        page.wait_for_url(re.compile(r"/callback\?"))
        browser.close()
    given = dict(parse_qsl(urlsplit(next(path for path in asked if path.startswith("/callback?"))).query))
    assert set(given) == {"code", "state", "iss"}
    done = vault.http.post("/v1/link/callback", json=given, headers=brokers.bearer(partner))
    assert done.status_code == 200, done.text
    assert brokers.broker.trades(brokers.release(vault, partner).json()["access_token"])
