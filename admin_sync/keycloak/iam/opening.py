"""What of a realm's own settings lets somebody in, and stands in no file.

An identity provider or a user federation brings people, a key that somebody imported signs tokens, a mail
server reads what the realm sends, an address of a client takes what Keycloak sends there. Nothing of it is
ever made here. It is read so that `drift` tells of it; whoever put it there has to take it away, because
what hangs on it (links, accounts, tokens under that key) would be lost with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from admin_sync.keycloak.adapter import Reader, is_managed_client
from admin_sync.model import MANAGED_ATTRIBUTE, MANAGED_BY, Json, Resource
from admin_sync.refs import right

REALM: Final = "the realm"

_KEYS: Final = "org.keycloak.keys.KeyProvider"
_FEDERATION: Final = "org.keycloak.storage.UserStorageProvider"
_REGISTRATION: Final = "org.keycloak.services.clientregistration.policy.ClientRegistrationPolicy"
_COMPARED: Final = frozenset({"org.keycloak.userprofile.UserProfileProvider"})
"""Kinds of component that are an object of the plan."""

_ADDRESSES: Final = {"rootUrl": "root address", "adminUrl": "admin address", "baseUrl": "home address"}


def openings(reader: Reader) -> Iterator[Resource]:
    """Each as a right: of the realm, or of a client of ours. `provider` is the alias of an identity provider."""
    for found in reader.export.get("identityProviders") or ():
        if (found.get("config") or {}).get(MANAGED_ATTRIBUTE) != MANAGED_BY:
            yield _opening(REALM, f"identity provider {found['alias']}", provider=found["alias"])
    for what in (*_components(reader.export.get("components")), *_settings(reader.representation or {})):
        yield _opening(REALM, what)
    for client in reader.export.get("clients") or ():
        for name, called in _ADDRESSES.items() if is_managed_client(client) else ():
            if client.get(name):
                yield _opening(f"client {client['clientId']}", f"{called} {client[name]}")


def _opening(holder: str, what: str, **attrs: Json) -> Resource:
    return Resource(right(holder, what), {"opening": True, **attrs})


def _components(listed: Mapping[str, list[Any]] | None) -> Iterator[str]:
    if listed is None:
        return
    for sort, components in sorted(listed.items()):
        for one in sorted(components, key=lambda component: str(component.get("name"))):
            provider, name = one.get("providerId") or "", one.get("name") or ""
            if sort == _FEDERATION:
                yield f"user federation {name} ({provider})"
            elif sort == _KEYS:
                # A key that the server made for itself is known to nobody else.
                if not provider.endswith("-generated"):
                    yield f"imported key {name} ({provider})"
            elif sort not in _COMPARED and sort != _REGISTRATION:
                yield f"component {name} ({provider})"
    yield from _registration(listed.get(_REGISTRATION) or ())


def _registration(policies: Any) -> Iterator[str]:
    """Who may register clients without a token: nobody, as long as this policy is there and names no host."""
    hosts = [one for one in policies if one.get("subType") == "anonymous" and one.get("providerId") == "trusted-hosts"]
    if not hosts:
        yield "client registration from anywhere"
    for policy in hosts:
        config = policy.get("config") or {}
        if config.get("host-sending-registration-request-must-match") == ["false"]:
            yield "client registration from anywhere"
        for host in config.get("trusted-hosts") or ():
            yield f"client registration from {host}"


def _settings(representation: Mapping[str, Any]) -> Iterator[str]:
    mail = representation.get("smtpServer") or {}
    if mail.get("host"):
        yield f"mail server {mail['host']}:{mail.get('port') or 25}"
    address = (representation.get("attributes") or {}).get("frontendUrl")
    if address:
        yield f"address {address}"
