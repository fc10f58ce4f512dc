"""The ways in which a realm can be read and written, and which of them a run takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from admin_sync.diff import Change
from admin_sync.errors import Misconfigured
from admin_sync.keycloak.adapter import Observer
from admin_sync.keycloak.bulk.capability import Absent, ask
from admin_sync.keycloak.bulk.gateway import BulkGateway
from admin_sync.keycloak.choice import PARALLELISM, Choice
from admin_sync.keycloak.connection import Connection
from admin_sync.keycloak.rest.gateway import RestGateway
from admin_sync.model import Current, Ref


class Gateway(Protocol):
    """One way to a realm. Both ways give the same state and leave the same realm behind."""

    @property
    def name(self) -> str:
        """`rest` or `bulk`."""
        ...

    def read(self, realm: str) -> Current:
        """The state of one realm. Raises KeycloakProblem, and Refused where two of its objects share a name."""
        ...

    def second_factors(self, realm: str, people: Mapping[str, str]) -> frozenset[str]:
        """Which of some people hold a second factor. `people` are the server's ids by e-mail address, as read just now.

        Raises KeycloakProblem. Nobody asked about is no request.
        """
        ...

    def write(
        self,
        changes: Sequence[Change],
        realm: str,
        ids: Mapping[Ref, str],
        secret: Callable[[str], str | None],
        observe: Observer,
    ) -> int:
        """Carry out the changes of a plan in their order; how many were done.

        `ids` are the server's ids of what was read, `secret` gives an identity provider's client secret
        by alias. `observe` is called once for each change. Stops at the first change that fails, after
        finishing what was under way beside it, and raises that failure (KeycloakProblem or LookupError).
        """
        ...


def choose(
    connection: Connection,
    realm: str,
    choice: Choice = Choice.AUTO,
    parallelism: int = PARALLELISM,
    *,
    home: str = "master",
    note: Callable[[str], None] = lambda text: None,
) -> Gateway:
    """The gateway for a realm: the bulk provider where the server offers it and the choice allows it.

    `home` is the realm of our own account, which is asked when `realm` does not exist yet; `note` gets
    a line where the choice is worth one. Raises Misconfigured when only the bulk provider may be taken
    and cannot be, and KeycloakProblem.
    """
    rest = RestGateway(connection, parallelism)
    if choice is Choice.REST:
        return rest
    try:
        capability = ask(connection, (realm, home))
    except Absent as reason:
        if choice is Choice.BULK:
            raise Misconfigured(f"no bulk provider for {realm}: {reason}; install it, or take --gateway rest") from None
        note(f"{realm}: by Keycloak's own API, since {reason}")
        return rest
    return BulkGateway(connection, capability, rest if choice is Choice.AUTO else None, note)
