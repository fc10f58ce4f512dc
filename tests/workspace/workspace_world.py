"""People with security keys, and browsers that they use the workspace with; see conftest.py for the fixtures."""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urldefrag, urlsplit

from axe_playwright_python.sync_playwright import Axe
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request
from playwright.sync_api import Error as PlaywrightError

from admin_sync.keycloak.connection import segment
from stack.layout import CHECKOUT
from stack.login import Login, SavedFactor
from stack.login.key import plugged_in
from stack.login.pages import KEY_PAGES, PAGES, answer

if TYPE_CHECKING:
    from tests.conftest import Stack

PARTNER: Final = "acme-capital"
STAFF: Final = (
    "manager.one", "manager.two", "owner.one", "security.one", "security.two", "quant.one", "platform.one",
)  # fmt: skip
"""Who of configs/iam works here; their managers are in configs/hr."""

IMAGES: Final = CHECKOUT / "docs" / "images"
SCREENSHOTS: Final = "TRADEPULSE_SCREENSHOTS"
"""Set to 1 to renew the pictures of the documentation."""

_NAMES: Final = ("robin", "ada", "kim", "eve", "alex", "charlie", "jules", "nour", "sasha", "yuki", "wim", "zoe")
_REALM: Final = "/tradepulse-dev"
_PATIENCE: Final = 60.0
_WIDTHS: Final = (640, 320)
"""What is left of a usual screen at 200 and at 400 % (WCAG 2.2, 1.4.4 and 1.4.10), in pixels."""


@dataclass
class Somebody:
    """A person with a password and a registered security key."""

    id: str
    email: str
    password: str = field(repr=False)
    factor: SavedFactor = field(repr=False)

    def login(self) -> Login:
        """What they answer on the realm's pages."""
        return Login(self.email, self.password)


