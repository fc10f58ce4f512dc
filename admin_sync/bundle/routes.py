"""Which roles give which permission, and what each way of getting it demands.

A role that includes another has its permissions, and must not thereby escape what binds the other:
what comes through `sre` needs the level and the window of `sre`, whatever role includes it. So each
way from a role to a permission is followed, and what binds the roles on it is collected.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from admin_sync.bundle.source import LEVELS, PolicySource, Role
from admin_sync.model import Json


@dataclass(frozen=True, slots=True, order=True)
class Demands:
    """What one way to a permission demands: a level (as an index into LEVELS) and open windows by name."""

    level: int
    windows: tuple[str, ...]

    def within(self, other: Demands) -> bool:
        """True if whoever meets `other` meets this as well."""
        return self.level <= other.level and set(self.windows) <= set(other.windows)


def expanded(roles: Mapping[str, Role], name: str) -> frozenset[str]:
    """All permissions of a role, its own and those of the roles it includes. The includes form no circle."""
    own = roles[name]
    return own.permissions.union(*(expanded(roles, included) for included in own.includes))


def routes(source: PolicySource) -> dict[str, Json]:
    """`{permission: {role: [{"level", "windows"}]}}`; any one of the list suffices.

    `level` is the rank (1 for aal1) that a login needs in all: for any session, for the permission
    and for the roles on the way.
    """
    table: dict[str, dict[str, Json]] = {permission: {} for permission in source.permissions}
    for role in source.roles:
        ways: dict[str, set[Demands]] = {}
        for through, demands in _reach(source, role, Demands(0, ())):
            for permission in source.roles[through].permissions:
                level = max(demands.level, _floor(source, permission))
                ways.setdefault(permission, set()).add(Demands(level, demands.windows))
        for permission, found in ways.items():
            table[permission][role] = [
                {"level": demands.level + 1, "windows": list(demands.windows)} for demands in _least(found)
            ]
    return table


def partner_routes(source: PolicySource) -> dict[str, Json]:
    """`{permission: {partner role: rank}}`."""
    table: dict[str, dict[str, Json]] = {}
    for role, definition in source.partner_roles.items():
        for permission in definition.permissions:
            rank = max(_level(source, role), _floor(source, permission)) + 1
            table.setdefault(permission, {})[role] = rank
    return table


def _level(source: PolicySource, role: str) -> int:
    return LEVELS.index(source.assurance.roles.get(role, LEVELS[0]))


def _floor(source: PolicySource, permission: str) -> int:
    """The level without which nobody gets the permission, whatever role gives it."""
    assurance = source.assurance
    least = LEVELS.index(assurance.interactive)
    return max(least, LEVELS.index(assurance.sensitive.level)) if source.permissions[permission].sensitive else least


def _reach(source: PolicySource, role: str, before: Demands) -> Iterator[tuple[str, Demands]]:
    """The role and every role it includes, each with all that the way there demands."""
    windows = set(before.windows) | ({role} & set(source.windows))
    demands = Demands(max(before.level, _level(source, role)), tuple(sorted(windows)))
    yield role, demands
    for included in source.roles[role].includes:
        yield from _reach(source, included, demands)


def _least(found: set[Demands]) -> list[Demands]:
    """The ways that no other way undercuts, in a fixed order."""
    return sorted(
        demands for demands in found if not any(other != demands and other.within(demands) for other in found)
    )
