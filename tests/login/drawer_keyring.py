"""Keyrings as plug-ins of the library `keyring`: one that keeps, one that writes plain text, one that is locked."""

from __future__ import annotations

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked


class Drawer(KeyringBackend):
    """Keeps what it is given, across processes."""

    priority = 5

    @property
    def _path(self) -> Path:
        return Path(os.environ["DRAWER"])

    def _all(self) -> dict[str, str]:
        return json.loads(self._path.read_text()) if self._path.exists() else {}

    def get_password(self, service: str, username: str) -> str | None:
        return self._all().get(f"{service}/{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._path.write_text(json.dumps({**self._all(), f"{service}/{username}": password}))

    def delete_password(self, service: str, username: str) -> None:
        kept = self._all()
        del kept[f"{service}/{username}"]
        self._path.write_text(json.dumps(kept))


class Plain(Drawer):
    """One that the library itself does not recommend."""

    priority = 0.5


class Locked(Drawer):
    """One whose owner has not unlocked it."""

    def get_password(self, service: str, username: str) -> str | None:
        raise KeyringLocked("canary")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise KeyringLocked("canary")
