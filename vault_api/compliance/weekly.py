"""The worker's task that puts last week's digest into a directory, once, whoever comes first."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from vault_api.compliance.gather import gather
from vault_api.compliance.markdown import markdown
from vault_api.store.database import Database


class WeeklyDigest:
    """Writes `digest-<year>-W<week>.md` and `.json` for the last whole ISO week, Monday to Monday in UTC."""

    name = "digest"
    every = 3600.0

    def __init__(
        self, database: Database, directory: Path, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._directory = directory
        self._clock = clock

    async def run_once(self) -> None:
        """Does nothing while the files are there. Raises DatabaseUnavailable, OSError."""
        now = self._clock()
        until = (now - timedelta(days=now.weekday())).replace(hour=0, minute=0, second=0, microsecond=0)
        since = until - timedelta(days=7)
        year, week, _ = since.isocalendar()
        name = f"digest-{year}-W{week:02d}"
        # The JSON is written last, and thus says that both are there.
        if (self._directory / f"{name}.json").exists():
            return
        digest = await gather(self._database, None, since=since, until=until)
        await asyncio.to_thread(self._write, f"{name}.md", markdown(digest))
        await asyncio.to_thread(self._write, f"{name}.json", digest.model_dump_json(indent=2))

    def _write(self, name: str, text: str) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Partners' names are in it, and it is complete or not there.
        descriptor, unfinished = tempfile.mkstemp(dir=self._directory, prefix=f".{name}.")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(unfinished).replace(self._directory / name)
