"""Settings of the reconciler, from environment variables; secrets only as paths of files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from admin_sync.errors import Misconfigured
from admin_sync.settings import seconds

_LISTEN: Final = "127.0.0.1:8320"


@dataclass(frozen=True, slots=True)
class ReconcilerSettings:
    """When it looks, where it answers, and how it reaches the requests."""

    every: int
    """Seconds after which the realms are read again although nothing happened: what somebody did by hand is undone."""
    poll: int
    """Seconds after which the database is asked although it said nothing."""
    lock_wait: int
    """Seconds that a realm's lock is waited for."""
    host: str
    port: int
    """0: health and metrics are not served."""
    database_url: str | None
    """None: there are no requests, only the repository."""
    database_password_file: Path | None
    roster_file: Path | None


def reconciler_settings(environ: Mapping[str, str]) -> ReconcilerSettings:
    """The settings in an environment. Raises Misconfigured for a malformed one."""
    host, _, port = (environ.get("ADMIN_SYNC_RECONCILER_LISTEN") or _LISTEN).rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise Misconfigured("ADMIN_SYNC_RECONCILER_LISTEN: write an address and a port, such as 127.0.0.1:8320")

    def duration(name: str, usual: str) -> int:
        return seconds(name, environ.get(name) or usual)

    def path(name: str) -> Path | None:
        return Path(environ[name]) if environ.get(name) else None

    url, password = (
        environ.get("ACCESS_RECONCILER_DATABASE_URL") or None,
        path("ACCESS_RECONCILER_DATABASE_PASSWORD_FILE"),
    )
    if (url is None) != (password is None):
        raise Misconfigured(
            "set ACCESS_RECONCILER_DATABASE_URL and ACCESS_RECONCILER_DATABASE_PASSWORD_FILE both, or neither"
        )
    return ReconcilerSettings(
        every=duration("ADMIN_SYNC_RECONCILER_EVERY", "5m"),
        poll=duration("ADMIN_SYNC_RECONCILER_POLL", "15s"),
        lock_wait=duration("ADMIN_SYNC_RECONCILER_LOCK_WAIT", "30s"),
        host=host,
        port=int(port),
        database_url=url,
        database_password_file=password,
        roster_file=path("ACCESS_ROSTER_FILE"),
    )
