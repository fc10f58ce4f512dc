"""The broker put together: every part, made from the settings, in the order in which one needs the other.

This is the only place that knows all of them. Starting fails with one clear line (`StartRefused`).
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import httpx
from starlette.requests import Request

from identity.audit.log import AuditLog
from identity.client_key import ClientKey
from identity.jwks import JwksCache
from identity.logout_token import LogoutIssuer
from identity.outbound import client
from identity.secret import SecretUnreadable, read_secret
from identity.service_token import ServiceToken
from identity.verify import TokenPolicy, TokenVerifier
from session_broker.access import INTERNAL, Access, AccessRefused, load_access
from session_broker.admission import Door, PlainDoor
from session_broker.breaker import CircuitBreaker
from session_broker.cache import GrantCache
from session_broker.doorkeeper import Doorkeeper
from session_broker.ended import EndedSessions, EndedUnavailable
from session_broker.external import ExternalVerifier
from session_broker.internal import InternalVerifier
from session_broker.keycloak import KeycloakExchange
from session_broker.leases import Leases
from session_broker.metrics import Metrics
from session_broker.migration.opening import Migration, open_migration
from session_broker.migration.phase_file import PhaseUnavailable
from session_broker.migration.settings import MigrationSettings
from session_broker.refusals import Refusals
from session_broker.relays import Relays
from session_broker.settings import BrokerSettings
from session_broker.trail import Trail
from session_broker.verify import Dispatch, Verifier

_VERIFIED = 100
"""Verified tokens that one verifier remembers."""

SOURCE = "session-broker"
"""How audit lines name this service."""


class StartRefused(Exception):
    """The broker does not start. The text is one clear line with the next step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Everything that serves requests."""

    settings: BrokerSettings
    access: Access
    metrics: Metrics
    audit: AuditLog
    trail: Trail
    keys: Mapping[str, JwksCache]
    """By provider; our own realm's under `access.INTERNAL`."""
    dispatch: Dispatch
    logout_issuers: Mapping[str, LogoutIssuer]
    breaker: CircuitBreaker
    ended: EndedSessions
    door: Door
    migration: Migration | None
    leases: Leases | None
    relays: Relays
    name_of: Callable[[str], str]


def broker_of(request: Request) -> Broker:
    """The broker that serves this request."""
    broker: Broker = request.app.state.broker
    return broker


@asynccontextmanager
async def open_broker(settings: BrokerSettings) -> AsyncIterator[Broker]:
    """A running broker; on the way out it ends what still runs and writes what it owes. Raises StartRefused."""
    async with AsyncExitStack() as stack:
        try:
            broker = await _build(settings, stack)
        except (AccessRefused, SecretUnreadable, EndedUnavailable, PhaseUnavailable, ValueError) as error:
            raise StartRefused(str(error)) from None
        except OSError as error:
            raise StartRefused(f"SESSION_BROKER_STATE_DIR: {settings.state_dir}: {error.strerror}") from None
        yield broker


