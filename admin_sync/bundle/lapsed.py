"""Grants that are on record no more stay known as lapsed until no token of before can be alive.

The rules let a role that an identity provider may give count where no grant is on record. Somebody whose grant of
such a role leaves the file (it ended, a certification took it, an operator's commit, a merged pull request) has tokens
that still name it, and nothing in the new data tells them from tokens whose role the provider gave. So each bundle
says of the one that it replaces what that one had on record and this one has not. The price: for `KEPT`, the
provider's own gift of that role does not count for this person either. It is the safe side.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from admin_sync.model import Json

KEPT: Final = 900
"""Seconds. Longer than any token lives (`accessTokenLifespan` of realm/base, which a token exchange does not exceed)
and its issuer's clock may be off. A session's new tokens are made of what Keycloak knows, which is without the role."""


def lapsed(data: Mapping[str, Json], before: Mapping[str, Json], now: int) -> dict[str, Json]:
    """`{environment: {e-mail: {role: until, in Unix seconds}}}` for a document that replaces another. Pure.

    It can only take away: whatever the document before says, nothing of it makes a role count.
    """
    known, recorded = _mapping(before.get("lapsed")), _mapping(before.get("grants"))
    given = _mapping(before.get("federated_roles"))
    found: dict[str, Json] = {}
    for environment, held in data["grants"].items():
        # What no provider can give is denied without a grant on record.
        doubtful = {*data["federated_roles"].get(environment, ()), *_names(given.get(environment))}
        people: dict[str, dict[str, Json]] = {}
        for person, role, until in (
            *((person, role, until) for person, role, until in _each(known.get(environment))),
            *((person, role, now + KEPT) for person, role, _ in _each(recorded.get(environment))),
        ):
            if role in doubtful and role not in held.get(person, ()) and type(until) is int and until > now:
                people.setdefault(person, {})[role] = min(until, now + KEPT)
        found[environment] = people
    return found


def _each(people: Json) -> Iterator[tuple[str, str, Json]]:
    for person, roles in _mapping(people).items():
        for role, value in _mapping(roles).items():
            yield person, role, value


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}


def _names(value: Json) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
