"""The files that clients read their secret from: `DIR/<realm>/<client>`, mode 0600, replaced as a whole.

While a secret changes hands there is `<client>.next` beside it. A client that is refused with the one reads again,
first its file and then the next: one of the two is right at every moment.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from admin_sync.errors import Misconfigured, Refused
from admin_sync.settings import read_secret
from identity.durable import replace_file, sync_directory

NEXT: Final = ".next"

_SAFE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}")


class Sink:
    """A folder that nobody but its owner can look into. Raises Misconfigured where others can."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = folder.stat()
        if facts.st_mode & 0o077 or facts.st_uid != os.geteuid():
            raise Misconfigured(f"ADMIN_SYNC_SECRETS_DIR: {folder} has to be ours alone; chmod 0700 it")

    @contextmanager
    def held(self) -> Iterator[None]:
        """One rotation at a time on this host. Raises Refused while another runs."""
        with (self._folder / ".lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Refused(f"{self._folder}: another rotation is under way; wait for its end") from None
            yield

    def written(self, realm: str) -> frozenset[str]:
        """The clients of a realm whose secret is there, and with `.next` those to which one was announced."""
        folder = self._folder / realm
        if not folder.is_dir():
            return frozenset()
        return frozenset(one.name for one in folder.iterdir() if not one.name.startswith("."))

    def coming(self, realm: str, client: str) -> str | None:
        """The secret of a rotation that was begun and not ended."""
        path = self._place(realm, client + NEXT)
        return read_secret(path, str(path)) if path.exists() else None

    def announce(self, realm: str, client: str, secret: str) -> None:
        """Write down what the secret is about to be, durably. Raises OSError."""
        path = self._place(realm, client + NEXT)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        replace_file(path, secret.encode())
        sync_directory(path.parent)

    def promote(self, realm: str, client: str) -> Path:
        """What was announced is the secret now. Raises OSError."""
        path = self._place(realm, client)
        path.with_name(path.name + NEXT).replace(path)
        sync_directory(path.parent)
        return path

    def forget(self, realm: str, client: str) -> None:
        """Remove what was announced and never came to be."""
        with suppress(FileNotFoundError):
            self._place(realm, client + NEXT).unlink()

    def _place(self, realm: str, name: str) -> Path:
        # A client's id is whatever somebody called it in a realm that is not ours.
        # One called `x.next` would be given the secret that is announced for `x`.
        if not _SAFE.fullmatch(realm) or not _SAFE.fullmatch(name) or name.removesuffix(NEXT).endswith(NEXT):
            raise Refused(f"client {name!r} in {realm} cannot be the name of a file; rename it")
        return self._folder / realm / name
