"""The one enumeration of legacy role names, and what each is in the configuration and back.

A legacy role that one service knows and another does not is how people are locked out, or let in, in the middle of
a migration. So there is one enumeration; a name outside of it is refused where it is read, and never dropped silently.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum


class LegacyRole(StrEnum):
    """The roles of the platform's own tokens, the mightiest first."""

    SUPER_ADMIN = "super_admin"
    ADMIN = "admin"
    TRADER = "trader"
    VIEWER = "viewer"


class UnknownLegacyRole(ValueError):
    """A legacy token names a role that the contract does not have. The text does not repeat it."""

    def __init__(self) -> None:
        super().__init__("a legacy role that the contract does not have")


def legacy_role(name: str) -> LegacyRole:
    """The role of that name, compared exactly. Raises UnknownLegacyRole."""
    try:
        return LegacyRole(name)
    except ValueError:
        raise UnknownLegacyRole from None


def for_groups(groups: Collection[str]) -> tuple[LegacyRole, ...]:
    """The legacy roles of somebody with these roles of ours, the mightiest first; roles that are new since have none.

    Ours keep the legacy names (`configs/iam/roles.yaml`), so nothing is translated and nobody gains by it.
    """
    return tuple(role for role in LegacyRole if role.value in groups)
