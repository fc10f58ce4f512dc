"""Client scopes: the claims of tokens, and which scopes a new client gets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from admin_sync.diff import Action, Change
from admin_sync.keycloak.adapter import Reader, Writer
from admin_sync.model import MANAGED_ATTRIBUTE, MANAGED_BY, Json, Ref, Resource

KIND = "client_scope"

_PROTOCOL = "openid-connect"
_FILLED_IN = {"userinfo.token.claim": "id.token.claim", "introspection.token.claim": "access.token.claim"}
_LISTS = {"default": "default-default-client-scopes", "optional": "default-optional-client-scopes"}


class ClientScopeAdapter:
    """Reads and writes client scopes with all their mappers.

    `mappers` is compared as a whole, so that a mapper added by hand to a scope of ours is a
    difference and goes. A scope is deleted only if it carries our mark.
    """

    kind = KIND

    def read(self, reader: Reader) -> Iterable[Resource]:
        """Every OpenID Connect scope of the realm."""
        if reader.representation is None:
            return
        export = reader.export
        assigned = dict.fromkeys(export.get("defaultDefaultClientScopes", []), "default")
        assigned |= dict.fromkeys(export.get("defaultOptionalClientScopes", []), "optional")
        for scope in export.get("clientScopes", []):
            if scope.get("protocol") != _PROTOCOL:
                continue
            attributes = scope.get("attributes") or {}
            attrs = {
                "description": scope.get("description") or "",
                "assign": assigned.get(scope["name"], "none"),
                "attributes": attributes,
                "mappers": [_mapper(mapper) for mapper in by_name(scope.get("protocolMappers") or [])],
            }
            yield Resource(
                Ref(KIND, scope["name"]),
                attrs,
                server_id=scope["id"],
                managed=attributes.get(MANAGED_ATTRIBUTE) == MANAGED_BY,
            )

    def write(self, writer: Writer, change: Change) -> None:
        """Create, change or delete the scope, and move it between the realm's lists."""
        scopes = f"{writer.path}/client-scopes"
        found = next((scope for scope in writer.connection.get(scopes) or [] if scope["name"] == change.ref.name), None)
        if change.action is Action.DELETE or change.after is None:
            if found is not None:
                writer.connection.delete(f"{scopes}/{found['id']}")
            return
        wanted = change.after.attrs
        if found is None:
            identity = writer.connection.post(scopes, _created(change.ref.name, wanted))
        else:
            identity = found["id"]
            self._update(writer, found, wanted)
        if "assign" in wanted:
            _assign(writer, str(identity), wanted["assign"])

    def _update(self, writer: Writer, found: Mapping[str, Json], wanted: Mapping[str, Json]) -> None:
        path = f"{writer.path}/client-scopes/{found['id']}"
        attributes = {**(found.get("attributes") or {}), **wanted.get("attributes", {})}
        kept = {name: value for name, value in attributes.items() if value is not None}
        description = wanted.get("description", found.get("description"))
        writer.connection.put(path, {**found, "description": description, "attributes": kept})
        if "mappers" not in wanted:
            return
        models = f"{path}/protocol-mappers/models"
        existing = {mapper["name"]: mapper for mapper in found.get("protocolMappers") or []}
        for mapper in wanted["mappers"]:
            old = existing.pop(mapper["name"], None)
            if old is not None and _mapper(old) == mapper:
                continue
            if old is not None and old["protocolMapper"] == mapper["mapper"]:
                writer.connection.put(f"{models}/{old['id']}", {**_model(mapper), "id": old["id"]})
                continue
            if old is not None:
                writer.connection.delete(f"{models}/{old['id']}")
            writer.connection.post(models, _model(mapper))
        for left in existing.values():
            writer.connection.delete(f"{models}/{left['id']}")


def by_name(mappers: Iterable[Json]) -> list[Json]:
    """Mappers in the order in which they are compared."""
    return sorted(mappers, key=lambda mapper: str(mapper["name"]))


def normal_config(config: Mapping[str, Json]) -> dict[str, Json]:
    """A mapper's configuration with what Keycloak fills in when it creates a mapper, and not when it updates one."""
    result = dict(config)
    for name, default in _FILLED_IN.items():
        if default in result:
            result.setdefault(name, result[default])
    return result


def _mapper(mapper: Mapping[str, Json]) -> dict[str, Json]:
    config = normal_config(mapper.get("config") or {})
    return {"name": mapper["name"], "mapper": mapper["protocolMapper"], "config": config}


def _model(mapper: Mapping[str, Json]) -> dict[str, Json]:
    return {
        "name": mapper["name"],
        "protocol": _PROTOCOL,
        "protocolMapper": mapper["mapper"],
        "config": mapper["config"],
    }


def _created(name: str, wanted: Mapping[str, Json]) -> dict[str, Json]:
    return {
        "name": name,
        "protocol": _PROTOCOL,
        "description": wanted.get("description", ""),
        "attributes": wanted.get("attributes", {}),
        "protocolMappers": [_model(mapper) for mapper in wanted.get("mappers", [])],
    }


def _assign(writer: Writer, identity: str, where: str) -> None:
    # Out of the other list first: Keycloak keeps a scope in one of them.
    for name, path in _LISTS.items():
        if name != where:
            writer.connection.delete(f"{writer.path}/{path}/{identity}")
    if where in _LISTS:
        writer.connection.put(f"{writer.path}/{_LISTS[where]}/{identity}")
