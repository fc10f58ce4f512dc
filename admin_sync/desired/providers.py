"""Identity providers, the groups they put people in, and the issuers that vouch for workloads."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final
from urllib.parse import urlsplit

from admin_sync.desired.facts import Secret, Unknown, digest, same_secret
from admin_sync.desired.parts import Parts
from admin_sync.desired.vouching import ADDRESS_MAPPER, asking, nobody, settings
from admin_sync.load.document import ROLES
from admin_sync.load.schema import ConfidentialClient, OidcProvider, Provider, WorkloadClient
from admin_sync.model import MANAGED_ATTRIBUTE, MANAGED_BY, Position, Ref
from admin_sync.refs import PROVIDER, PROVIDER_MAPPER

SECRET_DIGEST: Final = "tradepulse.secret"  # noqa: S105  (the name of a setting)
POST_BROKER_FLOW: Final = "tradepulse post broker"
"""The base realm's flow that asks for a factor of ours after a brokered login."""

_MAX_ASSERTION_AGE: Final = "3600"
"""Seconds since its issue after which an external token can no longer be redeemed (RFC 7523 grant)."""

_COMMON: Final = {
    "syncMode": "FORCE",
    "validateSignature": "true",
    "useJwksUrl": "true",
    MANAGED_ATTRIBUTE: MANAGED_BY,
}


def providers(parts: Parts) -> None:
    """The identity providers that people log in with here, then the issuers of workloads."""
    document = parts.document
    redeems = any(
        isinstance(client, ConfidentialClient) and "jwt_grant" in client.flows and parts.here(client.environments)
        for client in document.roles.clients.values()
    )
    for alias, provider in document.roles.identity_providers.items():
        if parts.here(provider.environments) and document.enabled(provider.enabled_if):
            _provider(parts, alias, provider, redeems=redeems)
    for name, client in document.roles.clients.items():
        if (
            isinstance(client, WorkloadClient)
            and parts.here(client.environments)
            and document.enabled(client.enabled_if)
        ):
            _workload_issuer(parts, client, document.at(ROLES, "clients", name, "issuer"))


def mapped_groups(parts: Parts) -> dict[str, frozenset[str]]:
    """The groups that each identity provider of this environment puts its people in."""
    return {
        alias: frozenset(provider.group_mappings.values())
        for alias, provider in parts.document.roles.identity_providers.items()
        if parts.has(Ref(PROVIDER, alias))
    }


def workload_alias(issuer: str) -> str:
    """The name of the provider that stands for a workload issuer."""
    parts = urlsplit(issuer)
    readable = re.sub(r"[^a-z0-9]+", "-", f"{parts.hostname}{parts.path}".lower()).strip("-")[:40]
    return f"workload-{readable}-{hashlib.sha256(issuer.encode()).hexdigest()[:8]}"


