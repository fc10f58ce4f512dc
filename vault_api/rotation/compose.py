"""The rotating worker put together, from settings that the serving process does not have."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass

import asyncpg
import httpx

from identity.secret import read_secret
from identity.service_token import ServiceToken
from vault_api.rotation.gate_store import GateStore
from vault_api.rotation.salt_writer import SaltWriter
from vault_api.settings import VaultSettings
from vault_api.store.database import DatabaseUnavailable


@dataclass(frozen=True, slots=True)
class Rotator:
    """What changing keys takes: the salts' writer in Keycloak and the rows' mover in PostgreSQL."""

    store: GateStore
    salts: SaltWriter


async def open_rotator(settings: VaultSettings, http: httpx.AsyncClient, stack: AsyncExitStack) -> Rotator | None:
    """The rotator; None in a process that was not given its settings, which then rotates nothing.

    Raises SecretUnreadable, DatabaseUnavailable.
    """
    if settings.rotator_url is None or settings.rotator_password_file is None or settings.rotator_key_file is None:
        return None
    password = read_secret(settings.rotator_password_file, name="VAULT_ROTATOR_DATABASE_PASSWORD_FILE")
    key = read_secret(settings.rotator_key_file, name="VAULT_ROTATOR_CLIENT_KEY_FILE")
    try:
        pool = await asyncpg.create_pool(
            settings.rotator_url,
            password=password.text(),
            min_size=1,
            max_size=4,
            timeout=5.0,
            command_timeout=30.0,
            server_settings={
                "application_name": "vault-rotator",
                "statement_timeout": "30000",
                # Whoever serves requests may hold a row or a trail; a rotation waits for them only so long.
                "lock_timeout": "10000",
                "idle_in_transaction_session_timeout": "30000",
                "timezone": "UTC",
            },
        )
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise DatabaseUnavailable(f"PostgreSQL does not let the rotator in: {type(error).__name__}") from None
    stack.push_async_callback(pool.close)
    token = ServiceToken(
        http,
        settings.service_token_url or settings.token_url,
        settings.rotator_client_id,
        key,
        audience=settings.issuer,
    )
    return Rotator(GateStore(pool), SaltWriter(http, settings.keycloak_admin_url, token))
