"""Mappers of identity providers, called `provider/mapper name`.

Everything inside a provider of ours is ours: a mapper that somebody added by hand can hand out
roles, so it is destroyed like any other grant that nobody declared.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from admin_sync.diff import Action, Change
from admin_sync.keycloak.adapter import Reader, Writer
from admin_sync.keycloak.connection import segment
from admin_sync.model import MANAGED_ATTRIBUTE, MANAGED_BY, Json, Ref, Resource
from admin_sync.refs import PROVIDER_MAPPER

CLAIM: Final = "groups"
"""The claim in which a provider lists the groups of a person."""


class ProviderMapperAdapter:
    """Reads and writes the mappers that put a provider's people in groups, and the one that checks their address."""

    kind = PROVIDER_MAPPER

    def read(self, reader: Reader) -> Iterable[Resource]:
        """Every mapper of every identity provider."""
        ours = {
            found["alias"]
            for found in reader.export.get("identityProviders") or ()
            if (found.get("config") or {}).get(MANAGED_ATTRIBUTE) == MANAGED_BY
        }
        seen: set[Ref] = set()
        for found in reader.export.get("identityProviderMappers") or ():
            alias, config = found["identityProviderAlias"], found.get("config") or {}
            attrs = {
                "mapper": found["identityProviderMapper"],
                "upstream": _upstream(config),
                "group": (config.get("group") or "").removeprefix("/"),
                "sync_mode": config.get("syncMode"),
            }
            ref = Ref(PROVIDER_MAPPER, f"{alias}/{found['name']}")
            if ref in seen:
                # Keycloak takes two of one name; the second is a stranger that must not hide behind the first.
                ref = Ref(PROVIDER_MAPPER, f"{ref.name} ({found['id']})")
            seen.add(ref)
            yield Resource(ref, attrs, server_id=found["id"], managed=alias in ours)

    def write(self, writer: Writer, change: Change) -> None:
        """Create, change or delete one mapper."""
        alias, _, name = change.ref.name.partition("/")
        place = f"{writer.path}/identity-provider/instances/{segment(alias)}/mappers"
        if change.action is Action.DELETE:
            assert change.before is not None  # noqa: S101
            writer.connection.delete(f"{place}/{change.before.server_id}")
            return
        assert change.after is not None  # noqa: S101
        body = _representation(alias, name, change.after.attrs)
        if change.before is not None:
            server_id = change.before.server_id
            writer.connection.put(f"{place}/{server_id}", {**body, "id": server_id})
        elif not any(found["name"] == name for found in writer.connection.get(place) or ()):
            # Keycloak would take a second mapper of the same name.
            writer.connection.post(place, body)


def _representation(alias: str, name: str, wanted: Mapping[str, Any]) -> Json:
    if wanted["upstream"] is None:
        # A mapper that puts nobody in a group has nothing to set.
        return {
            "name": name,
            "identityProviderAlias": alias,
            "identityProviderMapper": wanted["mapper"],
            "config": {"syncMode": wanted["sync_mode"]},
        }
    claims = json.dumps([{"key": CLAIM, "value": wanted["upstream"]}], separators=(",", ":"))
    return {
        "name": name,
        "identityProviderAlias": alias,
        "identityProviderMapper": wanted["mapper"],
        "config": {
            "syncMode": wanted["sync_mode"],
            "claims": claims,
            "are.claim.values.regex": "false",
            "group": f"/{wanted['group']}",
        },
    }


def _upstream(config: Mapping[str, str]) -> str | None:
    """The upstream group of a mapper of our making; the raw claims of any other."""
    raw = config.get("claims")
    try:
        claims = json.loads(raw or "")
    except ValueError:
        return raw
    if isinstance(claims, list) and len(claims) == 1 and config.get("are.claim.values.regex") == "false":
        only = claims[0]
        if isinstance(only, dict) and only.get("key") == CLAIM and isinstance(only.get("value"), str):
            return str(only["value"])
    return raw
