"""What is known about kept sessions without opening one: which store a session is in, and the lock that guards it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from identity.audit.lock import exclusive
from identity.login.errors import Code, LoginFailed
from identity.login.registration import Registration
from identity.login.store import FileStore, Kind, Store, open_store
from identity.secret import Secret
from identity.strict_json import StrictJsonError, loads_object

_PATIENCE: Final = 60.0
"""Seconds to wait for another process of this person that refreshes the same session."""


class Place:
    """The folder of one registration's session: `<name>.json` says where it is, `<name>.lock` who may change it."""

    def __init__(self, folder: Path, registration: Registration) -> None:
        self._folder = folder
        self._registration = registration
        self._facts = FileStore(folder / f"{registration.name}.json")

    def store(self) -> Store | None:
        """The store of the session, None if nobody logged in. Raises LoginFailed (store-unusable, no-keyring)."""
        known = self._facts.load()
        if known is None:
            return None
        try:
            kind = Kind(str(loads_object(known.reveal()).get("store")))
        except (StrictJsonError, ValueError):
            raise LoginFailed(Code.STORE_UNUSABLE, "what is known of the session is unreadable; log in again") from None
        return open_store(kind, self._folder, self._registration.name)

    def choose(self, kind: Kind) -> Store:
        """Keep the session in a store of that kind from now on; what another one holds of it is deleted."""
        chosen = open_store(kind, self._folder, self._registration.name)
        self._make()
        try:
            before = self.store()
        except LoginFailed:
            # What cannot be read cannot be kept either; a login is how such a thing is mended.
            before = None
        if before is not None and type(before) is not type(chosen):
            before.delete()
        facts = {"store": kind.value, "issuer": self._registration.issuer, "client": self._registration.client_id}
        self._facts.save(Secret(json.dumps(facts)))
        return chosen

    def forget(self) -> None:
        """Nobody is logged in any more, as far as this host knows."""
        store = self.store()
        if store is not None:
            store.delete()
        self._facts.delete()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time, for a refresh: a refresh token works once (RFC 9700, section 4.14.2)."""
        self._make()
        path = self._folder / f"{self._registration.name}.lock"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as problem:
            raise LoginFailed(Code.STORE_UNUSABLE, f"cannot open {path}: {problem.strerror}") from None
        try:
            with exclusive(descriptor, timeout=_PATIENCE):
                yield
        except TimeoutError:
            raise LoginFailed(
                Code.BUSY, "another program has been refreshing this session for a minute; end it, or try again"
            ) from None
        finally:
            os.close(descriptor)

    def _make(self) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            facts = self._folder.stat()
        except OSError as problem:
            raise LoginFailed(Code.STORE_UNUSABLE, f"cannot make {self._folder}: {problem.strerror}") from None
        if facts.st_uid != os.geteuid() or facts.st_mode & 0o022:
            raise LoginFailed(
                Code.STORE_UNUSABLE, f"others can write into {self._folder}; run: chmod 700 {self._folder}"
            )


def folder(environ: Mapping[str, str]) -> Path:
    """Where sessions are: TRADEPULSE_LOGIN_DIR, or the place that the XDG specification has for state."""
    if environ.get("TRADEPULSE_LOGIN_DIR"):
        return Path(environ["TRADEPULSE_LOGIN_DIR"])
    state = environ.get("XDG_STATE_HOME") or ""
    base = Path(state) if state.startswith("/") else Path(environ.get("HOME") or "~").expanduser() / ".local" / "state"
    return base / "tradepulse" / "login"
