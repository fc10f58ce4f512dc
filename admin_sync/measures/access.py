"""How access requests and certifications go, from the database `access`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from admin_sync.measures.subject import Subject, Untaken
from admin_sync.model import Json

if TYPE_CHECKING:
    from admin_sync.access.store.database import Database

Result = TypeVar("Result")


def time_to_decide(subject: Subject) -> Mapping[str, Json]:
    """How long people waited for a yes or a no in the mean, in seconds, by kind of request. Raises Untaken."""
    from admin_sync.access.store.waiting import decided, standing  # noqa: PLC0415 - with a database driver

    waiting = _asked(subject, standing)
    found = _asked(subject, decided)
    count = sum(one.count for one in found)
    seconds = sum(one.count * one.mean_seconds for one in found)
    ages = [one.oldest_seconds for one in waiting if one.state == "open"]
    kinds: dict[str, dict[str, Json]] = {}
    for one in found:
        of = kinds.setdefault(one.kind, {})
        of[one.outcome] = one.count
        of[f"{one.outcome}_seconds_mean"] = round(one.mean_seconds, 1)
    return {
        "decided": count,
        "seconds_mean": round(seconds / count, 1) if count else None,
        "open": sum(one.count for one in waiting if one.state == "open"),
        "oldest_open_seconds": round(max(ages, default=0.0), 1),
        "kinds": kinds,
    }


def certifications(subject: Subject) -> Mapping[str, Json]:
    """Whether the next certification is overdue, how far this one is, and what the last one left. Raises Untaken."""
    from admin_sync.access.campaigns.office import Office  # noqa: PLC0415
    from admin_sync.certification.status import progress  # noqa: PLC0415

    every = subject.document.policies.certification.every
    told = _asked(subject, lambda database: progress(Office(database, node="", actor=""), every))
    running = [one for one in told["campaigns"] if one["state"] != "closed"]
    closed = [one for one in told["campaigns"] if one["state"] == "closed"]
    last = closed[0]["figures"] if closed else None
    return {
        "overdue": told["overdue"],
        "last_closed": told["last_closed"],
        "late": any(one["late"] for one in running),
        "open_items": sum(one["items"] - one["decided"] for one in running),
        "left_undecided": None if last is None else last["fates"]["undecided"],
        "orphaned_identities": None if last is None else last["orphaned_identities"],
    }


def _asked(subject: Subject, ask: Callable[[Database], Awaitable[Result]]) -> Result:
    from admin_sync.access.settings import operator_database  # noqa: PLC0415
    from admin_sync.access.store.database import Database, DatabaseUnavailable  # noqa: PLC0415
    from identity.secret import SecretUnreadable, read_secret  # noqa: PLC0415

    try:
        settings = operator_database(subject.options.environ)
    except ValueError as problem:
        raise Untaken(str(problem)) from None

    async def session() -> Result:
        password = read_secret(settings.database_password_file, name="ACCESS_RECONCILER_DATABASE_PASSWORD_FILE").text()
        database = await Database.connect(settings.database_url, password, size=1, name="metrics")
        try:
            return await ask(database)
        finally:
            await database.close()

    try:
        return asyncio.run(session())
    except (DatabaseUnavailable, SecretUnreadable) as problem:
        raise Untaken(str(problem)) from None
