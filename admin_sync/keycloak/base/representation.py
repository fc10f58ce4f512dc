"""Changing a realm's representation: read all of it, change some, write all of it back.

Keycloak takes a partial representation for some fields and silently ignores it for others (the
WebAuthn policies among them), so a partial PUT is never used.
"""

from __future__ import annotations

from collections.abc import Mapping

from admin_sync.keycloak.adapter import Writer
from admin_sync.model import Json

# They have end points of their own. Sent along here, a copy read earlier would undo a change made in between.
_ELSEWHERE = ("clientProfiles", "clientPolicies", "defaultRole")


def change(writer: Writer, values: Mapping[str, Json]) -> None:
    """Set fields of the realm; a mapping sets those of its keys that it names, and None removes a key."""
    current = writer.connection.get(writer.path)
    if current is None:
        raise LookupError(f"there is no realm {writer.realm}")
    for name in _ELSEWHERE:
        current.pop(name, None)
    writer.connection.put(writer.path, merged(current, values))


def merged(current: Mapping[str, Json], values: Mapping[str, Json]) -> dict[str, Json]:
    """`current` with `values` laid over it, mappings key by key, without what is None."""
    result = dict(current)
    for name, value in values.items():
        found = result.get(name)
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping) and isinstance(found, Mapping):
            result[name] = merged(found, value)
        else:
            result[name] = value
    return result
