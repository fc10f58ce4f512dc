"""Git as a child process: its plumbing alone, and none of the machine's or the person's configuration.

Hooks, aliases, signing and external programs that somebody set up for themselves could change what is
committed, or run as us. The repository's own configuration is read, because its remotes stand there.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from admin_sync.errors import AdminSyncError

SECONDS: Final = 60.0
"""After so long a command of Git that still runs is given up: a remote hangs."""

_FIXED: Final = (
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "core.quotePath=false"),
    # A commit that the status in the database relies on outlives a loss of power.
    *("-c", "core.fsync=committed,reference"),
    *("-c", "gc.auto=0"),
    # A remote is reached over https, ssh or as a directory; `ext::` would run a command.
    *("-c", "protocol.ext.allow=never"),
)

_PASSED_ON: Final = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SSH_AUTH_SOCK",
    "GIT_SSH_COMMAND",
)


class GitFailed(AdminSyncError):
    """A command of Git failed; the text has what Git said."""


class Git:
    """Commands in one repository."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def run(
        self, *words: str, given: bytes = b"", environ: Mapping[str, str] | None = None, fine: tuple[int, ...] = (0,)
    ) -> bytes:
        """What a command prints. Raises GitFailed unless it ends with one of `fine`."""
        return self.done(*words, given=given, environ=environ, fine=fine).stdout

    def text(self, *words: str, given: bytes = b"", environ: Mapping[str, str] | None = None) -> str:
        """`run`, as text without surrounding space."""
        return self.run(*words, given=given, environ=environ).decode("utf-8", "replace").strip()

    def done(
        self, *words: str, given: bytes = b"", environ: Mapping[str, str] | None = None, fine: tuple[int, ...] = (0,)
    ) -> subprocess.CompletedProcess[bytes]:
        """A command that ended with one of `fine`. Raises GitFailed for every other end."""
        try:
            done = subprocess.run(  # noqa: S603  (the words are ours, and no shell reads them)
                ["git", *_FIXED, *words],  # noqa: S607  (the machine says where its Git is)
                cwd=self.place,
                input=given,
                capture_output=True,
                check=False,
                timeout=SECONDS,
                env={**_environment(), **(environ or {})},
            )
        except subprocess.TimeoutExpired:
            raise GitFailed(f"git {words[0]} did not end within {SECONDS:.0f} s; is the remote there?") from None
        except OSError as problem:
            raise GitFailed(f"git cannot be run in {self.place} ({problem.strerror}); install git") from None
        if done.returncode not in fine:
            said = " ".join(done.stderr.decode("utf-8", "replace").split())[-600:]
            raise GitFailed(f"git {words[0]} failed in {self.place}: {said or f'exit {done.returncode}'}")
        return done


def _environment() -> dict[str, str]:
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {
        **passed,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "LC_ALL": "C.UTF-8",
    }