class People:
    """The people of a run, each made when first named: staff of configs/iam, and members of partners."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._known: dict[str, Somebody] = {}
        self._made: list[str] = []
        self._names = iter(_NAMES)

    def staff(self, name: str) -> Somebody:
        """Somebody whom configs/iam names, such as `manager.one`, with a factor and with what is bound to them in
        force. All of staff are made at once, because what is bound comes into force by one `admin-sync apply`."""
        if STAFF[0] not in self._known:
            for one in STAFF:
                self._known[one] = self._account(f"{one}@tradepulse.example")
            self._settle()
        return self._known[name]

    def partner(self, role: str = "partner-admin", partner: str = PARTNER) -> Somebody:
        """A new member of a partner with a role there."""
        somebody = self._account(f"{self._name()}@{partner.partition('-')[0]}.example")
        self._made.append(somebody.id)
        admin = self._stack.admin
        places = f"{_REALM}/organizations"
        place = next(one["id"] for one in admin.pages(places) if one["alias"] == partner)
        admin.post(f"{places}/{place}/members", somebody.id)
        group = next(one["id"] for one in admin.get(f"{places}/{place}/groups") if one["name"] == role)
        admin.put(f"{places}/{place}/groups/{group}/members/{somebody.id}")
        return somebody

    def partner_administrator(self) -> Somebody:
        """The administrator of `PARTNER` whom the tests share."""
        if PARTNER not in self._known:
            self._known[PARTNER] = self.partner()
        return self._known[PARTNER]

    def anybody(self) -> Somebody:
        """An account with a factor and without any right."""
        somebody = self._account(f"{self._name()}@tradepulse.example")
        self._made.append(somebody.id)
        return somebody

    def _name(self) -> str:
        # Names that read well in a picture, and the same ones in every run.
        return next(self._names, None) or secrets.token_hex(6)

    def leave(self) -> None:
        """Remove the accounts that configs/iam does not name."""
        for identity in self._made:
            self._stack.admin.delete(f"{_REALM}/users/{segment(identity)}")

    def _account(self, email: str) -> Somebody:
        """A new account, in place of one of the same name: with its factor from the start, which the API takes only
        for a new one. That people really register one on the realm's pages is shown by tests/realm."""
        admin, users = self._stack.admin, f"{_REALM}/users"
        for found in admin.get(users, email=email, exact=True) or ():
            admin.delete(f"{users}/{segment(found['id'])}")
        password, saved = f"Aa1-{secrets.token_urlsafe(18)}", SavedFactor()
        credential = security_key(saved)
        first, _, rest = email.partition("@")[0].partition(".")
        identity = admin.post(
            users,
            {
                "username": email,
                "email": email,
                "emailVerified": True,
                "enabled": True,
                "firstName": first.capitalize(),
                "lastName": rest.capitalize() or "Example",
                "credentials": [{"type": "password", "value": password, "temporary": False}, credential],
            },
        )
        assert identity is not None
        # The realm asks every new account for a password of its own and for a factor; this one has both.
        admin.put(f"{users}/{segment(identity)}", {**admin.get(f"{users}/{segment(identity)}"), "requiredActions": []})
        return Somebody(identity, email, password, saved)

    def _settle(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "admin_sync", "apply", "--env", "dev"],
            cwd=CHECKOUT,
            env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **self._stack.env},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def security_key(saved: SavedFactor) -> dict[str, str]:
    """A new security key: what Keycloak stores of it; what the key itself holds goes into `saved`."""
    private, identity = ec.generate_private_key(ec.SECP256R1()), secrets.token_bytes(32)
    point = private.public_key().public_numbers()
    # COSE_Key of ES256 (RFC 9053, section 7.1.1), written as CBOR by hand: two fixed numbers and two coordinates.
    cose = (
        bytes.fromhex("a5010203262001215820")
        + point.x.to_bytes(32, "big")
        + bytes.fromhex("225820")
        + point.y.to_bytes(32, "big")
    )
    saved.key = [
        {
            "credentialId": base64.b64encode(identity).decode(),
            "isResidentCredential": False,
            "rpId": "localhost",
            "privateKey": base64.b64encode(
                private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
            ).decode(),
            "signCount": 1,
        }
    ]
    data = {
        "aaguid": "00000000-0000-0000-0000-000000000000",
        "credentialId": base64.b64encode(identity).decode(),
        "counter": 0,
        "credentialPublicKey": base64.urlsafe_b64encode(cose).rstrip(b"=").decode(),
        "attestationStatementFormat": "none",
        "transports": ["usb"],
    }
    return {
        "type": "webauthn",
        "userLabel": "security key",
        "secretData": "{}",
        "credentialData": json.dumps(data),
    }


class Watch:
    """What a page complains about: errors of its scripts and of its console, violations of the policy among them."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self.complaints: list[str] = []
        self._asked: set[str] = set()

    def on(self, page: Page) -> None:
        """Begin to watch a page."""
        page.on("request", self._request)
        page.on("console", lambda message: self._said(page, message))
        page.on("pageerror", lambda error: self.complaints.append(f"script: {error.name}: {error.message}"))

    def _request(self, request: Request) -> None:
        if request.is_navigation_request():
            # Without the place inside the page, which the console may have or leave out.
            self._asked.add(urldefrag(request.url).url)

    def _said(self, page: Page, message: ConsoleMessage) -> None:
        where = message.location.get("url", "")
        if message.type not in ("error", "warning") or not (where or page.url).startswith(self._origin):
            return
        # A page that says no is one that was asked for, and a test looks at it; a style sheet that is missing is not.
        if "Failed to load resource" in message.text and urldefrag(where).url in self._asked:
            return
        self.complaints.append(f"{message.type}: {message.text} at {urlsplit(page.url).path}")


class Browsers:
    """Chromium for a module: a window (cookies of its own) for each person, logged in when first asked for."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        self.url = url
        self.watch = Watch(url)
        self._windows: dict[str, BrowserContext] = {}

    def fresh(self, **options: Any) -> Page:
        """A page of a window of its own with nobody logged in. It is on its test to close `page.context`."""
        context = self._browser.new_context(
            base_url=self.url, **{"viewport": {"width": 1280, "height": 800}, **options}
        )
        context.set_default_timeout(_PATIENCE * 1000)
        page = context.new_page()
        self.watch.on(page)
        return page

    def page(self, somebody: Somebody) -> Page:
        """A new tab in somebody's window, on the workspace's first page. It is on its test to close it."""
        context = self._windows.get(somebody.id)
        if context is None:
            page = self.fresh()
            log_in(page, somebody)
            self._windows[somebody.id] = page.context
            return page
        page = context.new_page()
        self.watch.on(page)
        log_in(page, somebody)
        return page

    def close(self) -> None:
        """Close every window."""
        for context in self._windows.values():
            context.close()


