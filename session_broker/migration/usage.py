"""Who still comes with legacy tokens: by the application that a token names, and when it last did.

The last step of the migration shuts these out, so it has to know them, whichever process served them and however
often it was restarted. A file per application in the state directory; its modification time is the last use. No
person appears.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import structlog

FRESH_SECONDS: Final = 30.0
"""How exactly the last use is known; a file is not touched more often than this."""

OTHER: Final = "other"
"""Under which a name counts that cannot be a label, or that is one too many."""

_MOST: Final = 100
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}\Z")

_log = structlog.get_logger(__name__)


class Usage:
    """Last uses, kept in `directory`. `clock` returns unix seconds."""

    def __init__(self, directory: Path, clock: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._clock = clock
        self._noted: dict[str, float] = {}

    def label(self, client: str) -> str:
        """The client's name as a label of metrics: the caller chose it, so it is bounded in shape and number."""
        name = client.lower()
        if not _NAME.match(name) or (name not in self._noted and len(self._noted) >= _MOST):
            return OTHER
        return name

    def used(self, client: str) -> None:
        """Note a use now. What cannot be written is logged: a full disk does not shut anybody out here."""
        name, now = self.label(client), self._clock()
        if 0 <= now - self._noted.get(name, float("-inf")) < FRESH_SECONDS:
            return
        self._noted[name] = now
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self._directory / name).touch(mode=0o600)
        except OSError as problem:
            _log.warning("migration.usage_not_noted", client=name, problem=problem.strerror)

    def last(self) -> Mapping[str, float]:
        """When each client came last, in unix seconds. Raises OSError."""
        if not self._directory.exists():
            return {}
        return {path.name: path.stat().st_mtime for path in sorted(self._directory.iterdir()) if path.is_file()}
