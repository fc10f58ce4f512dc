"""Everything that has to do with brokers, put together from the vault's parts; `vault_api/vault.py` calls it once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx

from identity.destination import guarded_client
from vault_api.alerts.mail import Mails
from vault_api.alerts.routes import RouteStore
from vault_api.alerts.task import DeliverAlerts
from vault_api.alerts.webhook import Webhooks
from vault_api.brokers.catalog import Catalog
from vault_api.brokers.metadata import Metadata
from vault_api.brokers.oauth import ANSWER_SECONDS, BrokerClient
from vault_api.brokers.secrets import NamedSecrets
from vault_api.gate import Gate
from vault_api.keyring import Keyring
from vault_api.linking.decisions import LinkDecisions
from vault_api.linking.finishing import LinkFinishing
from vault_api.linking.repository import LinkRepository
from vault_api.linking.revoking import RevokeAtBroker
from vault_api.linking.starting import LinkStarting
from vault_api.metrics import Metrics
from vault_api.refresh.freshness import ReleaseFreshness
from vault_api.refresh.refresher import Refresher
from vault_api.refresh.repository import RefreshRepository
from vault_api.refresh.tasks import RefreshDue, RelinkDue
from vault_api.settings import VaultSettings
from vault_api.store.database import Database
from vault_api.trail.record import Trail
from vault_api.worker.claims import Claims
from vault_api.worker.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Linking:
    """What serves requests about links."""

    starting: LinkStarting
    finishing: LinkFinishing
    decisions: LinkDecisions


@dataclass(frozen=True, slots=True, kw_only=True)
class Brokers:
    """What the vault does with brokers: asked to, before a release, and without being asked."""

    catalog: Catalog
    client: BrokerClient
    linking: Linking
    freshness: ReleaseFreshness
    refresh: RefreshRepository
    tasks: Sequence[Task]


async def open_brokers(
    settings: VaultSettings,
    stack: AsyncExitStack,
    *,
    http: httpx.AsyncClient,
    database: Database,
    appended: Callable[[str], None],
    keyring: Keyring,
    trail: Trail,
    gate: Gate,
    metrics: Metrics,
) -> Brokers:
    """Builds all; `stack` closes it, after refreshes that are under way have ended.

    `http` reaches OPA. Brokers and webhooks are called by a client of their own that reaches public
    addresses only, outside development.
    """
    outside = await stack.enter_async_context(guarded_client(allow_local=settings.development, timeout=ANSWER_SECONDS))
    secrets = NamedSecrets()
    catalog = Catalog(http, settings.opa_url)
    client = BrokerClient(outside, Metadata(outside), secrets)
    claims = Claims(database)
    links, refreshes = LinkRepository(database, appended=appended), RefreshRepository(database, appended=appended)
    refresher = Refresher(
        claims=claims,
        repository=refreshes,
        catalog=catalog,
        client=client,
        keyring=keyring,
        trail=trail,
        metrics=metrics,
    )
    stack.push_async_callback(refresher.close)
    linking = Linking(
        starting=LinkStarting(
            repository=links,
            catalog=catalog,
            metadata=client.metadata,
            keyring=keyring,
            trail=trail,
            gate=gate,
            redirect_uris=settings.link_redirect_uris,
        ),
        finishing=LinkFinishing(
            repository=links, catalog=catalog, client=client, keyring=keyring, trail=trail, gate=gate
        ),
        decisions=LinkDecisions(links, keyring, trail, gate, metrics),
    )
    tasks: list[Task] = [
        RefreshDue(claims, refresher, refreshes, metrics),
        RelinkDue(claims, refreshes, trail),
        RevokeAtBroker(claims=claims, repository=links, catalog=catalog, client=client, keyring=keyring, trail=trail),
        DeliverAlerts(
            claims=claims,
            routes=RouteStore(database, keyring),
            database=database,
            catalog=catalog,
            webhooks=Webhooks(outside, secrets),
            mails=Mails(settings),
            trail=trail,
            metrics=metrics,
            appended=appended,
        ),
    ]
    return Brokers(
        catalog=catalog,
        client=client,
        linking=linking,
        freshness=ReleaseFreshness(claims, refreshes, refresher),
        refresh=refreshes,
        tasks=tasks,
    )
