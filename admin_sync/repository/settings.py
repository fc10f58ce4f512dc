"""Which repository holds the configuration, who commits, and where commits go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from admin_sync.errors import Misconfigured
from admin_sync.settings import seconds


class ForgeKind(StrEnum):
    """The services whose pull requests we can open."""

    GITHUB = "github"
    GITLAB = "gitlab"


@dataclass(frozen=True, slots=True)
class Forge:
    """A service that turns a pushed branch into a pull request."""

    kind: ForgeKind
    api: str
    """The base of its REST API, without a slash at the end: https://api.github.com, https://gitlab.example/api/v4."""
    project: str
    """owner/name."""
    token_file: Path


@dataclass(frozen=True, slots=True)
class RepositorySettings:
    """The repository of the configuration. `environ` is what `${…}` in its files is looked up in."""

    place: Path
    committer_name: str
    committer_email: str
    remote: str | None
    """The remote that is the truth; None where this repository is."""
    forge: Forge | None
    lock_wait: int
    """Seconds that a change waits for another one to end."""
    environ: Mapping[str, str] = field(repr=False)

    def signature(self, author: str) -> dict[str, str]:
        """Git's own variables for a commit of somebody's that we make."""
        return {
            "GIT_AUTHOR_NAME": author,
            "GIT_AUTHOR_EMAIL": author,
            "GIT_COMMITTER_NAME": self.committer_name,
            "GIT_COMMITTER_EMAIL": self.committer_email,
        }


def repository_settings(environ: Mapping[str, str]) -> RepositorySettings:
    """The settings in an environment. Raises Misconfigured."""
    place = environ.get("ADMIN_SYNC_REPOSITORY")
    if not place:
        raise Misconfigured("set ADMIN_SYNC_REPOSITORY to the Git work tree that holds configs/iam")
    email = environ.get("ADMIN_SYNC_COMMITTER_EMAIL") or "access@tradepulse.invalid"
    name = environ.get("ADMIN_SYNC_COMMITTER_NAME") or "TradePulse access"
    for setting, value in (("ADMIN_SYNC_COMMITTER_EMAIL", email), ("ADMIN_SYNC_COMMITTER_NAME", name)):
        if not value.isprintable() or set(value) & set("<>"):
            raise Misconfigured(f"{setting}: write it without < > and control characters")
    remote = environ.get("ADMIN_SYNC_REPOSITORY_REMOTE") or None
    if remote is not None and (remote.startswith("-") or not remote.isprintable()):
        raise Misconfigured(
            "ADMIN_SYNC_REPOSITORY_REMOTE: write the name of a remote of the repository, such as origin"
        )
    forge = _forge(environ)
    if forge is not None and remote is None:
        raise Misconfigured("ADMIN_SYNC_FORGE needs ADMIN_SYNC_REPOSITORY_REMOTE, the remote that branches go to")
    wait = seconds("ADMIN_SYNC_REPOSITORY_WAIT", environ.get("ADMIN_SYNC_REPOSITORY_WAIT") or "60s")
    return RepositorySettings(Path(place), name, email, remote, forge, wait, environ)


def _forge(environ: Mapping[str, str]) -> Forge | None:
    kind = environ.get("ADMIN_SYNC_FORGE")
    if not kind:
        return None
    names = ("ADMIN_SYNC_FORGE_URL", "ADMIN_SYNC_FORGE_PROJECT", "ADMIN_SYNC_FORGE_TOKEN_FILE")
    missing = [name for name in names if not environ.get(name)]
    if missing:
        raise Misconfigured(f"ADMIN_SYNC_FORGE needs {', '.join(missing)}")
    try:
        which = ForgeKind(kind)
    except ValueError:
        raise Misconfigured(f"ADMIN_SYNC_FORGE: write one of {', '.join(ForgeKind)}") from None
    api, project, token = (environ[name] for name in names)
    if not api.startswith("https://") and not api.startswith(("http://127.0.0.1:", "http://localhost:")):
        raise Misconfigured("ADMIN_SYNC_FORGE_URL: write an https URL; a token crosses no other connection")
    return Forge(which, api.rstrip("/"), project.strip("/"), Path(token))
