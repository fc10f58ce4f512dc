"""What a measure may ask for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

from admin_sync.commands.options import Options
from admin_sync.load.document import Document
from admin_sync.roster import Roster, read
from admin_sync.rotated import family, written_since
from admin_sync.sync import Session


class Untaken(Exception):
    """A measure that cannot be taken here; the text says why and what would help."""


@dataclass
class Subject:
    """One run: what is measured is fetched when a measure first asks for it."""

    options: Options
    now: datetime
    days: int
    """How far back measures look that look back."""

    @property
    def since(self) -> datetime:
        """The start of the period."""
        return self.now - timedelta(days=self.days)

    @cached_property
    def document(self) -> Document:
        """The configuration. Raises InvalidInput."""
        return self.options.document()

    @cached_property
    def session(self) -> Session:
        """Keycloak. Raises Misconfigured and KeycloakProblem."""
        return self.options.session(self.document)

    @cached_property
    def roster(self) -> Roster:
        """The HR roster. Raises InvalidInput, and Untaken where none is named."""
        path = self.options.environ.get("ACCESS_ROSTER_FILE")
        if not path:
            raise Untaken("set ACCESS_ROSTER_FILE to the HR roster")
        return read(Path(path))

    def environments(self) -> tuple[str, ...]:
        """The environments that the run is about. Raises InvalidInput."""
        return self.options.wanted(self.document)

    def audit_files(self) -> Iterator[Path]:
        """The audit files of Keycloak and admin-sync that may reach into the period, oldest first; rotated ones too.

        Raises Untaken where there is none.
        """
        folder = self.options.settings().audit_dir
        found = family(folder / "iam_events.jsonl")
        if not found:
            raise Untaken(f"there is no iam_events.jsonl in {folder}; name the folder in TRADEPULSE_AUDIT_DIR")
        yield from written_since(found, self.since.timestamp())