def _provider(parts: Parts, alias: str, provider: Provider, *, redeems: bool) -> None:
    document = parts.document
    ref = Ref(PROVIDER, alias)
    origin = document.at(ROLES, "identity_providers", alias, key=True)
    secret = parts.facts.secrets.get(alias, Unknown("its secret was not looked up"))
    known = parts.current.resources.get(ref)
    config: dict[str, Any] = {
        **_COMMON,
        **settings(provider),
        "clientId": provider.client_id,
        "defaultScope": " ".join(dict.fromkeys(["openid", "profile", "email", *provider.scopes])),
    }
    if isinstance(provider, OidcProvider):
        if not parts.allowed(provider.issuer):
            reason = f"its issuer is plain http, which {parts.environment} does not take; give it an https URL"
            _hold(parts, alias, provider, origin, reason)
            return
        endpoints = parts.facts.discovered.get(provider.issuer, Unknown("its issuer was not asked"))
        if isinstance(endpoints, Unknown):
            _hold(parts, alias, provider, origin, endpoints.reason)
            return
        refused = sorted(name for name, url in endpoints.items() if not parts.allowed(url))
        if refused:
            _hold(parts, alias, provider, origin, f"its discovery names plain http for {', '.join(refused)}")
            return
        config |= {**endpoints, "clientAuthMethod": "client_secret_post", "pkceEnabled": "true", "pkceMethod": "S256"}
        config["authorizationUrl"] = asking(endpoints["authorizationUrl"], provider)
    if redeems:
        config |= {
            "jwtAuthorizationGrantEnabled": "true",
            "jwtAuthorizationGrantMaxAllowedAssertionExpiration": _MAX_ASSERTION_AGE,
            # A bearer token is shown with every request of its holder, to brokers on several hosts. Only our broker can
            # redeem it, and what it gets ends with it.
            "jwtAuthorizationGrantAssertionReuseAllowed": "true",
        }
    if isinstance(secret, Unknown):
        _hold(parts, alias, provider, origin, secret.reason)
        return
    if nobody(provider):
        parts.warnings.append(f"{ref}: it may vouch for no e-mail address, so nobody can log in by it: email_domains")
    config[SECRET_DIGEST] = _digest(known.attrs.get("config", {}).get(SECRET_DIGEST) if known else None, secret)
    parts.add(
        ref,
        origin,
        {
            "provider": provider.type,
            "enabled": True,
            "display_name": provider.display_name or alias,
            "trust_email": True,
            "store_token": False,
            "link_only": False,
            "hide_on_login": False,
            "first_broker_flow": None,
            "post_broker_flow": POST_BROKER_FLOW,
            "config": config,
        },
        secrets=[f"config.{SECRET_DIGEST}"],
    )
    parts.add(
        Ref(PROVIDER_MAPPER, f"{alias}/address"),
        origin,
        {"mapper": ADDRESS_MAPPER, "upstream": None, "group": "", "sync_mode": "FORCE"},
    )
    for upstream, path in provider.group_mappings.items():
        parts.add(
            Ref(PROVIDER_MAPPER, f"{alias}/group {upstream}"),
            document.at(ROLES, "identity_providers", alias, "group_mappings", upstream, key=True),
            {
                "mapper": "oidc-advanced-group-idp-mapper",
                "upstream": upstream,
                "group": path,
                "sync_mode": "FORCE",
            },
        )


def _hold(parts: Parts, alias: str, provider: Provider, origin: Position, reason: str) -> None:
    """Leave a provider and its mappings as they are, for what we do not know may still be true."""
    ref = Ref(PROVIDER, alias)
    if ref in parts.current.resources:
        parts.warnings.append(f"{ref}: {reason}; it stays as it is")
        parts.keep(ref)
        for mapper in parts.current.resources:
            if mapper.kind == PROVIDER_MAPPER and mapper.name.startswith(f"{alias}/"):
                parts.keep(mapper)
    else:
        parts.wait(ref, origin, reason)


def _digest(known: str | None, secret: Secret) -> str:
    return known if known is not None and same_secret(known, secret.value) else digest(secret.value)


def _workload_issuer(parts: Parts, client: WorkloadClient, origin: Position) -> None:
    ref = Ref(PROVIDER, workload_alias(client.issuer))
    if parts.has(ref):
        return
    endpoints = parts.facts.discovered.get(client.issuer, Unknown("its issuer was not asked"))
    if client.platform == "kubernetes":
        # Keycloak asks the cluster for its keys, often as a pod of it; from here it need not be in reach.
        endpoints = {"issuer": client.issuer}
    if not parts.allowed(client.issuer):
        reason = f"the issuer is plain http, which {parts.environment} does not take; give it an https URL"
        endpoints = Unknown(reason)
    if isinstance(endpoints, Unknown):
        if ref in parts.current.resources:
            parts.warnings.append(f"{ref}: {endpoints.reason}; it stays as it is")
            parts.keep(ref)
        elif not any(pending.ref == ref for pending in parts.pending):
            parts.wait(ref, origin, endpoints.reason)
        return
    config: dict[str, Any] = {MANAGED_ATTRIBUTE: MANAGED_BY, **endpoints}
    if client.platform == "oidc":
        config |= {**_COMMON, "clientId": "workloads-only", "supportsClientAssertions": "true"}
    parts.add(
        ref,
        origin,
        {
            "provider": client.platform,
            "enabled": True,
            "display_name": f"Workloads of {client.issuer}",
            "trust_email": False,
            "store_token": False,
            # It vouches for workloads; no person can log in through it.
            "link_only": True,
            "hide_on_login": True,
            "first_broker_flow": None,
            "post_broker_flow": POST_BROKER_FLOW,
            "config": config,
        },
    )
