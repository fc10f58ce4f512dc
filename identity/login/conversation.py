"""How a login talks to its person: a seam, so that a program with a window of its own may show it there."""

from __future__ import annotations

import contextlib
import sys
import webbrowser
from typing import Protocol


class Conversation(Protocol):
    """What a login says. None of these is given a secret."""

    def open(self, url: str, *, seconds: int) -> None:
        """The person's browser has to go to `url` within `seconds`."""
        ...

    def invite(self, page: str, user_code: str, *, seconds: int) -> None:
        """On another device the person has to open `page` and enter `user_code` within `seconds`."""
        ...

    def waiting(self, seconds: int) -> None:
        """Still waiting; `seconds` are left."""
        ...


class Terminal:
    """The conversation on stderr; with `browser` the address is opened as well as shown."""

    def __init__(self, *, browser: bool = True) -> None:
        self._browser = browser

    def open(self, url: str, *, seconds: int) -> None:
        """Opens the browser and shows the address, which is of this host and holds nothing of the login."""
        opened = False
        if self._browser:
            with contextlib.suppress(webbrowser.Error, OSError):
                opened = webbrowser.open(url)
        said = "Your browser should open now; if not, go to" if opened else "In a browser on this computer, go to"
        _say(f"{said}\n\n    {url}\n\nand log in within {seconds // 60} minutes.")

    def invite(self, page: str, user_code: str, *, seconds: int) -> None:
        """Shows the page and the code, and warns of the one attack there is (RFC 8628, section 5.4)."""
        _say(
            f"On any device, go to\n\n    {page}\n\nand enter the code {user_code} within {seconds // 60} minutes.\n"
            "Enter it only if you started this login yourself, just now."
        )

    def waiting(self, seconds: int) -> None:
        """Counts down where somebody sees it come and go."""
        if sys.stderr is not None and sys.stderr.isatty():
            sys.stderr.write(f"\r\033[Kwaiting, {seconds} s left")
            sys.stderr.flush()


def _say(text: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
