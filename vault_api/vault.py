"""The vault put together: every part, made from the settings, in the order in which one needs the other.

This is the only place that knows all of them. Starting fails with one clear line (`StartRefused`)
rather than coming up half: without a KMS that can MAC, on a database whose row security can be
walked around, or with a secret file that others can read, there is no vault.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
import structlog
from starlette.requests import Request

from identity.jwks import JwksCache
from identity.opa import OpaClient
from identity.outbound import client
from identity.secret import SecretUnreadable, read_secret
from identity.service_token import ServiceToken
from identity.verify import TokenVerifier
from vault_api.alerts.routes import AlertRoutes
from vault_api.break_glass.custody import Custody
from vault_api.break_glass.proof import ProofKeys
from vault_api.break_glass.repository import CustodyRepository
from vault_api.brokers.compose import Brokers, open_brokers
from vault_api.connections.service import ConnectionService
from vault_api.gate import Gate
from vault_api.keyring import Keyring
from vault_api.kms import KmsRefused, WatchedKms, open_kms
from vault_api.leases.compose import Leases, open_leases
from vault_api.leases.repository import LeaseRepository
from vault_api.legacy.compose import Legacy, open_legacy
from vault_api.legacy.connections import ConnectionsInMigration
from vault_api.members.compose import MemberParts, open_members
from vault_api.metrics import Metrics
from vault_api.rotation.compose import Rotator, open_rotator
from vault_api.rotation.requests import Rotations
from vault_api.salts import KeycloakSalts
from vault_api.settings import VaultSettings
from vault_api.simulation.directory import Directory
from vault_api.simulation.opening import Simulations
from vault_api.simulation.repository import SimulationRepository
from vault_api.store import posture
from vault_api.store.database import Database, DatabaseUnavailable
from vault_api.store.migrate import needed_revision
from vault_api.store.repository import Repository
from vault_api.trail.record import Trail
from vault_api.trail.rejected import RejectedTokens
from vault_api.trail.shipper import Pending, Shipper

_log = structlog.get_logger("vault_api.vault")


class StartRefused(Exception):
    """The vault does not start. The text is one clear line with the next step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vault:
    """Everything that serves requests."""

    settings: VaultSettings
    metrics: Metrics
    kms: WatchedKms
    database: Database
    repository: Repository
    salts: KeycloakSalts
    keyring: Keyring
    jwks: JwksCache
    policy: OpaClient
    trail: Trail
    rejected: RejectedTokens
    gate: Gate
    connections: ConnectionService
    brokers: Brokers
    alerts: AlertRoutes
    leases: Leases
    legacy: Legacy | None
    members: MemberParts
    custody: Custody
    simulations: Simulations
    rotations: Rotations
    rotator: Rotator | None
    shipper: Shipper
    http: httpx.AsyncClient


def vault_of(request: Request) -> Vault:
    """The vault that serves this request."""
    vault: Vault = request.app.state.vault
    return vault


@asynccontextmanager
async def open_vault(settings: VaultSettings) -> AsyncIterator[Vault]:
    """A running vault, shipper included; on the way out it ships what is committed and closes.

    Raises StartRefused.
    """
    async with AsyncExitStack() as stack:
        try:
            vault = await _build(settings, stack)
        except (KmsRefused, SecretUnreadable, DatabaseUnavailable, posture.DatabaseRefused, ValueError) as error:
            raise StartRefused(str(error)) from None
        vault.shipper.start()
        stack.push_async_callback(vault.shipper.stop)
        # Before the shipper stops, which ships that line too.
        stack.push_async_callback(vault.rejected.close)
        yield vault


