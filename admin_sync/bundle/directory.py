"""A directory as the place of the bundle: written beside it, synced, renamed."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from admin_sync.bundle.errors import PublishFailed
from admin_sync.bundle.published import CURRENT, PREVIOUS
from admin_sync.bundle.target import Found


class Directory:
    """`bundle.tar.gz` in a directory, with the one before as `bundle.previous.tar.gz`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Two publishers at once would each compare with a bundle that the other is replacing."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = (self.path / ".publish.lock").open("w")
        except OSError as error:
            raise self._failed(error) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def read(self) -> Found | None:
        """The published file, if there is one. Raises PublishFailed."""
        try:
            return Found((self.path / CURRENT).read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed(error) from error

    def replace(self, content: bytes, revision: str, before: Found | None) -> None:
        """Every step leaves a whole bundle under the published name, also when the power fails."""
        try:
            self._replace(content)
        except OSError as error:
            raise self._failed(error) from error

    def _replace(self, content: bytes) -> None:
        current = self.path / CURRENT
        fresh, old = self.path / f".{CURRENT}.new", self.path / f".{PREVIOUS}.new"
        with fresh.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if current.exists():
            old.unlink(missing_ok=True)
            old.hardlink_to(current)
            old.replace(self.path / PREVIOUS)
        fresh.replace(current)
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _failed(self, error: OSError) -> PublishFailed:
        said = error.strerror or type(error).__name__
        return PublishFailed(f"cannot publish to {self.path}: {said}; what was published before is still in place")
