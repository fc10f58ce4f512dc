"""The loopback in a real browser: its cookie comes back from another site's form, and the code stays nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from playwright.sync_api import sync_playwright

from identity.login.loopback import Loopback
from stack.login.browser import chromium

pytestmark = pytest.mark.integration


@pytest.fixture
def issuer() -> Iterator[str]:
    """Another site that shows a form, as a login does, and then sends the browser on."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b'<form method="post"><button id="in">log in</button></form>'
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.send_response(302)
            self.send_header("Location", self.path.partition("back=")[2])
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    # To a browser, localhost and 127.0.0.1 are two sites, as an issuer and a loopback are.
    yield f"http://localhost:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_browser_that_began_a_login_ends_it_and_shows_no_code(issuer: str) -> None:
    binary = chromium()
    assert binary is not None
    with (
        Loopback(lambda back: f"{issuer}/?back={back}?code=abc", lambda target: target.rpartition("=")[2]) as loopback,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=str(binary), args=["--no-sandbox", "--disable-gpu"])
        try:
            page = browser.new_context().new_page()
            page.goto(loopback.start)
            page.click("#in")
            page.wait_for_url(f"{loopback.address}/done")
            assert "You are logged in" in page.inner_text("h1")
            assert page.evaluate("history.length") <= 3
            stranger = browser.new_context().new_page()
            stranger.goto(f"{loopback.redirect_uri}?code=evil")
            assert "This login is over" in stranger.inner_text("h1")
        finally:
            browser.close()
        assert loopback.wait(0) == "abc"