def log_in(page: Page, somebody: Somebody, path: str = "/") -> None:
    """Go to a page of the workspace, through the realm's pages where they come first."""
    page.goto(path)
    prove(page, somebody)


def prove(page: Page, somebody: Somebody) -> None:
    """Answer the realm's pages until the workspace's own is back: a login, or a step-up that is under way."""
    login, seen = somebody.login(), []
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        try:
            page.wait_for_load_state("domcontentloaded")
            if page.locator("header.top").count():
                return
            name = next((name for name, selector in PAGES.items() if page.locator(selector).count()), None)
        except PlaywrightError:
            # The page is being replaced while we ask it.
            continue
        if name is None:
            time.sleep(0.05)
            continue
        seen.append(name)
        assert seen.count(name) <= 3, f"the login of {somebody.email} does not get past {seen}"
        page.evaluate("window.tradepulseSeen = true")
        with plugged_in(page, somebody.factor) if name in KEY_PAGES else nullcontext():
            answer(page, name, login, somebody.factor, passkey=False)
            _gone(page, deadline)
    raise AssertionError(f"the login of {somebody.email} is stuck after {seen} at “{page.title()}”")


def confirm(page: Page, somebody: Somebody) -> None:
    """On the page that asks to confirm that it is you: do so, and be back where the page says."""
    page.evaluate("window.tradepulseSeen = true")
    page.locator("main form button").click()
    _gone(page, time.monotonic() + _PATIENCE)
    prove(page, somebody)


def _gone(page: Page, deadline: float) -> None:
    while time.monotonic() < deadline:
        try:
            if not page.evaluate("window.tradepulseSeen === true"):
                return
        except PlaywrightError:
            pass
        time.sleep(0.02)


def look(page: Page, name: str) -> None:
    """Hold a page to what every page must be, and keep its picture under a name where pictures are asked for.

    One first heading, nothing that axe finds in light or in dark, no scrolling sideways at 200 and 400 %.
    """
    found: list[str] = []
    headings = page.locator("h1").count()
    if headings != 1:
        found.append(f"{headings} first headings")
    before = page.viewport_size
    try:
        for scheme in ("light", "dark"):
            # Without motion a colour is there at once, and is not caught on its way from light to dark.
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            answered = Axe().run(page).response
            found += [f"{scheme}: {one['id']} at {one['nodes'][0]['target']}" for one in answered["violations"]]
        for width in _WIDTHS:
            page.set_viewport_size({"width": width, "height": 640})
            over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            if over > 0:
                found.append(f"{over} pixels too wide at {width}")
    finally:
        page.emulate_media(color_scheme="light", reduced_motion="null")
        if before is not None:
            page.set_viewport_size(before)
    assert found == [], f"{name}: {found}"
    if os.environ.get(SCREENSHOTS) == "1":
        IMAGES.mkdir(exist_ok=True)
        page.screenshot(path=IMAGES / f"{name}.png", full_page=True, animations="disabled")


@contextmanager
def quiet(watch: Watch) -> Iterator[None]:
    """Nothing that a browser complains about in between."""
    watch.complaints.clear()
    yield
    assert watch.complaints == []
