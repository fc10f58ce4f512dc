"""Which account runs what must not run as root, and where that account can reach its files.

PostgreSQL refuses to run as root. Started by root (a container, a CI machine), the stack gives it an
unprivileged account that exists already and changes nothing about the machine: no user is made and
no permission of somebody else's directory is loosened. Where the checkout lies behind a directory
that account cannot pass (a clone below a 0700 directory), its binaries and data get a home of this
checkout's own below /var/tmp instead.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

CANDIDATES = ("nobody", "daemon")
"""Accounts that every Linux distribution has; the first one found is taken."""


class AccountUnusable(Exception):
    """No unprivileged account, or a place that somebody else made first; the text says the next step."""


@dataclass(frozen=True)
class Account:
    """A user and group that a child process changes to before it runs."""

    name: str
    uid: int
    gid: int

    def passes(self, path: Path) -> bool:
        """Whether this account can enter every directory down to and including `path`."""
        for step in (path, *path.parents):
            facts = step.stat()
            if facts.st_uid == self.uid:
                needed = stat.S_IXUSR
            elif facts.st_gid == self.gid:
                needed = stat.S_IXGRP
            else:
                needed = stat.S_IXOTH
            if not facts.st_mode & needed:
                return False
        return True

    def take(self, path: Path) -> None:
        """Make `path` belong to this account, with everything below it."""
        os.chown(path, self.uid, self.gid)
        for folder, folders, files in os.walk(path):
            for name in (*folders, *files):
                os.chown(Path(folder) / name, self.uid, self.gid, follow_symlinks=False)


def unprivileged() -> Account | None:
    """The account for PostgreSQL: None (stay who you are) unless this process is root.

    Raises AccountUnusable where root finds none of the usual accounts.
    """
    if os.geteuid() != 0:
        return None
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise AccountUnusable(
        f"PostgreSQL does not run as root and none of the accounts {', '.join(CANDIDATES)} exists; "
        "run as an ordinary user instead"
    )


def reachable_home(account: Account | None, wanted: Path) -> Path:
    """A directory for `account`'s files: `wanted` itself, or one below /var/tmp if the account cannot get there.

    The one below /var/tmp is named after `wanted`, so that each checkout and each state directory has its own.
    Raises AccountUnusable if somebody else owns that name already.
    """
    if account is None or account.passes(_nearest(wanted)):
        wanted.mkdir(parents=True, exist_ok=True)
        if account is None or account.passes(wanted):
            return wanted
    home = outside_home(wanted)
    home.mkdir(mode=0o711, exist_ok=True)
    facts = home.lstat()
    # /var/tmp is open to everybody: a directory or link that waits there under our name is not ours to use.
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid():
        raise AccountUnusable(
            f"{home} belongs to somebody else; remove it or set TRADEPULSE_STACK_DIR to another place"
        )
    home.chmod(0o711)
    return home


def outside_home(wanted: Path) -> Path:
    """The name below /var/tmp that stands in for `wanted` (it need not exist)."""
    name = hashlib.sha256(os.fsencode(wanted.resolve())).hexdigest()[:12]
    return Path("/var/tmp") / f"tradepulse-{os.geteuid()}-{name}"  # noqa: S108  (its owner is checked above)


def reachable_copy(account: Account | None, tree: Path, home: Path, *, beside: Iterable[Path] = ()) -> Path:
    """`tree` where `account` can read it: the tree itself, or a copy in `home`, made once per version.

    beside: directories that the tree's programs look for relative to their own place, such as their libraries
    """
    if account is None or account.passes(tree):
        return tree
    trees = (tree, *beside)
    root = Path(os.path.commonpath([each.parent for each in trees]))
    copy = home / f"{tree.name}-{tree.stat().st_mtime_ns:x}"
    if not copy.exists():
        unfinished = home / f"{tree.name}.copying.{os.getpid()}"
        for each in trees:
            shutil.copytree(each, unfinished / each.relative_to(root), symlinks=True)
        # Parents that copytree made in between take our umask, and so did every file when it was installed: both may be
        # closed to the account. These are programs and libraries that anybody may read.
        for made in (unfinished, *(path for path in unfinished.rglob("*") if not path.is_symlink())):
            made.chmod(0o755 if made.is_dir() or made.stat().st_mode & 0o100 else 0o644)
        unfinished.rename(copy)
    return copy / tree.relative_to(root)


def _nearest(path: Path) -> Path:
    """The deepest directory on the way to `path` that exists."""
    return next(step for step in (path, *path.parents) if step.is_dir())
