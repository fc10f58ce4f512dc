"""The configuration of one commit, as files and as a checked document."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from admin_sync.check import check
from admin_sync.errors import InvalidInput
from admin_sync.load.document import Document, scan
from admin_sync.repository import objects
from admin_sync.repository.git import Git


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The configuration of one commit, as files."""

    commit: str
    folder: str
    """Where it lies in the commit; an empty name is the root."""
    entries: Mapping[str, objects.Entry]
    files: Mapping[str, bytes]

    def path(self, name: str) -> str:
        """Where a file of the configuration lies in the commit."""
        return f"{self.folder}/{name}" if self.folder else name

    @contextmanager
    def directory(self) -> Iterator[Path]:
        """The files in a directory of their own, for as long as the block lasts."""
        with tempfile.TemporaryDirectory(prefix="tradepulse-iam-") as place:
            for name, content in self.files.items():
                (Path(place) / name).write_bytes(content)
            yield Path(place)

    def document(self, environ: Mapping[str, str], now: datetime | None = None) -> Document:
        """The checked configuration. Raises InvalidInput with every finding."""
        with self.directory() as place:
            document, findings = scan(place, environ, now=now)
        if document is not None:
            findings.extend(check(document))
        if findings or document is None:
            raise InvalidInput(findings)
        return document


def snapshot_of(git: Git, commit: str) -> Snapshot:
    """The configuration in a commit. Raises Refused and GitFailed."""
    folder = objects.folder(git, commit)
    entries = objects.entries(git, commit, folder)
    held = objects.contents(git, (entry.blob for entry in entries.values()))
    return Snapshot(commit, folder, entries, {name: held[entry.blob] for name, entry in entries.items()})
