"""Client profiles and policies: rules that Keycloak holds every client to.

Keycloak has one document of each and replaces it whole, so a change reads it, exchanges one entry
and writes it back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from admin_sync.diff import Action, Change
from admin_sync.keycloak.adapter import Reader, Writer
from admin_sync.model import Json, Ref, Resource

PROFILE = "client_profile"
POLICY = "client_policy"

_Normal = Callable[[Mapping[str, Json]], dict[str, Json]]


def normal_profile(profile: Mapping[str, Json]) -> dict[str, Json]:
    """A profile as it is compared."""
    return {
        "description": profile.get("description") or "",
        "executors": [_part(p) for p in profile.get("executors") or []],
    }


def normal_policy(policy: Mapping[str, Json]) -> dict[str, Json]:
    """A policy as it is compared."""
    return {
        "description": policy.get("description") or "",
        "enabled": bool(policy.get("enabled", False)),
        "conditions": [_part(part) for part in policy.get("conditions") or []],
        "profiles": sorted(policy.get("profiles") or []),
    }


def _part(part: Mapping[str, Json]) -> dict[str, Json]:
    return {**part, "configuration": part.get("configuration") or {}}


class _DocumentAdapter:
    """One of the two documents: `field` in the realm's representation, `entries` in the document."""

    def __init__(
        self, kind: str, field: str, entries: str, normal: Callable[[Mapping[str, Json]], dict[str, Json]]
    ) -> None:
        self._kind = kind
        self._field = field
        self._entries = entries
        self._normal = normal

    @property
    def kind(self) -> str:
        return self._kind

    def read(self, reader: Reader) -> Iterable[Resource]:
        """Every entry that the realm itself holds; Keycloak's global ones are not among them."""
        if reader.representation is None:
            return
        for entry in (reader.representation.get(self._field) or {}).get(self._entries) or []:
            yield Resource(Ref(self._kind, entry["name"]), self._normal(entry))

    def write(self, writer: Writer, change: Change) -> None:
        """Exchange, add or remove one entry."""
        path = f"{writer.path}/client-policies/{self._entries}"
        entries = (writer.connection.get(path) or {}).get(self._entries) or []
        rest = [entry for entry in entries if entry["name"] != change.ref.name]
        if change.action is not Action.DELETE and change.after is not None:
            rest.append({"name": change.ref.name, **change.after.attrs})
        writer.connection.put(path, {self._entries: rest})


ClientProfileAdapter = _DocumentAdapter(PROFILE, "clientProfiles", "profiles", normal_profile)
ClientPolicyAdapter = _DocumentAdapter(POLICY, "clientPolicies", "policies", normal_policy)