async def _build(settings: VaultSettings, stack: AsyncExitStack) -> Vault:
    kms = await open_kms(settings)
    stack.push_async_callback(kms.close)
    if kms.sealed is not None:
        _log.warning("vault.sealed", why=kms.sealed)
    kms.start()
    metrics = Metrics()
    password = read_secret(settings.database_password_file, name="VAULT_DATABASE_PASSWORD_FILE")
    database = await Database.connect(
        settings.database_url,
        password.text(),
        size=settings.database_pool,
        statement_seconds=settings.statement_seconds,
    )
    stack.push_async_callback(database.close)
    await posture.require(database, needed_revision())

    http = await stack.enter_async_context(client())
    key = read_secret(settings.client_key_file, name="VAULT_CLIENT_KEY_FILE")
    token = ServiceToken(
        http, settings.service_token_url or settings.token_url, settings.client_id, key, audience=settings.issuer
    )
    jwks = JwksCache(http, settings.jwks_url)
    verifier = TokenVerifier(settings.token_policy(), jwks, name_key=settings.audit_mac_key())
    policy = OpaClient(http, settings.opa_url)

    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(
            settings.database_url,
            password=password.text(),
            timeout=5.0,
            server_settings={"application_name": "vault-api shipper", "statement_timeout": "10000", "timezone": "UTC"},
        )

    pending = Pending()
    repository = Repository(database, appended=pending.add)
    trail = Trail(repository, metrics, node=settings.node)
    shipper = Shipper(
        connect,
        pending,
        settings.audit_dir / "api_events.jsonl",
        metrics,
        node=settings.node,
        checkpoints_dir=settings.checkpoints_dir,
        checkpoint_key=settings.audit_checkpoint_key(),
        mended=trail.record,
    )
    rejected = RejectedTokens(trail, metrics)
    simulations = SimulationRepository(database, appended=pending.add)
    gate = Gate(verifier, policy, trail, rejected, metrics, simulations=simulations, environment=settings.environment)
    salts = KeycloakSalts(http, settings.keycloak_admin_url, token)
    keyring = Keyring(kms, salts, repository, max_age=settings.key_seconds)
    brokers = await open_brokers(
        settings,
        stack,
        http=http,
        database=database,
        appended=pending.add,
        keyring=keyring,
        trail=trail,
        gate=gate,
        metrics=metrics,
    )
    legacy = open_legacy(settings.legacy_key_file, database, appended=pending.add)
    parts = (repository, keyring, trail, gate, metrics)
    more: dict[str, Any] = {"freshness": brokers.freshness, "catalog": brokers.catalog}
    connections = (
        ConnectionService(*parts, **more)
        if legacy is None
        else ConnectionsInMigration(legacy.rows, legacy.phases, legacy.key, *parts, **more)
    )
    leases = await open_leases(
        settings,
        LeaseRepository(database, appended=pending.add),
        stack,
        http=http,
        connections=connections,
        keyring=keyring,
        policy=policy,
        trail=trail,
        gate=gate,
        metrics=metrics,
    )
    rotations = Rotations(database, trail, pause_seconds=settings.settle_seconds + 2 * settings.key_seconds)
    return Vault(
        settings=settings,
        metrics=metrics,
        kms=kms,
        database=database,
        repository=repository,
        salts=salts,
        keyring=keyring,
        jwks=jwks,
        policy=policy,
        trail=trail,
        rejected=rejected,
        gate=gate,
        connections=connections,
        brokers=brokers,
        alerts=AlertRoutes(
            database,
            catalog=brokers.catalog,
            keyring=keyring,
            trail=trail,
            gate=gate,
            policy=policy,
            appended=pending.add,
            environment=settings.environment,
            development=settings.development,
            mail=bool(settings.smtp),
        ),
        leases=leases,
        legacy=legacy,
        members=open_members(
            settings,
            http=http,
            token=token,
            database=database,
            appended=pending.add,
            trail=trail,
            gate=gate,
            rejected=rejected,
            policy=policy,
            catalog=brokers.catalog,
        ),
        custody=Custody(
            CustodyRepository(database, appended=pending.add),
            kms,
            trail,
            gate,
            ProofKeys.from_file(settings.approval_keys_file),
        ),
        simulations=Simulations(simulations, Directory(http, settings.opa_url), trail, gate),
        rotations=rotations,
        rotator=await open_rotator(settings, http, stack),
        shipper=shipper,
        http=http,
    )
