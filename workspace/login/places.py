"""Which addresses a login may lead back to: paths of ours, and nothing that a browser reads as another host."""

from __future__ import annotations

import re
from typing import Final

HOME: Final = "/"

_PATH = re.compile(r"/(?![/\\])[A-Za-z0-9._~!$&'()*+,;=:@%/?-]{0,1023}\Z")


def local(path: str | None) -> str:
    """`path` if it is one of ours, else the first page.

    No backslash, no second slash and no control character, which browsers drop before they read an address
    (WHATWG URL, section 4.4): `/\\t/evil.example` would lead away. Nor back into a login.
    """
    if path is None or not _PATH.match(path) or path.startswith("/auth/") or "//" in path.partition("?")[0]:
        return HOME
    return path
