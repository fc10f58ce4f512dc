"""A freeze ends sessions: everybody's but those of the people whom the frozen bundle leaves something.

OPA denies from the moment the frozen bundle is served; ended sessions are the second line, for whatever does not
ask OPA, and for what refreshes quietly until the thaw.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from admin_sync.break_glass.accounts import address
from admin_sync.desired import realm_name
from admin_sync.holdings import included
from admin_sync.impact import person_roles
from admin_sync.keycloak.connection import segment
from admin_sync.load.document import Document
from admin_sync.model import Current
from admin_sync.offboarding.sessions import end_sessions_of
from admin_sync.policy import policy_source
from admin_sync.refs import ROLE, USER
from admin_sync.sync import Session


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of the sessions of one realm, counted in people."""

    realm: str
    people: int
    """Whose sessions were ended."""
    kept: int
    """Who had sessions and keeps them."""


def end_everybodys_sessions(session: Session, environment: str, note: Callable[[str], None]) -> Ended:
    """End the sessions and offline tokens of everybody in an environment who holds no emergency role there.

    Raises KeycloakProblem; safe to repeat. Accounts of services have no sessions that outlive a request.
    """
    document, connection = session.document, session.connection
    realm = realm_name(document, environment)
    path = f"/{segment(realm)}"
    current = session.gateway(environment).read(realm)
    keeps = _emergency_holders(document, current)
    clients = [f"{path}/clients/{one['id']}" for one in connection.get(f"{path}/clients") or ()]
    listed = connection.together([f"{one}/{sort}" for one in clients for sort in ("user-sessions", "offline-sessions")])
    holders: dict[str, Any] = {one["userId"]: one for found in listed.values() for one in found}
    # A client's own account is in this list only while a request of it is under way.
    going = [one for one in holders if one not in keeps]
    done = 0

    def end(account: str) -> None:
        nonlocal done
        end_sessions_of(connection, path, account)
        done += 1
        note(f"{realm}: sessions of {done} of {len(going)} people ended")

    with ThreadPoolExecutor(connection.parallel) as pool:
        list(pool.map(end, going))
    return Ended(realm, len(going), len(holders) - len(going))


def _emergency_holders(document: Document, current: Current) -> frozenset[str]:
    """The ids of the accounts of people who hold an emergency role, by whatever way, and of break-glass accounts."""
    emergency = policy_source(document).emergency_roles
    includes = {ref.name: one.attrs.get("includes", ()) for ref, one in current.resources.items() if ref.kind == ROLE}
    names = {
        person
        for person, held in person_roles(current.resources.values(), current).items()
        if any(emergency & included(role, includes).keys() for role, _ in held)
    }
    names |= {address(account) for account in document.policies.break_glass.accounts}
    return frozenset(
        one.server_id
        for ref, one in current.resources.items()
        if ref.kind == USER and one.server_id is not None and ref.name in names and not document.barred(ref.name)
    )
