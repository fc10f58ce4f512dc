"""What goes on to a service once its caller was let in, and the seam to whoever decides that.

Without a migration that is the internal token and nothing else (`PlainDoor`); with one, its phase has a say
(`migration/desk.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from identity.secret import Secret
from session_broker.access import ServiceRule
from session_broker.cache import Grant
from session_broker.doorkeeper import Doorkeeper
from session_broker.requests import TOKEN_HEADER


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """A caller who may go on.

    headers: for the proxy: what the upstream gets as `Authorization` and beside it, and notices for the client
    grant:   whose internal token it is; None where a migration hands none on yet
    legacy:  the legacy token that goes on, if one does
    """

    headers: Mapping[str, str] = field(repr=False)
    grant: Grant | None = None
    legacy: Secret | None = None


class Door(Protocol):
    """Lets callers in, or not."""

    async def admit(self, token: str, name: str, rule: ServiceRule, ip: str | None) -> Admission:
        """What goes on to the service of that name. Raises what `Doorkeeper.admit` raises."""
        ...


class PlainDoor:
    """Hands on the internal token alone."""

    def __init__(self, doorkeeper: Doorkeeper) -> None:
        self._doorkeeper = doorkeeper

    async def admit(self, token: str, name: str, rule: ServiceRule, ip: str | None) -> Admission:
        """See `Door.admit`."""
        grant = await self._doorkeeper.admit(token, name, rule, ip)
        return Admission(headers={TOKEN_HEADER: f"Bearer {grant.token.text()}"}, grant=grant)
