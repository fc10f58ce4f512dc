"""The workspace put together: every part, made from the settings, in the order in which one needs the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

import asyncpg
import httpx
import structlog
from fastapi import Request

from identity.client_key import ClientKey
from identity.jwks import JwksCache
from identity.jws import ALGORITHMS, parse
from identity.login.errors import LoginFailed
from identity.login.registration import Registration
from identity.logout_token import LogoutIssuer, LogoutToken, open_logout_token
from identity.outbound import client
from identity.schema_head import head
from identity.secret import SecretUnreadable, read_secret
from identity.verify import TokenVerifier
from workspace.login.realm import Realm
from workspace.metrics import Metrics
from workspace.session.sessions import Sessions
from workspace.session.store import Store, StoreUnavailable
from workspace.settings import WorkspaceSettings
from workspace.upstream.service import Service

SOURCE: Final = "workspace"
"""How logs and audit lines name this service."""

_SWEEP_SECONDS: Final = 300.0
_LOGOUT_BYTES: Final = 16_384

_log = structlog.get_logger(SOURCE)


class StartRefused(Exception):
    """The service does not start. The text is one clear line with the next step."""


class Logouts:
    """Reads logout tokens of our realm for our client."""

    def __init__(self, settings: WorkspaceSettings, keys: JwksCache) -> None:
        issuer = LogoutIssuer("realm", settings.issuer, frozenset({settings.client_id}), ALGORITHMS, keys)
        self._issuers = {settings.issuer: issuer}

    async def read(self, token: str) -> LogoutToken:
        """What ended. Raises TokenRejected and KeysUnavailable."""
        return await open_logout_token(parse(token, algorithms=ALGORITHMS, max_bytes=_LOGOUT_BYTES), self._issuers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """Everything that serves requests."""

    settings: WorkspaceSettings
    metrics: Metrics
    keys: JwksCache
    realm: Realm
    store: Store
    sessions: Sessions
    logouts: Logouts
    vault: Service
    access: Service
    http: httpx.AsyncClient


def workspace_of(request: Request) -> Workspace:
    """The service that serves this request; a FastAPI dependency."""
    found: Workspace = request.app.state.workspace
    return found


@asynccontextmanager
async def open_workspace(settings: WorkspaceSettings) -> AsyncIterator[Workspace]:
    """A running workspace; on the way out it ends what still runs. Raises StartRefused."""
    async with AsyncExitStack() as stack:
        try:
            workspace = await _build(settings, stack)
        except (SecretUnreadable, LoginFailed, ValueError) as problem:
            raise StartRefused(str(problem)) from None
        sweeper = asyncio.create_task(_sweep(workspace.store), name="sweep")
        try:
            yield workspace
        finally:
            sweeper.cancel()
            with suppress(asyncio.CancelledError):
                await sweeper


async def _build(settings: WorkspaceSettings, stack: AsyncExitStack) -> Workspace:
    key = read_secret(settings.client_key_file, name="WORKSPACE_CLIENT_KEY_FILE")
    registration = Registration(settings.issuer, settings.client_id, settings.audience)
    http = await stack.enter_async_context(client())
    keys = JwksCache(http, settings.jwks_url)
    stack.push_async_callback(keys.close)
    realm = Realm(http, registration, ClientKey(settings.client_id, key, audience=settings.issuer), keys)
    store = Store(await _pool(settings, stack), idle_seconds=settings.idle_seconds)
    await _check_revision(store)
    verifier = TokenVerifier(settings.token_policy(), keys, name_key=settings.audit_mac_key())
    renewals = max(1, settings.database_connections // 2)
    sessions = Sessions(store, realm, verifier, seconds=settings.session_seconds, renewals=renewals)
    stack.push_async_callback(sessions.close)
    return Workspace(
        settings=settings,
        metrics=Metrics(),
        keys=keys,
        realm=realm,
        store=store,
        sessions=sessions,
        logouts=Logouts(settings, keys),
        vault=Service(http, "the vault", f"{settings.vault_url}/v1"),
        access=Service(http, "the access service", f"{settings.access_url}/access/v1"),
        http=http,
    )


async def _pool(settings: WorkspaceSettings, stack: AsyncExitStack) -> asyncpg.Pool:
    password = read_secret(settings.database_password_file, name="WORKSPACE_DATABASE_PASSWORD_FILE").text().strip()
    try:
        pool = await asyncpg.create_pool(
            settings.database_url,
            password=password,
            min_size=1,
            max_size=settings.database_connections,
            timeout=5.0,
            command_timeout=10.0,
            server_settings={"statement_timeout": "9000", "idle_in_transaction_session_timeout": "20000"},
        )
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as problem:
        raise StartRefused(
            f"WORKSPACE_DATABASE_URL: PostgreSQL does not let us in ({type(problem).__name__}); "
            "see that it runs and that the password file is the role's"
        ) from None
    stack.push_async_callback(pool.close)
    return pool


async def _check_revision(store: Store) -> None:
    wanted = head("workspace.session")
    try:
        found = await store.revision()
    except StoreUnavailable:
        found = "none"
    if found != wanted:
        raise StartRefused(f"the schema is at revision {found} and not {wanted}: run `python -m workspace migrate`")


async def _sweep(store: Store) -> None:
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        try:
            await store.sweep()
        except StoreUnavailable:
            _log.warning("sweep.later")
