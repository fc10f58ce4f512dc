"""Clients, by type and flows, and what their service accounts may do.

A confidential client proves itself with its own key (private_key_jwt, RFC 7523): no static secret
is ever made. Without a key set it exists and cannot authenticate. A workload proves itself with a
token of its platform. Everything Keycloak would switch on by itself is said explicitly.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from admin_sync.desired.bridges import bridge_names
from admin_sync.desired.parts import Parts
from admin_sync.desired.providers import workload_alias
from admin_sync.load.document import ROLES
from admin_sync.load.schema import Client, ConfidentialClient, OidcProvider, PublicClient, WorkloadClient
from admin_sync.model import MANAGED_ATTRIBUTE, MANAGED_BY, Position, Ref
from admin_sync.refs import CLIENT, CLIENT_ROLE, PROVIDER, service_binding, service_right
from admin_sync.static_secrets import excepted

SERVICE_RIGHTS: Final = {
    "organizations:read": ("realm-management", ("view-organizations",)),
    "organizations:write": ("realm-management", ("manage-organizations",)),
}
"""Rights of a service account by their name in `roles.yaml`: the client that owns the roles, and the roles."""

EXCHANGE_AUDIENCES: Final = "tradepulse.exchange.audiences"
"""The client's setting that our extension reads: what its exchanged tokens may be for besides the realm's audience."""

_SCOPES: Final = ("acr", "basic", "organization", "tradepulse-identity")


def clients(parts: Parts) -> None:
    """Every client of this environment, and the one that stands for the internal audience."""
    document = parts.document
    audience = document.roles.realm.audience
    if document.roles.environments[parts.environment].base == "ours":
        parts.add(Ref(CLIENT, audience), document.at(ROLES, "realm", "audience"), _representation("Internal audience"))
        _audiences(parts)
    for name, client in document.roles.clients.items():
        if parts.here(client.environments) and document.enabled(client.enabled_if):
            origin = document.at(ROLES, "clients", name, key=True)
            match client:
                case ConfidentialClient():
                    _confidential(parts, name, client, origin)
                case PublicClient():
                    parts.add(Ref(CLIENT, name), origin, _public(parts, name, client))
                    _roles(parts, name, client)
                case WorkloadClient():
                    _workload(parts, name, client, origin)


def _representation(name: str, **changed: Any) -> dict[str, Any]:
    """A client that can do nothing, with what is changed of it."""
    attributes = {
        MANAGED_ATTRIBUTE: MANAGED_BY,
        "oauth2.device.authorization.grant.enabled": "false",
        "standard.token.exchange.enabled": "false",
        "oauth2.jwt.authorization.grant.enabled": "false",
        "oidc.ciba.grant.enabled": "false",
    }
    return {
        "display_name": name,
        "enabled": True,
        "public": False,
        "authenticator": "client-jwt",
        "standard_flow": False,
        "implicit_flow": False,
        "password_grant": False,
        "service_account": False,
        "authorization_services": False,
        "consent": False,
        "full_scope": False,
        "redirect_uris": [],
        "web_origins": [],
        "default_scopes": list(_SCOPES),
        "optional_scopes": [],
        "mappers": [],
        "rights": [],
        "flow_overrides": [],
        **changed,
        "attributes": attributes | changed.get("attributes", {}),
    }


def _redirects(parts: Parts, name: str, listed: Iterable[Iterable[str]]) -> list[str]:
    uris = {uri for some in listed for uri in some}
    taken = sorted(uri for uri in uris if parts.allowed(uri, redirect=True))
    for uri in sorted(uris.difference(taken)):
        parts.warnings.append(f"client {name}: {uri} is plain http, which {parts.environment} does not take; left out")
    return taken


def _interactive(
    parts: Parts, name: str, client: ConfidentialClient | PublicClient
) -> tuple[dict[str, Any], dict[str, str | None]]:
    """The settings and attributes of the flows that a person takes part in."""
    attributes: dict[str, str | None] = {
        "pkce.code.challenge.method": "S256",
        # A login that asks for no level gets the one that every interactive session needs.
        "default.acr.values": parts.document.policies.assurance.interactive,
        **_logout(parts, name, client),
    }
    if "device" in client.flows:
        attributes["oauth2.device.authorization.grant.enabled"] = "true"
    settings: dict[str, Any] = {"standard_flow": False, "redirect_uris": []}
    if "authorization_code" in client.flows:
        settings["redirect_uris"] = _redirects(parts, name, client.redirect_uris.values())
        settings["standard_flow"] = bool(settings["redirect_uris"])
        attributes["post.logout.redirect.uris"] = "+"
        settings["optional_scopes"] = ["offline_access"]
    return settings, attributes


def _public(parts: Parts, name: str, client: PublicClient) -> dict[str, Any]:
    settings, attributes = _interactive(parts, name, client)
    return _representation(
        client.display_name or name, public=True, authenticator=None, attributes=attributes, **settings
    )


def _confidential(parts: Parts, name: str, client: ConfidentialClient, origin: Position) -> None:
    settings, attributes = _interactive(parts, name, client)
    flows = set(client.flows)
    keys = parts.facts.keys.get(name)
    if keys is None and name in excepted(parts.document):
        settings |= _with_secret(parts, name)
    elif keys is None:
        parts.warnings.append(f"client {name}: no key set was found for it, so it cannot authenticate yet")
    attributes |= {"use.jwks.url": "false", "use.jwks.string": "true", "jwks.string": keys or '{"keys":[]}'}
    if "token_exchange" in flows:
        attributes["standard.token.exchange.enabled"] = "true"
    if "jwt_grant" in flows:
        attributes["oauth2.jwt.authorization.grant.enabled"] = "true"
        providers = _person_providers(parts)
        attributes["oauth2.jwt.authorization.grant.idp"] = "##".join(sorted([*providers, *bridge_names(parts)])) or None
        attributes["oauth2.jwt.authorization.grant.audience"] = _token_audiences(providers)
        attributes[EXCHANGE_AUDIENCES] = "##".join(sorted(client.exchange_audiences)) or None
    rights = _rights(client) if "client_credentials" in flows else []
    if "client_credentials" in flows:
        settings |= {"service_account": True, "default_scopes": sorted((*_SCOPES, "service_account"))}
    shown = client.display_name or name
    parts.add(Ref(CLIENT, name), origin, _representation(shown, attributes=attributes, rights=rights, **settings))
    _roles(parts, name, client)
    _held(parts, name, client)
    for right in rights:
        owner, role = right.split(":")
        parts.add(service_right(name, owner, role), origin, {"client": name, "owner": owner, "role": role})


def _with_secret(parts: Parts, name: str) -> dict[str, Any]:
    """What an exception for a static secret comes to, until it ends: something in realms of others alone."""
    if parts.document.roles.environments[parts.environment].base == "ours":
        parts.warnings.append(f"client {name}: its exception has no effect here, where a policy refuses static secrets")
        return {}
    return {"authenticator": "client-secret"}


def _roles(parts: Parts, name: str, client: ConfidentialClient | PublicClient) -> None:
    for role, section in client.roles.items():
        where = parts.document.at(ROLES, "clients", name, "roles", role, key=True)
        parts.add(
            Ref(CLIENT_ROLE, f"{name}/{role}"), where, {"description": section.description, "managed_by": MANAGED_BY}
        )


def _rights(client: ConfidentialClient) -> list[str]:
    named = (SERVICE_RIGHTS[right] for right in client.service_account_roles)
    return sorted({f"{owner}:{role}" for owner, roles in named for role in roles})


def _person_providers(parts: Parts) -> dict[str, OidcProvider]:
    """The identity providers whose tokens may be redeemed here: those that people log in with, by alias."""
    return {
        alias: provider
        for alias, provider in sorted(parts.document.roles.identity_providers.items())
        if isinstance(provider, OidcProvider) and parts.has(Ref(PROVIDER, alias))
    }


def _token_audiences(providers: Mapping[str, OidcProvider]) -> str | None:
    """Whom the providers' tokens have to be for, in Keycloak's own spelling of a map with several values.

    Left out, Keycloak would ask for its own issuer, which no token has that was made for somebody's login.
    """
    pairs = [
        {"key": alias, "value": audience}
        for alias, provider in providers.items()
        for audience in sorted(set(provider.token_audiences)) or [provider.client_id]
    ]
    return json.dumps(pairs, separators=(",", ":")) if pairs else None


def _audiences(parts: Parts) -> None:
    """A client that can do nothing for each audience of a service: Keycloak knows an audience only as a client."""
    for name, client in parts.document.roles.clients.items():
        if isinstance(client, ConfidentialClient) and parts.here(client.environments):
            for audience in client.exchange_audiences:
                if not parts.has(Ref(CLIENT, audience)) and audience not in parts.document.roles.clients:
                    origin = parts.document.at(ROLES, "clients", name, "exchange_audiences")
                    parts.add(Ref(CLIENT, audience), origin, _representation("Audience of a service"))


def _logout(parts: Parts, name: str, client: ConfidentialClient | PublicClient) -> dict[str, str | None]:
    url = client.logout_url
    if url is not None and not parts.allowed(url):
        parts.warnings.append(f"client {name}: {url} is plain http, which {parts.environment} does not take; left out")
        url = None
    return {"backchannel.logout.url": url, "backchannel.logout.session.required": "true" if url else None}


def _workload(parts: Parts, name: str, client: WorkloadClient, origin: Position) -> None:
    alias = workload_alias(client.issuer)
    if not parts.has(Ref(PROVIDER, alias)):
        parts.wait(Ref(CLIENT, name), origin, f"it waits for {Ref(PROVIDER, alias)}")
        return
    if parts.resources[Ref(PROVIDER, alias)].attrs.get("provider", client.platform) != client.platform:
        parts.wait(Ref(CLIENT, name), origin, "another client declares its issuer as another platform; correct one")
        return
    settings: dict[str, Any] = {
        "authenticator": "federated-jwt",
        "service_account": True,
        "default_scopes": sorted((*_SCOPES, "service_account")),
        "attributes": {"jwt.credential.issuer": alias, "jwt.credential.sub": client.subject},
    }
    parts.add(Ref(CLIENT, name), origin, _representation(_shown(name, client), **settings))
    _held(parts, name, client)


def _held(parts: Parts, name: str, client: Client) -> None:
    """The platform roles of a client's service account."""
    field, roles = client.service_roles
    for number, role in enumerate(roles):
        where = parts.document.at(ROLES, "clients", name, field, number)
        parts.add(service_binding(name, role), where, {"client": name, "role": role})


def _shown(name: str, client: Client) -> str:
    return client.display_name or name
