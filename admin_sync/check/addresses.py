"""URLs: https everywhere, plain http only to the same machine and only where people are local.

`allowed` is also what decides, environment by environment, whether an object with such an address
is made at all: a development default must not open a door in an environment of federated people.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from urllib.parse import urlsplit

from admin_sync.errors import Finding
from admin_sync.load.document import BROKERS, PARTNERS, ROLES, Document
from admin_sync.load.positions import PathPart
from admin_sync.load.schema import OidcProvider, WorkloadClient


def wrong_with(url: str) -> str | None:
    """Why a URL is not acceptable anywhere, or None."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "this is no URL"
    if parts.scheme not in {"https", "http"} or not parts.hostname or port == 0:
        return "write an absolute https URL"
    if not url.isascii():
        return "a URL is written in ASCII (RFC 3986), a host name of other letters as xn--…; many letters look alike"
    if any(sign in '\\#"<>' or sign.isspace() or not sign.isprintable() for sign in url) or "@" in parts.netloc:
        return "a URL here has no user name, no fragment, no white space and no backslash"
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        return "use https; plain http is only for the same machine"
    return None


def is_loopback(host: str) -> bool:
    """Whether a host name can only mean this machine (RFC 6761 gives `localhost` that meaning)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    return is_loopback_literal(host)


def is_loopback_literal(host: str) -> bool:
    """Whether a host is a loopback IP address, which is what RFC 8252 lets native apps listen on everywhere."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def allowed(document: Document, environment: str, url: str, *, redirect: bool = False) -> bool:
    """Whether a URL that `wrong_with` accepts may be used in an environment."""
    parts = urlsplit(url)
    if parts.scheme == "https" or document.policies.people.get(environment) == "local":
        return True
    return redirect and is_loopback_literal(parts.hostname or "")


def _plain_nowhere_local(document: Document, environments: list[str] | None, url: str) -> str | None:
    reason = wrong_with(url)
    if reason is None and not any(allowed(document, one, url) for one in environments or document.environments):
        return "use https; plain http to the same machine is only for environments whose people are local"
    return reason


def _finding(document: Document, file: str, place: tuple[PathPart, ...], reason: str | None) -> Iterator[Finding]:
    if reason is not None:
        yield Finding.at(document.at(file, *place), "url", f"{'.'.join(map(str, place))}: {reason}")


def client_addresses(document: Document) -> Iterator[Finding]:
    for name, client in document.roles.clients.items():
        if isinstance(client, WorkloadClient):
            reason = _plain_nowhere_local(document, client.environments, client.issuer)
            yield from _finding(document, ROLES, ("clients", name, "issuer"), reason)
            continue
        if client.logout_url is not None:
            reason = _plain_nowhere_local(document, client.environments, client.logout_url)
            yield from _finding(document, ROLES, ("clients", name, "logout_url"), reason)
        for use, uris in client.redirect_uris.items():
            for number, uri in enumerate(uris):
                place = ("clients", name, "redirect_uris", use, number)
                if "*" in uri:
                    yield from _finding(document, ROLES, place, "a redirect URI has no wildcard")
                    continue
                yield from _finding(document, ROLES, place, _wrong_redirect(document, client.environments, uri))


def _wrong_redirect(document: Document, environments: list[str] | None, uri: str) -> str | None:
    reason = wrong_with(uri)
    if reason is None and ("/../" in f"{uri}/" or "%2e" in uri.lower() or "%2f" in uri.lower()):
        return "a redirect URI is compared as text; write its path without dots and escapes"
    if reason is None and not any(
        allowed(document, one, uri, redirect=True) for one in environments or document.environments
    ):
        return "use https; http://localhost is only for environments whose people are local"
    return reason


def provider_addresses(document: Document) -> Iterator[Finding]:
    for alias, provider in document.roles.identity_providers.items():
        if isinstance(provider, OidcProvider):
            reason = _plain_nowhere_local(document, provider.environments, provider.issuer)
            yield from _finding(document, ROLES, ("identity_providers", alias, "issuer"), reason)
    for alias, bridge in document.roles.token_bridges.items():
        for field, url in (("issuer", bridge.issuer), ("jwks_url", bridge.jwks_url)):
            reason = _plain_nowhere_local(document, bridge.environments, url)
            yield from _finding(document, ROLES, ("token_bridges", alias, field), reason)


def webhook_addresses(document: Document) -> Iterator[Finding]:
    for alias, partner in document.partners.partners.items():
        for number, route in enumerate(partner.alert_routes):
            if route.webhook is not None:
                place = ("partners", alias, "alert_routes", number, "webhook")
                yield from _finding(document, PARTNERS, place, _plain_nowhere_local(document, None, route.webhook))


def broker_addresses(document: Document) -> Iterator[Finding]:
    for name, broker in document.brokers.brokers.items():
        for field in ("issuer", "authorize_url", "token_url", "revoke_url"):
            url = getattr(broker, field)
            if url is not None:
                yield from _finding(
                    document, BROKERS, ("brokers", name, field), _plain_nowhere_local(document, None, url)
                )
