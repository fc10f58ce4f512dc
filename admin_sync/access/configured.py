"""The configuration and the HR roster as they are now: read again when a file changes, and never half.

Whoever decides asks for both at every decision. A configuration or a roster that is not valid gives no answer: what
cannot be judged is not allowed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import structlog

from admin_sync.access.rules import Facts
from admin_sync.access.speakers import Speakers
from admin_sync.check import checked
from admin_sync.errors import InvalidInput
from admin_sync.load.document import FILES, Document
from admin_sync.roster import Roster
from admin_sync.roster import read as read_roster

_log = structlog.get_logger("admin_sync.access")

Stamp = tuple[tuple[int, int, int] | None, ...]


class NotConfigured(Exception):
    """The configuration or the roster cannot be used now; the text says which. Answered with 503."""


@dataclass(frozen=True, slots=True)
class Known:
    """A valid configuration, and the roster where there is one."""

    document: Document
    roster: Roster | None

    def facts(self, now: datetime) -> Facts:
        """What a request is judged by at an instant."""
        document = replace(self.document, now=now)
        return Facts(document, Speakers(document, self.roster, now), now)


class Configured:
    """Reads `config` (a directory) and `roster` (a file, or None), each again when it changed."""

    def __init__(self, config: Path, roster: Path | None, environ: Mapping[str, str]) -> None:
        self._config = config
        self._roster = roster
        self._environ = environ
        self._known: tuple[Stamp, Known] | None = None
        self._lock = asyncio.Lock()

    async def known(self) -> Known:
        """What stands in the files now. Raises NotConfigured."""
        async with self._lock:
            stamp = self._stamp()
            if self._known is None or self._known[0] != stamp:
                made = await asyncio.to_thread(self._read)
                if self._stamp() != stamp:
                    # Written while it was read: the next one reads it again, and this one may be of two halves.
                    raise NotConfigured("the configuration is being written")
                self._known = stamp, made
            return self._known[1]

    def _read(self) -> Known:
        try:
            document = checked(self._config, self._environ)
        except InvalidInput as problem:
            _log.error("configuration.invalid", findings=len(problem.findings), first=str(problem.findings[0]))
            raise NotConfigured("the configuration is not valid; see `admin-sync validate`") from None
        try:
            roster = read_roster(self._roster) if self._roster is not None else None
        except InvalidInput as problem:
            _log.error("roster.invalid", findings=len(problem.findings), first=str(problem.findings[0]))
            raise NotConfigured("the HR roster is not valid; see ACCESS_ROSTER_FILE") from None
        return Known(document, roster)

    def _stamp(self) -> Stamp:
        paths = [*(self._config / name for name in FILES), *([self._roster] if self._roster is not None else [])]
        return tuple(_stamp(path) for path in paths)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_ino, facts.st_size, facts.st_mtime_ns
