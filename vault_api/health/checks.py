"""What the vault depends on, asked one by one, each in bounded time. A check never raises and names no secret."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import httpx

from identity.outbound import OutboundError, exchange
from vault_api.salts import SaltsUnavailable
from vault_api.store.database import DatabaseUnavailable
from vault_api.vault import Vault

_SECONDS = 2.0
_REMEMBERED = 1.0


@dataclass(frozen=True, slots=True)
class Check:
    """The state of one dependency. One that is not `required` is reported and does not make us unready."""

    ok: bool
    detail: str
    required: bool = True


async def _database(vault: Vault) -> Check:
    try:
        await vault.database.rows("SELECT 1")
    except DatabaseUnavailable as error:
        return Check(False, str(error))
    return Check(True, "answers")


async def _kms(vault: Vault) -> Check:
    health = await vault.kms.health()
    return Check(health.ok, f"{health.provider}, root key version {health.current_version} {health.detail}".strip())


async def _salts(vault: Vault) -> Check:
    try:
        async with asyncio.timeout(_SECONDS):
            await vault.salts.check()
    except (SaltsUnavailable, TimeoutError) as error:
        # Keys that were derived while Keycloak still answered serve until their age; then nothing opens any more.
        return Check(vault.salts.silent_seconds < vault.settings.key_seconds, str(error) or "does not answer")
    return Check(True, "answers")


async def _policy(vault: Vault) -> Check:
    try:
        reply = await exchange(
            vault.http, "GET", f"{vault.settings.opa_url}/health?bundles", max_bytes=4096, timeout=_SECONDS
        )
    except (OutboundError, httpx.InvalidURL) as error:
        return Check(False, str(error))
    return Check(reply.status == 200, f"answers {reply.status}, revision {vault.policy.revision or 'not seen yet'}")


async def _keys_of_issuer(vault: Vault) -> Check:
    ready = await vault.jwks.ready()
    age = vault.jwks.age()
    return Check(ready, "no usable keys" if age is None else f"fetched {int(age)} s ago")


async def _audit_file(vault: Vault) -> Check:
    behind, shipper = vault.shipper.behind_seconds, vault.shipper
    state = "another worker ships" if shipper.standby else f"{int(behind)} s behind"
    # Every event is safe in PostgreSQL already, so a short lag is no reason to take the vault away.
    return Check(
        behind <= vault.settings.audit_lag_seconds, f"{state}, last round failed" if shipper.failing else state
    )


CHECKS: Mapping[str, Callable[[Vault], Awaitable[Check]]] = {
    "database": _database,
    "kms": _kms,
    "salts": _salts,
    "policy": _policy,
    "issuer_keys": _keys_of_issuer,
    "audit_file": _audit_file,
}


class Readiness:
    """Runs all checks at once and remembers the result for a second, so that a flood of probes costs one."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._checked_at = float("-inf")
        self._result: Mapping[str, Check] = {}
        self._lock = asyncio.Lock()

    async def checks(self) -> Mapping[str, Check]:
        """The state of everything the vault depends on."""
        async with self._lock:
            if time.monotonic() - self._checked_at >= _REMEMBERED:
                states = await asyncio.gather(*(self._bounded(check) for check in CHECKS.values()))
                self._result = dict(zip(CHECKS, states, strict=True))
                self._checked_at = time.monotonic()
            return self._result

    async def _bounded(self, check: Callable[[Vault], Awaitable[Check]]) -> Check:
        try:
            async with asyncio.timeout(_SECONDS + 1.0):
                return await check(self._vault)
        except TimeoutError:
            return Check(False, "does not answer")
