"""A virtual security key for a page of Chromium, by the DevTools protocol (WebAuthn domain)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from playwright.sync_api import Page

from stack.login.factor import SavedFactor

# Non-discoverable: a resident key would be offered as a passkey on the page for the password, and used at once.
_SECURITY_KEY: Final = {
    "protocol": "ctap2",
    "ctap2Version": "ctap2_1",
    "transport": "usb",
    "hasResidentKey": False,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
_PASSKEY: Final = {**_SECURITY_KEY, "transport": "internal", "hasResidentKey": True}


@contextmanager
def plugged_in(page: Page, saved: SavedFactor, *, passkey: bool = False) -> Iterator[None]:
    """The key with what `saved` holds, there only while a page asks for it; `saved` then has what the page changed.

    The page for the password also waits for a passkey, and a virtual key without one says "failed"
    at once where a real browser would go on waiting.
    """
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable", {"enableUI": False})
    key = devtools.send("WebAuthn.addVirtualAuthenticator", {"options": _PASSKEY if passkey else _SECURITY_KEY})
    for credential in saved.key:
        devtools.send("WebAuthn.addCredential", {**key, "credential": credential})
    yield
    saved.key = devtools.send("WebAuthn.getCredentials", key)["credentials"]
    devtools.send("WebAuthn.removeVirtualAuthenticator", key)
    devtools.send("WebAuthn.disable")
    devtools.detach()
