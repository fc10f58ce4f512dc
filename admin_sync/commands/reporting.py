"""report: what a day was like. `report auth-health` says how logins went."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from admin_sync.commands.arguments import command, group
from admin_sync.commands.options import Options
from admin_sync.console import DONE
from admin_sync.errors import AdminSyncError, Misconfigured
from identity.durable import replace_file

app = group("What a day was like.")


class Form(StrEnum):
    """How a report is written."""

    MARKDOWN = "markdown"
    HTML = "html"
    JSON = "json"


Day = Annotated[str | None, typer.Option("--day", metavar="YYYY-MM-DD", help="In UTC. Default: yesterday.")]
Format = Annotated[
    Form | None, typer.Option("--format", help="How to write it. Default: markdown, or json with --json.")
]
OutDir = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Put it there as Markdown and as a page of HTML.")
]


@command(app, "auth-health")
def auth_health(options: Options, *, day: Day = None, shape: Format = None, out: OutDir = None) -> int:
    """Say how logins went on a day: success, faults, factors, refused decisions, times, tokens, keys, emergencies."""
    # Loaded here: no other command needs a database driver.
    from admin_sync.auth_health.document import document  # noqa: PLC0415
    from admin_sync.auth_health.markdown import markdown  # noqa: PLC0415

    now = datetime.now(UTC)
    wanted = _day(day, now)
    made = _made(options.environ, wanted, now)
    if out is not None:
        try:
            out.mkdir(mode=0o700, parents=True, exist_ok=True)
            for ending, text in (("md", markdown(made)), ("html", document(made))):
                path = out / f"auth-health-{wanted:%Y-%m-%d}.{ending}"
                replace_file(path, text.encode())
                options.console.say(f"written to {path}")
        except OSError as problem:
            raise Misconfigured(f"--out {out}: {problem.strerror}; name a directory that can be written to") from None
        return DONE
    form = shape or (Form.JSON if options.console.as_json else Form.MARKDOWN)
    if form is Form.MARKDOWN:
        options.console.data(markdown(made))
    elif form is Form.HTML:
        options.console.data(document(made))
    else:
        options.console.data(json.dumps(asdict(made), indent=2, default=str) + "\n")
    return DONE


def _day(text: str | None, now: datetime) -> date:
    from admin_sync.auth_health.figures import KEPT_DAYS  # noqa: PLC0415

    if text is None:
        return (now - timedelta(days=1)).date()
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise Misconfigured(f"--day {text}: write a day such as {now:%Y-%m-%d}") from None
    if not now.date() - timedelta(days=KEPT_DAYS) <= found <= now.date():
        raise Misconfigured(f"--day {text}: figures are kept for {KEPT_DAYS} days, and there are none of days to come")
    return found


def _made(environ: Mapping[str, str], day: date, now: datetime) -> Any:
    from admin_sync.access.settings import operator_database  # noqa: PLC0415
    from admin_sync.access.store.database import Database, DatabaseUnavailable  # noqa: PLC0415
    from admin_sync.auth_health.pulse import Pulse  # noqa: PLC0415
    from admin_sync.auth_health.report import Report, report_of  # noqa: PLC0415
    from admin_sync.auth_health.store import Figures  # noqa: PLC0415
    from identity.secret import SecretUnreadable, read_secret  # noqa: PLC0415

    try:
        settings = operator_database(environ)
    except ValueError as problem:
        raise Misconfigured(str(problem)) from None
    environment = environ.get("TRADEPULSE_ENVIRONMENT", "")
    if not environment:
        raise Misconfigured("set TRADEPULSE_ENVIRONMENT to the environment whose services are reported on")

    async def session() -> Report:
        password = read_secret(settings.database_password_file, name="ACCESS_RECONCILER_DATABASE_PASSWORD_FILE").text()
        database = await Database.connect(settings.database_url, password, size=1, name="report")
        try:
            return await report_of(Figures(database), Pulse(database), day, environment=environment, now=now)
        finally:
            await database.close()

    try:
        return asyncio.run(session())
    except SecretUnreadable as problem:
        raise Misconfigured(str(problem)) from None
    except DatabaseUnavailable as problem:
        raise AdminSyncError(f"{problem}; nothing was written, and a re-run is safe") from None
