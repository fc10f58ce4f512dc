"""Who is calling: facts from a verified token, built in one place (`identity.verify`) only.

A `Principal` says who and how strongly authenticated, never what is allowed: permissions are not in
the token, OPA maps roles to permissions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Literal


class AssuranceLevel(StrEnum):
    """How strongly somebody authenticated, ordered: `AAL1 < AAL2 < AAL3` (NIST SP 800-63B)."""

    AAL1 = "aal1"
    AAL2 = "aal2"
    AAL3 = "aal3"

    # All four are written out because `str` defines them, and only the own kind is comparable:
    # as strings "aal10" < "aal2" and "phr" > "aal3" would be true.
    def __lt__(self, other: object) -> bool:
        return _RANK[self] < _rank(other)

    def __le__(self, other: object) -> bool:
        return _RANK[self] <= _rank(other)

    def __gt__(self, other: object) -> bool:
        return _RANK[self] > _rank(other)

    def __ge__(self, other: object) -> bool:
        return _RANK[self] >= _rank(other)


_RANK: Mapping[str, int] = {level.value: rank for rank, level in enumerate(AssuranceLevel)}


def _rank(level: object) -> int:
    if not isinstance(level, AssuranceLevel):
        raise TypeError("an assurance level compares with an assurance level only")
    return _RANK[level]


@dataclass(frozen=True, slots=True)
class Membership:
    """One person's place in one partner: the organization's alias and id, and the roles held there.

    `lent` are roles with an end, each with the unix second from which it is over. They are not among `roles`, so
    whoever does not look at ends sees no role at all.
    """

    alias: str
    id: str
    roles: frozenset[str] = frozenset()
    lent: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A caller whose token was verified. Times are unix seconds.

    `groups` are the role names that hold in `environment`; roles inside a partner are only in
    `organizations[alias].roles`. `token_name` names the token in audit lines without revealing it;
    the token itself is in no field.
    """

    subject: str
    email: str | None
    kind: Literal["person", "service"]
    environment: str
    issuer: str
    client: str
    groups: frozenset[str]
    assurance_level: AssuranceLevel
    acr: str | None
    amr: tuple[str, ...]
    auth_time: int | None
    session: str | None
    expires_at: int
    organizations: Mapping[str, Membership] = field(default_factory=lambda: MappingProxyType({}))
    token_name: str

    @property
    def actor(self) -> str:
        """How audit lines name the caller: a service by its client, a person by e-mail, else by subject."""
        if self.kind == "service":
            return self.client
        return self.email or self.subject

    def membership(self, partner: str) -> Membership | None:
        """The caller's place in that partner, or None for somebody who does not belong to it."""
        return self.organizations.get(partner)
