"""All due secrets of all realms. What fails for one client stops no other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from admin_sync.desired import realm_name
from admin_sync.errors import AdminSyncError
from admin_sync.keycloak.connection import Connection, KeycloakProblem
from admin_sync.load.document import Document
from admin_sync.lock import hold
from admin_sync.model import Current, Json
from admin_sync.service_secrets.due import Held, held
from admin_sync.service_secrets.rotate import rotate
from admin_sync.service_secrets.sink import Sink
from admin_sync.trail import Trail

Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Done:
    """One client. `rotated` is whether its secret was replaced; `problem` why it was not though it was due."""

    held: Held
    rotated: bool
    problem: str | None = None

    def json(self, now: datetime) -> dict[str, Json]:
        """For machines; never the secret."""
        since = self.held.since
        return {
            "realm": self.held.realm,
            "client": self.held.client,
            "age_seconds": None if since is None else int((now - since).total_seconds()),
            "rotation_seconds": int(self.held.rotation.total_seconds()),
            "exception_ends": self.held.ends.isoformat(),
            "due": self.held.why,
            "rotated": self.rotated,
            "problem": self.problem,
        }


def rotate_due(
    document: Document,
    connection: Connection,
    read: Callable[[str, str], Current],
    sink: Sink,
    trail: Trail | None,
    *,
    environments: Sequence[str],
    account_realm: str,
    forced: Collection[str] = (),
    note: Note = lambda _: None,
) -> list[Done]:
    """Rotate what is due, or only say what is (without a trail). `read` gives a realm by environment and name.

    Raises Refused where another rotation is under way, LockHeld where an apply is, Interrupted where nothing can be
    recorded, and KeycloakProblem where a realm cannot be read.
    """
    found: list[Done] = []
    with sink.held():
        for environment in environments:
            realm = realm_name(document, environment)
            note(f"reading {realm}")
            holders = held(document, read(environment, realm), sink.written(realm), forced=forced)
            if trail is None or not any(one.why for one in holders):
                found.extend(Done(one, rotated=False) for one in holders)
                continue
            with hold(connection, account_realm, realm) as lock:
                for one in holders:
                    lock.check()
                    found.append(_rotated(connection, sink, trail, one, note) if one.why else Done(one, rotated=False))
    return found


def _rotated(connection: Connection, sink: Sink, trail: Trail, one: Held, note: Note) -> Done:
    note(f"rotating the secret of {one.client} in {one.realm}")
    try:
        rotate(connection, sink, one)
    except (KeycloakProblem, AdminSyncError, OSError) as problem:
        trail.rotated(one.realm, one.client, one.why or "", type(problem).__name__)
        return Done(one, rotated=False, problem=str(problem))
    trail.rotated(one.realm, one.client, one.why or "")
    return Done(one, rotated=True)
