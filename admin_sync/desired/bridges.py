"""Token bridges: issuers whose assertions about people who exist here are redeemed (RFC 7523), and nothing more."""

from __future__ import annotations

from collections.abc import Iterable

from admin_sync.desired.parts import Parts
from admin_sync.desired.vouching import ASSURANCE, EMAIL_DOMAINS
from admin_sync.load.document import ROLES
from admin_sync.model import MANAGED_ATTRIBUTE, MANAGED_BY, Ref
from admin_sync.refs import PROVIDER

_MAX_ASSERTION_AGE = "120"
"""Seconds since its issue; the bridge makes an assertion for the moment, and never uses one twice."""


def bridges(parts: Parts) -> None:
    """The token bridges of this environment, as Keycloak's own kind of provider without a login."""
    document = parts.document
    for alias, bridge in document.roles.token_bridges.items():
        if not (parts.here(bridge.environments) and document.enabled(bridge.enabled_if)):
            continue
        ref = Ref(PROVIDER, alias)
        origin = document.at(ROLES, "token_bridges", alias, key=True)
        if not (parts.allowed(bridge.issuer) and parts.allowed(bridge.jwks_url)):
            reason = f"its issuer or key set is plain http, which {parts.environment} does not take; give https URLs"
            if ref in parts.current.resources:
                parts.warnings.append(f"{ref}: {reason}; it stays as it is")
                parts.keep(ref)
            else:
                parts.wait(ref, origin, reason)
            continue
        parts.add(
            ref,
            origin,
            {
                "provider": "jwt-authorization-grant",
                "enabled": True,
                "display_name": bridge.display_name or alias,
                "trust_email": False,
                "store_token": False,
                "link_only": True,
                "hide_on_login": True,
                "first_broker_flow": None,
                "post_broker_flow": None,
                "config": {
                    MANAGED_ATTRIBUTE: MANAGED_BY,
                    "issuer": bridge.issuer,
                    "useJwksUrl": "true",
                    "jwksUrl": bridge.jwks_url,
                    "jwtAuthorizationGrantEnabled": "true",
                    "jwtAuthorizationGrantMaxAllowedAssertionExpiration": _MAX_ASSERTION_AGE,
                    "jwtAuthorizationGrantAssertionReuseAllowed": "false",
                    # Always written: nothing that somebody adds by hand gives its word any worth.
                    EMAIL_DOMAINS: "[]",
                    ASSURANCE: "{}",
                },
            },
        )


def bridge_names(parts: Parts) -> Iterable[str]:
    """The bridges that exist here."""
    return sorted(alias for alias in parts.document.roles.token_bridges if parts.has(Ref(PROVIDER, alias)))
