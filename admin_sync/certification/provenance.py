"""Who wrote each binding into the file, and when, by the file's own history (`git blame`).

Only reads. A configuration that is under no version control has no history: then nobody is known, and the report
says so instead of guessing.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from admin_sync.errors import Interrupted
from admin_sync.load.document import BINDINGS, Document

_HEADER: Final = re.compile(r"([0-9a-f]{40,64}) [0-9]+ ([0-9]+)(?: [0-9]+)?")
_TIMEOUT: Final = 120
"""Seconds. The history of one file takes a second or two even where it has ten thousand commits."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who committed the lines of a binding. The time is that of the youngest line; UTC."""

    authors: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class Written:
    """One line of the file: its commit's author by address, and the author's time."""

    author: str
    at: datetime


def origins(document: Document, directory: Path) -> Mapping[int, Origin]:
    """The origin of each binding by its number; empty where the file has no history. Raises Interrupted."""
    blamed = _blame(directory / BINDINGS)
    if not blamed:
        return {}
    count = len(document.bindings.bindings)
    starts = [document.at(BINDINGS, "bindings", number).line for number in range(count)]
    ends = [*(start - 1 for start in starts[1:]), _last(document, starts, max(blamed))]
    return {
        number: found
        for number, (start, end) in enumerate(zip(starts, ends, strict=True))
        if (found := _origin([blamed[line] for line in range(start, end + 1) if line in blamed])) is not None
    }


def _last(document: Document, starts: Sequence[int], end: int) -> int:
    # What stands behind the bindings is written by whoever bars somebody; that makes nobody the last one's author.
    behind = [document.at(BINDINGS, name, key=True).line for name in ("barred", "former_approvers")]
    return min((line - 1 for line in behind if starts and line > starts[-1]), default=end)


def read_blame(text: str, recorded: Mapping[str, str]) -> dict[int, Written]:
    """`git blame --porcelain` as lines by number; those that are not committed yet are left out.

    recorded: the author's address by commit, as the commit has it. What blame says went through `.mailmap`, with
    which whoever can write beside the file could give their lines to somebody else.
    """
    authors: dict[str, str] = {}
    times: dict[str, datetime] = {}
    lines: dict[int, str] = {}
    commit = ""
    for line in text.split("\n"):
        if line.startswith("\t"):
            continue
        if match := _HEADER.fullmatch(line):
            commit = match[1]
            lines[int(match[2])] = commit
        elif line.startswith("author-mail "):
            authors[commit] = recorded.get(commit) or line.removeprefix("author-mail ").strip("<>").lower()
        elif line.startswith("author-time "):
            times[commit] = datetime.fromtimestamp(int(line.removeprefix("author-time ")), UTC)
    return {number: Written(authors[one], times[one]) for number, one in lines.items() if one.strip("0")}


def _origin(lines: Sequence[Written]) -> Origin | None:
    if not lines:
        return None
    return Origin(tuple(sorted({line.author for line in lines})), max(line.at for line in lines))


def _blame(path: Path) -> dict[int, Written]:
    said = _git(path, "blame", "--porcelain", "--no-textconv", "--", path.name)
    commits = sorted({match[1] for line in said.split("\n") if (match := _HEADER.fullmatch(line))} - {"0" * 40})
    if not commits:
        return {}
    # The small letters of `%ae` are what keeps it from `.mailmap`.
    listed = _git(path, "log", "--no-walk", "--format=%H %ae", "--stdin", given="".join(f"{one}\n" for one in commits))
    recorded = dict(line.lower().split(" ", 1) for line in listed.splitlines() if " " in line)
    if set(commits) - recorded.keys():
        raise Interrupted(f"git log does not say who committed {path.name}; look at the repository with git fsck")
    return read_blame(said, recorded)


def _git(path: Path, *words: str, given: str = "") -> str:
    """What Git prints about a file; nothing where it has no history."""
    # Whoever owns the tree may configure git in it: no hook, no pager, no text conversion of theirs runs here.
    fixed = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "blame.ignoreRevsFile=")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(  # noqa: S603  (fixed words and the name of our own file)
            ["git", *fixed, *words],  # noqa: S607
            cwd=path.parent,
            env={**environment, "LC_ALL": "C"},
            input=given.encode(),
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except FileNotFoundError:
        return ""
    except subprocess.TimeoutExpired:
        what = f"git {words[0]} of {path.name}"
        raise Interrupted(f"{what} took more than {_TIMEOUT} seconds; a re-run is safe") from None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""
