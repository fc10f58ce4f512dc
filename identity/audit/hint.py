"""A note beside the audit file: how far it was read and where the chain stood there.

It saves a short-lived process from reading the whole file. It is never believed: the journal finds
the line it names in the file, or reads from the start.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from identity.audit.chain import Chain, Head, head_of
from identity.strict_json import StrictJsonError, loads_object

_MAX_BYTES = 4096


class Hint(NamedTuple):
    """The file's inode, the number of bytes that were read, and the chain's head in them."""

    inode: int
    read_to: int
    head: Head


def read_hint(path: Path, chain: Chain) -> Hint | None:
    """The hint for a chain of the audit file at `path`, None if there is none that can be read."""
    try:
        with _beside(path, chain).open("rb") as file:
            content = loads_object(file.read(_MAX_BYTES + 1), max_bytes=_MAX_BYTES)
        inode, read_to = content.get("inode"), content.get("read_to")
        if type(inode) is int and type(read_to) is int and read_to > 0:
            return Hint(inode, read_to, head_of(content))
    except (OSError, StrictJsonError, ValueError):
        return None
    return None


def write_hint(path: Path, chain: Chain, hint: Hint) -> None:
    """Replace the hint. It costs only time if this fails, so it does so silently."""
    place = _beside(path, chain)
    draft = place.with_name(f"{place.name}.{os.getpid()}")
    text = f'{{"inode":{hint.inode},"read_to":{hint.read_to},"seq":{hint.head.seq},"hash":"{hint.head.hash}"}}\n'
    with suppress(OSError):
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        draft.replace(place)


def _beside(path: Path, chain: Chain) -> Path:
    return path.with_name(f".{path.name}.{quote(chain.source, safe='')}.{quote(chain.key, safe='')}.head")
