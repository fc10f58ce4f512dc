"""Clients: their flows, addresses, scopes, and the rights their tokens may carry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from admin_sync.diff import Action, Change
from admin_sync.keycloak.adapter import Reader, Writer, is_managed_client
from admin_sync.keycloak.connection import Refused
from admin_sync.keycloak.iam import lookup
from admin_sync.model import Json, Ref, Resource
from admin_sync.refs import CLIENT

_FIELDS: Final = {
    "display_name": ("name", ""),
    "enabled": ("enabled", False),
    "public": ("publicClient", False),
    "authenticator": ("clientAuthenticatorType", None),
    "standard_flow": ("standardFlowEnabled", False),
    "implicit_flow": ("implicitFlowEnabled", False),
    "password_grant": ("directAccessGrantsEnabled", False),
    "service_account": ("serviceAccountsEnabled", False),
    "authorization_services": ("authorizationServicesEnabled", False),
    "consent": ("consentRequired", False),
    "full_scope": ("fullScopeAllowed", True),
}
_LISTS: Final = {
    "redirect_uris": "redirectUris",
    "web_origins": "webOrigins",
    "default_scopes": "defaultClientScopes",
    "optional_scopes": "optionalClientScopes",
}


class ClientAdapter:
    """Reads and writes clients. Keycloak's own clients are read and never ours."""

    kind = CLIENT

    def read(self, reader: Reader) -> Iterable[Resource]:
        """Every client."""
        rights: dict[str, list[str]] = {}
        for owner, mappings in (reader.export.get("clientScopeMappings") or {}).items():
            for mapping in mappings:
                if "client" in mapping:
                    rights.setdefault(mapping["client"], []).extend(f"{owner}:{role}" for role in mapping["roles"])
        for found in reader.export.get("clients") or ():
            attrs: dict[str, Json] = {ours: found.get(name, default) for ours, (name, default) in _FIELDS.items()}
            attrs |= {ours: sorted(found.get(name) or ()) for ours, name in _LISTS.items()}
            attrs["authenticator"] = None if attrs["public"] else attrs["authenticator"]
            attrs["mappers"] = sorted(mapper["name"] for mapper in found.get("protocolMappers") or ())
            attrs["flow_overrides"] = sorted(found.get("authenticationFlowBindingOverrides") or ())
            attrs["rights"] = sorted(rights.get(found["clientId"], ()))
            attrs["attributes"] = found.get("attributes") or {}
            # Never wanted and never written: it tells who cannot authenticate, whatever else is set.
            attrs["bearer_only"] = found.get("bearerOnly", False)
            ref = Ref(CLIENT, found["clientId"])
            yield Resource(ref, attrs, server_id=found["id"], managed=is_managed_client(found))

    def write(self, writer: Writer, change: Change) -> None:
        """Create, change or delete one client."""
        client_id = change.ref.name
        if change.action is Action.DELETE:
            assert change.before is not None  # noqa: S101
            writer.connection.delete(f"{writer.path}/clients/{change.before.server_id}")
            return
        assert change.after is not None  # noqa: S101
        wanted = change.after.attrs
        body = _representation(client_id, wanted)
        before: Mapping[str, Any] = change.before.attrs if change.before else {}
        if change.action is Action.CREATE:
            body |= {name: wanted[ours] for ours, name in _LISTS.items()}
            try:
                writer.remember(change.ref, writer.connection.post(f"{writer.path}/clients", body))
            except Refused as problem:
                if problem.status != 409:
                    raise
            # What Keycloak adds by itself to a new client is seen by looking.
            before = {"default_scopes": wanted["default_scopes"], "optional_scopes": wanted["optional_scopes"]}
        path = f"{writer.path}/clients/{lookup.client(writer, client_id)}"
        if change.action is Action.UPDATE:
            writer.connection.put(path, body)
        _settle_scopes(writer, path, "default", wanted["default_scopes"], before["default_scopes"])
        _settle_scopes(writer, path, "optional", wanted["optional_scopes"], before["optional_scopes"])
        _settle_rights(writer, path, set(wanted["rights"]), set(before.get("rights", ())))
        if before.get("mappers"):
            for mapper in writer.connection.get(f"{path}/protocol-mappers/models") or ():
                writer.connection.delete(f"{path}/protocol-mappers/models/{mapper['id']}")


def _representation(client_id: str, wanted: Mapping[str, Any]) -> dict[str, Json]:
    body = {name: wanted[ours] for ours, (name, _) in _FIELDS.items() if wanted[ours] is not None}
    body |= {
        "clientId": client_id,
        "protocol": "openid-connect",
        "redirectUris": wanted["redirect_uris"],
        "webOrigins": wanted["web_origins"],
        "authenticationFlowBindingOverrides": {"browser": "", "direct_grant": ""},
        # An empty value is how Keycloak is told to remove an attribute.
        "attributes": {name: value or "" for name, value in wanted["attributes"].items()},
    }
    return body


def _settle_scopes(writer: Writer, client: str, sort: str, wanted: list[str], had: list[str]) -> None:
    place = f"{client}/{sort}-client-scopes"
    for name in sorted(set(had) - set(wanted)):
        writer.connection.delete(f"{place}/{lookup.scope(writer, name)}")
    for name in sorted(set(wanted) - set(had)):
        writer.connection.put(f"{place}/{lookup.scope(writer, name)}", {})


def _settle_rights(writer: Writer, client: str, wanted: set[str], had: set[str]) -> None:
    for right in sorted(wanted ^ had):
        owner, name = right.split(":", 1)
        place = f"{client}/scope-mappings/clients/{lookup.client(writer, owner)}"
        role = [lookup.client_role(writer, owner, name)]
        if right in wanted:
            writer.connection.post(place, role)
        else:
            writer.connection.delete(place, role)
