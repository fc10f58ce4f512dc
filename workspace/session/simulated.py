"""Somebody who looks at a partner's workspace as one of its members: who the pages are for, and what services are told.

The pages are made for the member that is looked at, so that there is no second way to make them. What that member may
see is decided by the vault, which is told of the simulation with every request (`identity/simulation.py`).
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from identity.principal import Membership, Principal
from identity.secret import Secret
from workspace.session.content import Simulation


class Simulated(Secret):
    """A token that is sent with the simulation it is used in, wherever it goes."""

    __slots__ = ("simulation",)

    def __init__(self, token: Secret, simulation: str) -> None:
        super().__init__(token.reveal())
        self.simulation = simulation

    def own(self) -> Secret:
        """The same token without the simulation: what ends one is done as oneself."""
        return Secret(self.reveal())


def as_member(principal: Principal, simulation: Simulation) -> Principal:
    """The same person, with the one membership that is looked at and nothing of their own."""
    membership = Membership(simulation.partner, "", frozenset({simulation.role}))
    return replace(principal, groups=frozenset(), organizations=MappingProxyType({simulation.partner: membership}))
