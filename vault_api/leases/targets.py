"""What a target of leases can do, and how it says that it could not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from identity.secret import Secret
from vault_api.leases.templates import Template


class TargetUnavailable(Exception):
    """The target did not do it, or nobody knows whether it did. `code` is stable and holds no data."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class TargetRefused(Exception):
    """The target never will, as it is set up; `code` is stable, the text is for operators."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A credential at its target.

    secret:     what is shown once
    shown:      what is shown with it, such as host and user name
    expires_at: when the target itself ends it, None if it is told to when the lease does
    keep:       what has to be kept, sealed, to be able to end it
    """

    secret: Secret
    shown: Mapping[str, object] = field(default_factory=dict)
    expires_at: datetime | None = None
    keep: Secret | None = None
    scopes: tuple[str, ...] = ()


class Target(Protocol):
    """A place at which credentials are made and ended."""

    @property
    def renewable(self) -> bool:
        """Whether `extend` can work."""
        ...

    async def make(self, lease: str, template: Template, until: datetime, source: Secret | None) -> Made:
        """Makes the credential; `source` is what it is made from, where it is made from something.

        Raises TargetUnavailable, after which it may exist, and TargetRefused, after which it does not.
        """
        ...

    async def extend(self, lease: str, until: datetime) -> None:
        """Lets it live until then. Raises TargetUnavailable."""
        ...

    async def end(self, lease: str, kept: Secret | None) -> None:
        """Ends it and returns when it is gone, or was gone or never there. Raises TargetUnavailable."""
        ...


Targets = Mapping[tuple[str, str], Target]
"""Every target by kind (`postgresql`, `broker_token`) and its name in the operator's file."""
