"""Leases put together from the vault's parts; `vault_api/vault.py` calls it once."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx

from identity.destination import guarded_client
from identity.opa import OpaClient
from vault_api.brokers.catalog import Catalog
from vault_api.brokers.metadata import Metadata
from vault_api.brokers.oauth import BrokerClient
from vault_api.brokers.secrets import NamedSecrets
from vault_api.connections.service import ConnectionService
from vault_api.gate import Gate
from vault_api.keyring import Keyring
from vault_api.leases.admission import Admission
from vault_api.leases.broker import BrokerTokens
from vault_api.leases.holdings import LeaseHoldings
from vault_api.leases.issuing import LeaseIssuing
from vault_api.leases.keeper import LeaseKeeper
from vault_api.leases.postgres import PostgresTarget
from vault_api.leases.repository import LeaseRepository
from vault_api.leases.seals import LeaseSeals
from vault_api.leases.targets import Target
from vault_api.leases.templates import read_policy
from vault_api.metrics import Metrics
from vault_api.settings import VaultSettings
from vault_api.trail.record import Trail


@dataclass(frozen=True, slots=True)
class Leases:
    """What serves requests for leases, and what ends them."""

    issuing: LeaseIssuing
    holdings: LeaseHoldings
    keeper: LeaseKeeper


async def open_leases(
    settings: VaultSettings,
    repository: LeaseRepository,
    stack: AsyncExitStack,
    *,
    http: httpx.AsyncClient,
    connections: ConnectionService,
    keyring: Keyring,
    policy: OpaClient,
    trail: Trail,
    gate: Gate,
    metrics: Metrics,
) -> Leases:
    """Reads the operator's file and builds all; what has to be closed is on `stack`. Raises LeasesRefused."""
    lendable = read_policy(settings.leases_file)
    targets: dict[tuple[str, str], Target] = {
        ("postgresql", name): PostgresTarget(database) for name, database in lendable.databases.items()
    }
    if lendable.brokers:
        outside = await stack.enter_async_context(guarded_client(allow_local=settings.environment == "dev"))
        brokers = BrokerClient(outside, Metadata(outside), NamedSecrets())
        catalog = Catalog(http, settings.opa_url)
        targets |= {("broker_token", name): BrokerTokens(name, brokers, catalog) for name in lendable.brokers}
    seals = LeaseSeals(keyring, gate)
    keeper = LeaseKeeper(
        repository,
        targets,
        seals,
        policy=policy,
        trail=trail,
        metrics=metrics,
        environment=settings.environment,
        recheck=settings.lease_review_seconds,
    )
    holdings = LeaseHoldings(repository, keeper, policy=lendable, trail=trail, gate=gate)
    issuing = LeaseIssuing(
        repository,
        holdings,
        keeper,
        Admission(gate, lendable),
        policy=lendable,
        targets=targets,
        seals=seals,
        connections=connections,
        trail=trail,
        gate=gate,
        metrics=metrics,
    )
    return Leases(issuing, holdings, keeper)
