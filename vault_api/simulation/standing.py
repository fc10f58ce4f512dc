"""A request under a simulation: which calls it may make, and as whom the policy is asked.

Only a few readings are let through. They are named one by one, so that a call that is added later is refused until
somebody decides that a simulation may see it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from identity.principal import Membership, Principal
from identity.problem import Problem
from vault_api.permissions import Call

PERMISSION: Final = "partner:simulate"

READINGS: Final = frozenset(
    {
        Call.OFFERS,
        Call.LIST,
        Call.READ,
        Call.READ_AUDIT,
        Call.PARTNER_DIGEST,
        Call.MEMBERS,
        Call.ALERT_ROUTES,
        Call.ALERT_LOG,
    }
)
"""What a simulation sees. None of them gives out a credential."""

_NUMBER = re.compile(r"[0-9a-f]{32}\Z")


def number(given: Sequence[str]) -> str | None:
    """The simulation that a request names; None for what can be none."""
    return given[0] if len(given) == 1 and _NUMBER.match(given[0]) else None


def as_member(principal: Principal, partner: str, role: str) -> Principal:
    """Who the policy is asked about: the same person with that one role at the partner, and with nothing else."""
    membership = Membership(partner, "", frozenset({role}))
    return replace(principal, groups=frozenset(), organizations=MappingProxyType({partner: membership}))


def over() -> Problem:
    """403: there is no such simulation, or not any more, or it is somebody else's."""
    return Problem(
        403,
        "simulation-over",
        "The simulation is over",
        "Its time is up, it was ended, or it was begun in another session. Begin another one.",
        reason="simulation_over",
    )
