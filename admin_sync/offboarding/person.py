"""Who is one person: every address by which something here may be theirs."""

from __future__ import annotations

from collections.abc import Iterable

from admin_sync.keycloak.connection import Connection, KeycloakProblem
from admin_sync.load.document import Document
from admin_sync.roster import Roster, canonical


def addresses_of(
    email: str,
    further: Iterable[str],
    *,
    document: Document,
    roster: Roster | None,
    connection: Connection,
    realms: Iterable[str],
) -> list[str]:
    """All addresses of a person in lower case, the given one first.

    Those that the roster knows, and every spelling with a plus-tag (RFC 5233) that an account or a grant has. A realm
    that does not answer adds none; its accounts are looked for again by what is known here.
    """
    known = [email.lower(), *(one.lower() for one in further)]
    for one in tuple(known):
        found = roster.find(one) if roster is not None else None
        if found is not None:
            known += [found.email, *sorted(found.aliases)]
    theirs = {canonical(one) for one in known}
    known += [one.subject.user.lower() for one in document.bindings.bindings if canonical(one.subject.user) in theirs]
    known += [
        one.lower()
        for partner in document.partners.partners.values()
        for one in partner.admins
        if canonical(one) in theirs
    ]
    try:
        for realm in realms:
            for person in sorted(theirs):
                known += _accounts(connection, realm, person)
    except KeycloakProblem:
        # What matters more than another spelling is that nothing waits for a server that is away.
        pass
    return list(dict.fromkeys(known))


def _accounts(connection: Connection, realm: str, person: str) -> list[str]:
    local = person.rpartition("@")[0]
    listed = connection.pages(f"{realm}/users", email=local, briefRepresentation=True)
    addresses = ((one.get("email") or "").lower() for one in listed)
    return [one for one in addresses if one and canonical(one) == person]
