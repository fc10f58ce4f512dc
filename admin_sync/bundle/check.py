"""Whether a `PolicySource` hangs together: every name in it must lead somewhere.

The loader reports the same faults at their line and column, long before. This is the last look
before something is signed, and it keeps every other maker of a `PolicySource` honest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from admin_sync.bundle.source import PolicySource, Role


def findings(source: PolicySource) -> list[str]:
    """Every name that leads nowhere and every circle of includes, sorted; empty when all is well."""
    return sorted({*_references(source), *_cycles(source.roles), *_partner_roles(source)})


def _missing(what: str, names: Iterable[str], known: Mapping[str, Any], where: str) -> Iterator[str]:
    for name in set(names) - set(known):
        yield f"{where}: there is no {what} {name!r}"


def _references(source: PolicySource) -> Iterator[str]:
    for name, role in source.roles.items():
        yield from _missing("permission", role.permissions, source.permissions, f"role {name}")
        yield from _missing("role", role.includes, source.roles, f"role {name}")
    for name, environment in source.environments.items():
        yield from _missing("environment", environment.deny_roles_from, source.environments, f"environment {name}")
    for role_name, window in source.windows.items():
        yield from _missing("role", [role_name], source.roles, "production windows")
        yield from _missing("environment", window.environments, source.environments, f"window of {role_name}")
    for name, client in source.clients.items():
        yield from _missing("role", client.roles, source.roles, f"client {name}")
        yield from _missing("environment", client.environments, source.environments, f"client {name}")
    for grant in source.grants:
        yield from _missing("environment", [grant.environment], source.environments, f"grant of {grant.email}")
        yield from _missing("role", [grant.role], source.roles, f"grant of {grant.email}")
    for name, roles in source.federated_roles.items():
        yield from _missing("environment", [name], source.environments, "federated roles")
        yield from _missing("role", roles, source.roles, f"federated roles of {name}")
    yield from _missing("role", source.emergency_roles, source.roles, "emergency roles")
    any_role = {**source.roles, **source.partner_roles}
    yield from _missing("role", source.assurance.roles, any_role, "assurance")


def _partner_roles(source: PolicySource) -> Iterator[str]:
    for name, role in source.partner_roles.items():
        yield from _missing("permission", role.permissions, source.permissions, f"partner role {name}")
        for permission in role.permissions & set(source.permissions):
            # It could never be used, so whoever wrote it expects something that will not happen.
            if not source.permissions[permission].partner_scoped:
                yield f"partner role {name}: {permission!r} is not partner-scoped"
    for name, partner in source.partners.items():
        yield from _missing("partner role", partner.roles, source.partner_roles, f"partner {name}")


def _cycles(roles: Mapping[str, Role]) -> Iterator[str]:
    for start in roles:
        seen: set[str] = set()
        ahead = list(roles[start].includes)
        while ahead:
            name = ahead.pop()
            if name == start:
                yield f"role {start}: includes itself, directly or through others"
                break
            if name not in seen and name in roles:
                seen.add(name)
                ahead.extend(roles[name].includes)
