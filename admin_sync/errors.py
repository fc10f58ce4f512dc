"""What can go wrong, by what the person at the keyboard has to do about it.

    AdminSyncError                 the text says what, where and the next step
    ├── InvalidInput               exit 3: every finding of the run, sorted
    ├── Refused                    exit 5: a guard said no
    └── Interrupted                exit 1: failed part-way, a re-run is safe

Errors of the conversation with Keycloak are `admin_sync.keycloak.connection.KeycloakProblem`; the
lock's is `admin_sync.lock.LockHeld`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from admin_sync.model import Position, printable


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing that is wrong in the configuration, printed as `file:line:column: code: message`."""

    file: str
    line: int
    column: int
    code: str
    message: str

    @classmethod
    def at(cls, position: Position, code: str, message: str) -> Finding:
        """A finding at a position of the configuration."""
        return cls(position.file, position.line, position.column, code, message)

    def __str__(self) -> str:
        # A key or a file name may hold anything; a finding is one line and moves no cursor.
        return printable(f"{self.file}:{self.line}:{self.column}: {self.code}: {self.message}")


EMPTY_FILE = "empty-file"
"""The code of the one finding that a guard owns: an empty file reads as "delete everything"."""


class AdminSyncError(Exception):
    """Base of the expected failures; never shown as a traceback."""

    exit_code = 1


class InvalidInput(AdminSyncError):
    """The configuration is wrong; `findings` holds every reason, sorted by place."""

    exit_code = 3

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(sorted(set(findings)))
        if not self.findings:
            raise ValueError("invalid input without a finding explains nothing")
        if all(finding.code == EMPTY_FILE for finding in self.findings):
            self.exit_code = 5
        super().__init__("\n".join(map(str, self.findings)))


class Refused(AdminSyncError):
    """A guard refused; the text names what would have to be allowed explicitly."""

    exit_code = 5


class Interrupted(AdminSyncError):
    """An apply that stopped part-way; the text says what was done."""

    exit_code = 1


class Misconfigured(AdminSyncError):
    """A setting of admin-sync itself is missing or wrong."""

    exit_code = 3
