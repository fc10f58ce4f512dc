"""What OPA would decide otherwise than it does now, and no realm shows: ends of grants, levels, windows.

Pure: the data of the published bundle against the data of the one that would be published. Who has
which role is the realm's plan to tell; a grant that both sides have and that ends at another time is
told here, with the permissions that end with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from admin_sync.bundle.render import NEVER, digest, render
from admin_sync.load.document import Document
from admin_sync.model import Json
from admin_sync.policy import policy_source

_BY_ENVIRONMENT: Final = ("environments", "federated_roles")
_EVERYWHERE: Final = ("permissions", "assurance", "partners", "clients", "barred", "vault")


@dataclass(frozen=True, slots=True, order=True)
class RuleChange:
    """One thing that is decided otherwise. `before` and `after` are as a person would say them."""

    what: str
    before: str
    after: str
    permissions: tuple[str, ...] = ()
    """What it is about, where it is about a grant."""


def rule_changes(
    document: Document,
    published: Mapping[str, Json] | None,
    environment: str,
    rules: Mapping[str, bytes] | None = None,
) -> list[RuleChange]:
    """Everything that is decided otherwise in one environment once the configuration is published, sorted.

    `rules` are the files that would be published with it, where they are to be compared too. Empty
    where nothing is published to compare with.
    """
    if published is None:
        return []
    source = policy_source(document)
    fresh = render(source)
    found = set(_grants(_part(published, "grants", environment), fresh["grants"].get(environment, {}), fresh["roles"]))
    found |= set(_windows(_part(published, "windows"), fresh["windows"], environment))
    for section in _BY_ENVIRONMENT:
        before, after = _part(published, section).get(environment), fresh[section].get(environment)
        found |= set(_compared(f"{section} {environment}", before, after))
    for section in _EVERYWHERE:
        found |= set(_compared(section, _part(published, section), fresh[section]))
    emergency = _part(published, "meta").get("emergency_roles")
    if emergency is not None:
        found |= set(_compared("emergency roles", emergency, sorted(source.emergency_roles)))
    if rules is not None and _other_rules(published, rules):
        found.add(RuleChange("the rules themselves", "as published", "other files of Rego"))
    return sorted(found)


def _other_rules(published: Mapping[str, Json], rules: Mapping[str, bytes]) -> bool:
    """Whether the published digest is not that of the published data with these rules."""
    meta = _part(published, "meta")
    data = {name: value for name, value in published.items() if name != "meta"}
    return digest(data, meta.get("emergency_roles") or (), rules) != meta.get("digest")


def _part(data: Mapping[str, Json], *path: str) -> Mapping[str, Json]:
    here: Json = data
    for name in path:
        here = here.get(name) if isinstance(here, Mapping) else None
    return here if isinstance(here, Mapping) else {}


def _grants(before: Mapping[str, Json], after: Mapping[str, Json], roles: Mapping[str, Json]) -> Iterator[RuleChange]:
    for person in before.keys() & after.keys():
        had, has = before[person], after[person]
        for role in had.keys() & has.keys():
            if had[role] != has[role]:
                permissions = tuple(_part(roles, role).get("permissions", ()))
                what = f"role {role} of {person} ends"
                yield RuleChange(what, _end(had[role]), _end(has[role]), permissions)


def _end(value: Json) -> str:
    if not isinstance(value, int) or value >= NEVER:
        return "never"
    return datetime.fromtimestamp(value, UTC).isoformat().replace("+00:00", "Z")


def _windows(before: Mapping[str, Json], after: Mapping[str, Json], environment: str) -> Iterator[RuleChange]:
    def here(windows: Mapping[str, Json], role: str) -> Json:
        window = windows.get(role)
        return window if window and environment in window.get("environments", ()) else None

    for role in before.keys() | after.keys():
        yield from _compared(f"window of role {role}", here(before, role), here(after, role))


def _compared(what: str, before: Json, after: Json) -> Iterator[RuleChange]:
    """One change for each leaf that differs."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in sorted(before.keys() | after.keys()):
            yield from _compared(f"{what} {name}", before.get(name), after.get(name))
    elif before != after:
        yield RuleChange(what, _said(before), _said(after))


def _said(value: Json) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_said(inner)}" for name, inner in sorted(value.items())) or "nothing"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(_said, value)) or "nothing"
    return str(value)
