"""`python -m admin_sync.repository DIRECTORY`: make the repository from a directory, or merge the directory into it.

For whoever keeps the configuration in a checkout and the grants in a repository of their own, such as the
embedded stack. Says what it did in one line.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from admin_sync.errors import AdminSyncError, Misconfigured
from admin_sync.repository.git import Git
from admin_sync.repository.incoming import begin
from admin_sync.repository.repository import Repository
from admin_sync.repository.settings import RepositorySettings, repository_settings


def main() -> int:
    """Run it with the one argument. Exits 0, or with the code of what went wrong."""
    if len(sys.argv) != 2:
        print("repository: name one directory with the configuration", file=sys.stderr)  # noqa: T201
        return 3
    directory = Path(sys.argv[1])
    try:
        settings = repository_settings(os.environ)
        print(taken_over(settings, directory))  # noqa: T201
    except AdminSyncError as problem:
        print(f"repository: {problem}", file=sys.stderr)  # noqa: T201
        return problem.exit_code
    return 0


def taken_over(settings: RepositorySettings, directory: Path) -> str:
    """Make or merge; what was done. Raises AdminSyncError."""
    if not directory.is_dir():
        raise Misconfigured(f"{directory} is no directory with the configuration")
    if not (settings.place / ".git").exists():
        settings.place.mkdir(parents=True, exist_ok=True)
        git = Git(settings.place)
        git.run("init", "--quiet", "--initial-branch=main")
    git = Git(settings.place)
    if git.done("rev-parse", "--verify", "--quiet", "HEAD", fine=(0, 1, 128)).returncode != 0:
        made = begin(git, directory, settings, "The configuration as it was installed")
        git.run("reset", "--quiet", "--hard", made)
        return f"made {settings.place}"
    merged = Repository(settings).merged(directory, "Take over what operators changed")
    return "unchanged" if merged is None else f"merged {merged.commit[:12]}"


if __name__ == "__main__":
    raise SystemExit(main())
