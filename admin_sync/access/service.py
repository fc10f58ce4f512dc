"""The service put together: every part, made from the settings, in the order in which one needs the other."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

import asyncpg
import httpx
import structlog
from fastapi import Request

from admin_sync.access.configured import Configured
from admin_sync.access.desk import Desk
from admin_sync.access.gate import Gate, Trail
from admin_sync.access.metrics import Metrics
from admin_sync.access.settings import AccessSettings
from admin_sync.access.store.database import Database, DatabaseUnavailable
from admin_sync.access.store.expiry import expire
from admin_sync.access.store.ledger import SOURCE
from admin_sync.access.store.migrate import needed_revision
from admin_sync.auth_health.collector import Collector
from admin_sync.auth_health.daily import DailyReport
from admin_sync.auth_health.pulse import Pulse
from admin_sync.auth_health.store import Figures
from admin_sync.break_glass.desk import EmergencyDesk
from admin_sync.break_glass.proof import Signer
from admin_sync.break_glass.store import Openings
from identity.audit.shipper import Pending, Shipped, Shipper
from identity.jwks import JwksCache
from identity.opa import OpaClient
from identity.outbound import client
from identity.principal import Principal
from identity.secret import SecretUnreadable, read_secret
from identity.verify import TokenVerifier

_log = structlog.get_logger("admin_sync.access")

_SHIPPED: Final = Shipped(schema="access", source=SOURCE, lock=0x61636373)  # "accs"
_SWEEP: Final = 5.0
"""Seconds between two looks for requests whose end has passed; a decision looks by itself."""


class StartRefused(Exception):
    """The service does not start. The text is one clear line with the next step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Everything that serves requests."""

    settings: AccessSettings
    metrics: Metrics
    database: Database
    desk: Desk
    emergencies: EmergencyDesk
    gate: Gate
    jwks: JwksCache
    shipper: Shipper
    figures: Figures
    pulse: Pulse
    collector: Collector
    http: httpx.AsyncClient


def access_of(request: Request) -> Access:
    """The service that serves this request; a FastAPI dependency."""
    access: Access = request.app.state.access
    return access


async def person(request: Request) -> Principal:
    """The person who sends this request; a FastAPI dependency. Raises what `Gate.person` raises."""
    return await access_of(request).gate.person(request)


@asynccontextmanager
async def open_access(settings: AccessSettings) -> AsyncIterator[Access]:
    """The running service, shipper included; on the way out it ships what is committed. Raises StartRefused."""
    async with AsyncExitStack() as stack:
        try:
            access = await _build(settings, stack)
        except (SecretUnreadable, DatabaseUnavailable, ValueError) as error:
            raise StartRefused(str(error)) from None
        access.shipper.start()
        stack.push_async_callback(access.shipper.stop)
        # Before the shipper stops, which ships that line too.
        stack.push_async_callback(access.gate.rejected.close)
        beside = [asyncio.create_task(_sweep(access)), asyncio.create_task(access.collector.run())]
        try:
            yield access
        finally:
            for task in beside:
                task.cancel()
            for task in beside:
                with suppress(asyncio.CancelledError):
                    await task
            access.collector.close()


async def _build(settings: AccessSettings, stack: AsyncExitStack) -> Access:
    metrics = Metrics()
    password = read_secret(settings.database_password_file, name="ACCESS_DATABASE_PASSWORD_FILE").text()
    database = await Database.connect(
        settings.database_url, password, size=settings.database_pool, statement_seconds=settings.statement_seconds
    )
    stack.push_async_callback(database.close)
    await _at_home(database)
    http = await stack.enter_async_context(client())
    jwks = JwksCache(http, settings.jwks_url)
    verifier = TokenVerifier(settings.token_policy(), jwks, name_key=settings.audit_mac_key())
    policy = OpaClient(http, settings.opa_url)

    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(
            settings.database_url,
            password=password,
            timeout=5.0,
            server_settings={"application_name": "access shipper", "statement_timeout": "10000", "timezone": "UTC"},
        )

    pending = Pending()
    trail = Trail(database, metrics, node=settings.node, appended=pending.add)
    gate = Gate(verifier, policy, trail, metrics, environment=settings.environment)
    configured = Configured(settings.config, settings.roster_file, dict(os.environ))
    shipper = Shipper(
        _SHIPPED,
        connect,
        pending,
        settings.audit_dir / "iam_events.jsonl",
        metrics,
        node=settings.node,
        checkpoints_dir=settings.checkpoints_dir,
        checkpoint_key=settings.audit_checkpoint_key(),
        mended=trail.record,
    )
    desk = Desk(database, configured, gate, trail, node=settings.node, appended=pending.add)
    signer = None if settings.approval_key_file is None else Signer.from_file(settings.approval_key_file)
    emergencies = EmergencyDesk(desk, Openings(database, settings.node), signer)
    figures, pulse = Figures(database), Pulse(database)
    collector = Collector(
        figures,
        http,
        audit=settings.audit_dir / "iam_events.jsonl",
        pages=settings.metrics_by_name,
        environment=settings.environment,
        node=settings.node,
        emergencies=emergencies.figures,
        daily=None
        if settings.report_dir is None
        else DailyReport(figures, pulse, settings.report_dir, environment=settings.environment),
    )
    return Access(
        settings=settings,
        metrics=metrics,
        database=database,
        desk=desk,
        emergencies=emergencies,
        figures=figures,
        pulse=pulse,
        collector=collector,
        gate=gate,
        jwks=jwks,
        shipper=shipper,
        http=http,
    )


async def _at_home(database: Database) -> None:
    """Raises StartRefused unless the schema is this code's and the role may do no more than it has to."""
    try:
        revision = (await database.rows("SELECT version_num FROM access.alembic_version"))[0]["version_num"]
    except (DatabaseUnavailable, LookupError):
        raise StartRefused("the schema `access` is not there; run `python -m admin_sync.access migrate`") from None
    if revision != needed_revision():
        raise StartRefused(
            f"the schema `access` is at revision {revision}, this code needs {needed_revision()}; "
            "run `python -m admin_sync.access migrate`"
        )
    mighty = await database.rows(
        "SELECT 1 FROM pg_roles r WHERE r.rolname = current_user AND (r.rolsuper OR r.rolcreaterole OR r.rolbypassrls)"
        " UNION ALL SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = 'access' AND pg_get_userbyid(c.relowner) = current_user"
        " UNION ALL SELECT 1 FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE r.rolname = current_user"
    )
    if mighty:
        raise StartRefused("the service's database role owns the schema or may do more than it has to; use access_app")


async def _sweep(access: Access) -> None:
    """Says of requests whose end has passed that they have expired, for whoever waits for one."""
    while True:
        try:
            if await expire(access.database, access.settings.node):
                access.desk.told()
        except DatabaseUnavailable:
            # A decision looks at the end by itself; the log has why PostgreSQL does not answer.
            _log.warning("expiry.later")
        await asyncio.sleep(_SWEEP)
