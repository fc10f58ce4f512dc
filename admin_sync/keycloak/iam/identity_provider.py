"""Identity providers. Their secrets go to Keycloak and never come back; a salted digest says what was sent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from admin_sync.desired.providers import SECRET_DIGEST
from admin_sync.diff import Action, Change
from admin_sync.keycloak.adapter import Reader, Writer
from admin_sync.keycloak.connection import segment
from admin_sync.model import MANAGED_ATTRIBUTE, MANAGED_BY, Json, Ref, Resource
from admin_sync.refs import PROVIDER

_FIELDS: Final = {
    "provider": ("providerId", None),
    "enabled": ("enabled", False),
    "display_name": ("displayName", None),
    "trust_email": ("trustEmail", False),
    "store_token": ("storeToken", False),
    "link_only": ("linkOnly", False),
    "hide_on_login": ("hideOnLogin", False),
    "first_broker_flow": ("firstBrokerLoginFlowAlias", None),
    "post_broker_flow": ("postBrokerLoginFlowAlias", None),
}
_MASK: Final = "**********"


class ProviderAdapter:
    """Reads and writes identity providers."""

    kind = PROVIDER

    def read(self, reader: Reader) -> Iterable[Resource]:
        """Every identity provider; the masked secret is left out."""
        for found in reader.export.get("identityProviders") or ():
            attrs: dict[str, Json] = {ours: found.get(name, default) for ours, (name, default) in _FIELDS.items()}
            config = {name: value for name, value in (found.get("config") or {}).items() if name != "clientSecret"}
            attrs["config"] = config
            yield Resource(
                Ref(PROVIDER, found["alias"]),
                attrs,
                secrets=frozenset({f"config.{SECRET_DIGEST}"}),
                server_id=found.get("internalId"),
                managed=config.get(MANAGED_ATTRIBUTE) == MANAGED_BY,
            )

    def write(self, writer: Writer, change: Change) -> None:
        """Create, change or delete one identity provider."""
        alias = change.ref.name
        place = f"{writer.path}/identity-provider/instances"
        path = f"{place}/{segment(alias)}"
        if change.action is Action.DELETE:
            writer.connection.delete(path)
            return
        assert change.after is not None  # noqa: S101
        found: Any = writer.connection.get(path)
        wanted = change.after.attrs
        body = {name: wanted[ours] for ours, (name, _) in _FIELDS.items()}
        body |= {"alias": alias, "config": {**((found or {}).get("config") or {}), **wanted["config"]}}
        changed = any(difference.path == f"config.{SECRET_DIGEST}" for difference in change.differences)
        if SECRET_DIGEST in wanted["config"]:
            body["config"]["clientSecret"] = writer.secret(alias) if changed or found is None else _MASK
        if found is None:
            writer.connection.post(place, body)
        else:
            writer.connection.put(path, {**found, **body})
