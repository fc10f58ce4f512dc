"""The revision of its schema that a service's code was written for, read from the names in the revisions themselves.

A service asks for it at each start and migrates at none: the libraries that do migrate (`identity.revisions`) would be
a fifth of that start.
"""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Final

FOLDER: Final = "migrations"
"""Of a package that has a schema: alembic's environment, with its `versions` inside."""

_NAMED: Final = re.compile(r'^(down_)?revision = "([^"]+)"$', re.MULTILINE)


class NotUpgraded(Exception):
    """The database did not take a revision; the text names the kind of failure."""


def head(package: str) -> str:
    """The revision in `package`'s folder `migrations` that none follows. Raises RuntimeError unless there is one."""
    revisions: set[str] = set()
    followed: set[str] = set()
    folder = files(package) / FOLDER / "versions"
    for file in folder.iterdir() if folder.is_dir() else ():
        if file.name.endswith(".py"):
            for down, name in _NAMED.findall(file.read_text(encoding="utf-8")):
                (followed if down else revisions).add(name)
    last = revisions - followed
    if len(last) != 1:
        raise RuntimeError(f"{package} was built with {len(last)} last revisions in its migrations, and needs one")
    return last.pop()
