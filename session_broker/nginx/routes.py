"""The table of routes: which path goes where, behind which check, with which of the client's headers.

A request header that is not named here reaches nobody. Answers keep their headers but for those in HIDDEN.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from session_broker.nginx.site import Site

BROKER = "session-broker"
PAGES = "pages"
"""The workspace, by a name that no service has: theirs are those of the session broker's access file."""
IDENTITY = "keycloak"

API_HEADERS = (
    "Accept",
    "Content-Type",
    "If-Match",
    "If-None-Match",
    "Idempotency-Key",
    "User-Agent",
)
"""What a service may need of a client. `Authorization` is not among them: services get the internal token."""

BROKER_HEADERS = ("Accept", "Authorization", "Content-Type", "User-Agent")
"""Clients of the token endpoint authenticate with `Authorization` themselves."""

BROWSER_HEADERS = (
    "Accept",
    "Accept-Language",
    "Access-Control-Request-Headers",
    "Access-Control-Request-Method",
    "Authorization",
    "Content-Type",
    "Cookie",
    "DPoP",
    "If-Modified-Since",
    "If-None-Match",
    "Origin",
    "Referer",
    "User-Agent",
)
"""What Keycloak's pages and protocol endpoints need."""

PAGE_HEADERS = (
    "Accept",
    "Accept-Language",
    "Content-Type",
    "Cookie",
    "HX-Current-URL",
    "HX-Request",
    "If-Modified-Since",
    "If-None-Match",
    "Origin",
    "Referer",
    "Sec-Fetch-Dest",
    "Sec-Fetch-Mode",
    "Sec-Fetch-Site",
    "Sec-Fetch-User",
    "Unattended",
    "User-Agent",
)
"""What the workspace's pages need of a browser. No token is among it: the session is the cookie."""

HIDDEN = ("X-TradePulse-Authorization", "X-TradePulse-Token", "X-TradePulse-Legacy-Token", "X-Powered-By", "Server")
"""Headers of answers that no client sees."""

PUBLIC_REALM = {
    r"/\.well-known/": "/.well-known/openid-configuration",
    "/protocol/openid-connect/": "/protocol/openid-connect/certs",
    "/login-actions/": "/login-actions/authenticate",
    "/device(?:/|$)": "/device",
}
"""What of a realm is used from outside. Dynamic registration, SAML, the account console and all that is new are not."""

BROKER_CALLS = "(?:[a-z0-9][a-z0-9_-]*/(?:login|link|endpoint)(?:/.*)?|after-(?:first|post)-broker-login)"
"""Logins by way of another provider; not the endpoint that would hand out that provider's stored tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One `location`.

    match:    nginx's matching: `= /path` or `~ ^/regular/expression` (a prefix would redirect to itself with a slash)
    upstream: whose address in the configuration
    service:  the name whose audience the session broker issues for; empty where no check comes before
    headers:  request headers of the client that pass
    store:    whether clients and caches may keep answers as the upstream says
    sample:   a path that this route serves, for tests and documents
    logins:   whether each request begins a login, of which a client may begin only so many
    """

    match: str
    upstream: str
    headers: tuple[str, ...]
    sample: str
    service: str = ""
    store: bool = False
    logins: bool = False


def routes(site: Site) -> Iterator[Route]:
    """Every route of a site, services first."""
    prefixes = {"vault": "/v1/"}
    for name in site.services:
        prefix = prefixes.get(name, f"/{name}/")
        yield Route(match=f"~ ^{prefix}", upstream=name, service=name, headers=API_HEADERS, sample=f"{prefix}partners")
    for path in () if site.sidecar else ("/token", "/backchannel-logout"):
        yield Route(match=f"= {path}", upstream=BROKER, headers=BROKER_HEADERS, sample=path)
    if site.identity is not None:
        yield from _identity(f"/realms/{site.realm}")


def workspace_routes() -> Iterator[Route]:
    """Every route of the workspace's own host. Its health, its metrics and logouts of the realm are for inside."""
    inside = "auth/backchannel-logout(?:/|$)|health(?:/|$)|metrics(?:/|$)"
    yield Route(
        match="= /auth/login", upstream=PAGES, headers=PAGE_HEADERS, sample="/auth/login", store=True, logins=True
    )
    yield Route(match=f"~ ^/(?!{inside})", upstream=PAGES, headers=PAGE_HEADERS, sample="/partners/acme", store=True)


def _identity(realm: str) -> Iterator[Route]:
    for path, sample in PUBLIC_REALM.items():
        match = f"~ ^{realm}{path}"
        yield Route(match=match, upstream=IDENTITY, headers=BROWSER_HEADERS, sample=realm + sample, store=True)
    yield Route(
        match=f"~ ^{realm}/broker/{BROKER_CALLS}$",
        upstream=IDENTITY,
        headers=BROWSER_HEADERS,
        sample=f"{realm}/broker/workforce/endpoint",
        store=True,
    )
    yield Route(
        match="~ ^/resources/", upstream=IDENTITY, headers=BROWSER_HEADERS, sample="/resources/style.css", store=True
    )
