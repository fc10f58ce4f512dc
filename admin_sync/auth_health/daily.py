"""The report of the day before, put into a directory once, by whichever process comes first."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from admin_sync.auth_health.document import document
from admin_sync.auth_health.figures import STEP
from admin_sync.auth_health.markdown import markdown
from admin_sync.auth_health.pulse import Pulse
from admin_sync.auth_health.report import report_of
from admin_sync.auth_health.store import Figures
from identity.durable import replace_file

_log = structlog.get_logger("admin_sync.auth_health")


class DailyReport:
    """Writes `auth-health-<day>.md` and `.html` for the last day (UTC) that is over."""

    def __init__(self, figures: Figures, pulse: Pulse, directory: Path, *, environment: str) -> None:
        self._figures = figures
        self._pulse = pulse
        self._directory = directory
        self._environment = environment

    async def written(self, now: datetime) -> None:
        """Does nothing while the files are there. Raises DatabaseUnavailable; a disk that refuses is logged."""
        # What happened in the last minutes of a day is counted some seconds into the next.
        day = (now - timedelta(days=1, seconds=2 * STEP)).date()
        name = f"auth-health-{day:%Y-%m-%d}"
        # The page is written last, and thus says that both are there.
        if (self._directory / f"{name}.html").exists():
            return
        made = await report_of(self._figures, self._pulse, day, environment=self._environment, now=now)
        try:
            await asyncio.to_thread(self._write, f"{name}.md", markdown(made))
            await asyncio.to_thread(self._write, f"{name}.html", document(made))
        except OSError as problem:
            _log.error("auth_health.report", problem=type(problem).__name__)

    def _write(self, name: str, text: str) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(self._directory / name, text.encode(), mode=0o600)
