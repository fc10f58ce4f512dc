"""Which call needs which permission: the one table. A call that is not in it cannot be made.

The permission is what OPA is asked for; who has it, where, until when and with which assurance is
the policy's business. `event` names the call in the audit, `action` is there the permission itself.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class _Call(NamedTuple):
    event: str
    permission: str


class Call(Enum):
    """Everything that can be asked of the vault on behalf of a partner."""

    STORE = _Call("credential.store", "connection:link")
    RELEASE = _Call("credential.release", "credential:release")
    READ = _Call("credential.read", "connection:read")
    LIST = _Call("connection.list", "connection:read")
    READ_AUDIT = _Call("audit.read", "connection:read")

    @property
    def event(self) -> str:
        """The name of the call in the audit."""
        return self.value.event

    @property
    def permission(self) -> str:
        """What OPA is asked for."""
        return self.value.permission
