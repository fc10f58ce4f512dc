"""What one run of onboarding leaves for the next: the roster it acted upon, and who left with something still theirs.

One JSON file that only this account can read, replaced as a whole. It is written last, so a run that was killed
sees the same roster of before again and finds the same people.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import orjson

from admin_sync.errors import AdminSyncError, Misconfigured
from admin_sync.roster.people import Employee, Roster
from identity.durable import replace_file, sync_directory

_FILE: Final = "roster.json"


class OnboardingHeld(AdminSyncError):
    """Another run works on the same rosters."""

    exit_code = 6


@dataclass(frozen=True, slots=True)
class Remembered:
    """`roster` is None before the first run; `former` are people who left and of whom something was left."""

    roster: Roster | None = None
    former: tuple[Employee, ...] = ()


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """The right to be the only run. Raises OnboardingHeld, and Misconfigured where the directory cannot be used."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as problem:
        message = f"ADMIN_SYNC_ONBOARDING_DIR: {directory} cannot be used ({problem.strerror})"
        raise Misconfigured(message) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise OnboardingHeld(f"another onboarding works in {directory}; wait until it has ended") from None
    try:
        yield
    finally:
        os.close(descriptor)


def recall(directory: Path) -> Remembered:
    """What the last run left. Raises Misconfigured for a file that is not of our making."""
    try:
        said = orjson.loads((directory / _FILE).read_bytes())
        roster = Roster(tuple(map(_person, said["employees"])), said["source"], said["digest"])
        return Remembered(roster, tuple(map(_person, said["former"])))
    except FileNotFoundError:
        return Remembered()
    except (OSError, ValueError, KeyError, TypeError) as problem:
        # Going on as if nobody had ever been here would invite everybody again and forget who left.
        raise Misconfigured(
            f"{directory / _FILE} cannot be read ({type(problem).__name__}); restore it, or remove it to begin anew"
        ) from None


def remember(directory: Path, roster: Roster, former: tuple[Employee, ...]) -> None:
    """Leave this for the next run. Raises OSError."""
    said = {
        "version": 1,
        "source": roster.source,
        "digest": roster.digest,
        "employees": list(map(_plain, roster)),
        "former": list(map(_plain, former)),
    }
    replace_file(directory / _FILE, orjson.dumps(said, option=orjson.OPT_INDENT_2))
    sync_directory(directory)


def _plain(one: Employee) -> dict[str, Any]:
    return {
        "email": one.email,
        "name": one.name,
        "department": one.department,
        "active": one.active,
        "manager": one.manager,
        "aliases": sorted(one.aliases),
        "start": one.start and one.start.isoformat(),
        "end": one.end and one.end.isoformat(),
        "line": one.line,
    }


def _person(said: Mapping[str, Any]) -> Employee:
    days = {name: date.fromisoformat(said[name]) if said[name] else None for name in ("start", "end")}
    return Employee(**{**said, "aliases": frozenset(said["aliases"]), **days})
