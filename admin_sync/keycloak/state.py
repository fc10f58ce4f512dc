"""A whole realm through a reader: every adapter asked once, in the order of the kinds."""

from __future__ import annotations

from admin_sync.errors import Refused
from admin_sync.keycloak.adapter import Reader
from admin_sync.keycloak.registry import ADAPTERS, ORDER
from admin_sync.model import Ambiguous, Current, index, printable


def read_through(reader: Reader) -> Current:
    """The state of a realm. Raises KeycloakProblem, and Refused where two of its objects share a name."""
    if reader.representation is None:
        return Current(reader.realm, exists=False, resources=index(()))
    resources = [resource for kind in ORDER for resource in ADAPTERS[kind].read(reader)]
    try:
        return Current(reader.realm, exists=True, resources=index(resources))
    except Ambiguous as problem:
        raise Refused(
            f"{printable(str(problem))} in {reader.realm}; rename or remove the one that should not be there"
        ) from None