async def _build(settings: BrokerSettings, stack: AsyncExitStack) -> Broker:
    access = load_access(settings.access_file)
    if any(rule.issuer == settings.issuer for rule in access.providers.values()):
        raise AccessRefused("a provider has our own realm's issuer; its tokens need no exchange")
    key = read_secret(settings.client_key_file, name="SESSION_BROKER_CLIENT_KEY_FILE")
    name_key = settings.audit_mac_key()
    metrics = Metrics()
    http = await stack.enter_async_context(client())
    audit = AuditLog(
        settings.audit_dir / "api_events.jsonl",
        source=SOURCE,
        node=settings.node,
        checkpoint_key=settings.audit_checkpoint_key(),
        checkpoints_dir=settings.checkpoints_dir,
    )
    trail = Trail(audit, metrics)
    stack.push_async_callback(trail.close)
    keys = {INTERNAL: JwksCache(http, settings.jwks_url)}
    keys |= {name: JwksCache(http, rule.jwks_url) for name, rule in access.providers.items()}
    for cache in keys.values():
        stack.push_async_callback(cache.close)
    # Only to name tokens in audit lines, so that the vault's lines and ours call a token alike.
    policy = TokenPolicy(
        issuer=settings.issuer,
        audience=settings.audience,
        environment=settings.environment,
        clients=frozenset(),
    )
    name_of = TokenVerifier(policy, keys[INTERNAL], name_key=name_key).name
    verifiers: dict[str, tuple[str, Verifier]] = {
        rule.issuer: (name, ExternalVerifier(name, rule, keys[name], name_of))
        for name, rule in access.providers.items()
    }
    audiences = frozenset(rule.audience for rule in access.services.values())

    def internal(clients: frozenset[str]) -> InternalVerifier:
        return InternalVerifier(
            audiences,
            keys[INTERNAL],
            issuer=settings.issuer,
            environment=settings.environment,
            clients=clients,
            name_key=name_key,
            clock=time.time,
            # Who was verified is remembered as a grant.
            cache_size=_VERIFIED,
        )

    # A token that was exchanged is for the service that it was handed to, and comes back from nobody. Beside one
    # service it is what comes: a sidecar exchanges nothing, and looks at what the broker in front has exchanged.
    exchanges = any(rule.providers for rule in access.services.values())
    own = frozenset({settings.client_id}) if exchanges else frozenset()
    verifiers[settings.issuer] = (INTERNAL, internal(settings.clients - own))
    dispatch = Dispatch(verifiers)
    breaker = CircuitBreaker(failures=settings.breaker_failures, pause=settings.breaker_seconds)
    exchange = KeycloakExchange(
        http,
        settings.token_url,
        ClientKey(settings.client_id, key, audience=settings.issuer),
        metrics,
        breaker=breaker,
        timeout=settings.exchange_seconds,
        at_once=settings.exchanges_at_once,
    )
    ended = EndedSessions(settings.state_dir)
    stack.callback(ended.close)
    migration = None
    if settings.migration_file is not None:
        migration = open_migration(
            MigrationSettings(), realm=settings.issuer, state_dir=settings.state_dir, name_of=name_of
        )
    doorkeeper = Doorkeeper(
        dispatch=dispatch,
        exchange=exchange,
        own=internal(frozenset({settings.client_id})),
        cache=GrantCache(size=settings.cache_size),
        refusals=Refusals(size=settings.cache_size, seconds=settings.refusal_seconds),
        ended=ended,
        trail=trail,
        metrics=metrics,
        window=settings.revocation_seconds,
        bridge=None if migration is None else migration.bridge,
    )
    stack.push_async_callback(doorkeeper.close)
    leases = _leases(settings, http, ServiceToken(http, settings.token_url, settings.client_id, key), trail, metrics)
    if leases is not None:
        stack.push_async_callback(leases.errands.close)
    relays = Relays(http, settings.logout_relays, trail, metrics)
    stack.push_async_callback(relays.errands.close)
    return Broker(
        settings=settings,
        access=access,
        metrics=metrics,
        audit=audit,
        trail=trail,
        keys=keys,
        dispatch=dispatch,
        logout_issuers=_logout_issuers(settings, access, keys),
        breaker=breaker,
        ended=ended,
        door=PlainDoor(doorkeeper)
        if migration is None
        else migration.desk(doorkeeper, trail, metrics, window=settings.revocation_seconds),
        migration=migration,
        leases=leases,
        relays=relays,
        name_of=name_of,
    )


def _leases(
    settings: BrokerSettings, http: httpx.AsyncClient, token: ServiceToken, trail: Trail, metrics: Metrics
) -> Leases | None:
    return None if settings.vault_url is None else Leases(http, settings.vault_url, token, trail, metrics)


def _logout_issuers(
    settings: BrokerSettings, access: Access, keys: Mapping[str, JwksCache]
) -> Mapping[str, LogoutIssuer]:
    """Our realm, for the clients that are named, and every provider, for the audiences that its tokens have."""
    issuers = {
        rule.issuer: LogoutIssuer(name, rule.issuer, rule.audiences, rule.algorithms, keys[name])
        for name, rule in access.providers.items()
    }
    algorithms = settings.token_policy().algorithms
    own = LogoutIssuer(INTERNAL, settings.issuer, settings.logout_clients, algorithms, keys[INTERNAL])
    return {**issuers, settings.issuer: own}
