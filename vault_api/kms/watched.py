"""A provider under watch: sealed until it has proven itself, asked now and then how it is.

A vault that is started while its KMS is away comes up sealed: whatever needs a key is answered with 503,
health says why, and the vault unseals by itself when the KMS is back. One that is misconfigured does
not come up at all; only a provider that never answered may be waited for.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog

from vault_api.kms.seam import Kms, KmsHealth, KmsRefused, KmsUnavailable, self_test

_log = structlog.get_logger("vault_api.kms")

_FIRST, _LONGEST = 0.5, 10.0
"""Seconds between attempts to unseal: doubled from the first to the longest."""


class WatchedKms:
    """Answers with the provider once that passed the self-test; until then nobody gets a MAC.

    every: seconds between looks at a provider that works, so that a new root key version is seen
    """

    def __init__(self, kms: Kms, *, every: float = 15.0) -> None:
        self._kms = kms
        self._every = every
        self._sealed: str | None = "the KMS has not been asked yet"
        self._watch: asyncio.Task[None] | None = None

    @property
    def sealed(self) -> str | None:
        """Why there is no key at all, None once the provider has proven itself."""
        return self._sealed

    @property
    def current_version(self) -> int:
        return self._kms.current_version

    async def mac(self, key_version: int, message: bytes) -> bytes:
        if self._sealed is not None:
            raise KmsUnavailable(f"sealed: {self._sealed}")
        return await self._kms.mac(key_version, message)

    async def look(self) -> None:
        await self._kms.look()

    async def health(self) -> KmsHealth:
        health = await self._kms.health()
        if self._sealed is None:
            return health
        return KmsHealth(False, health.provider, health.current_version, f"sealed: {health.detail or self._sealed}")

    async def unseal(self) -> bool:
        """Tries once; whether the provider has proven itself. Raises KmsRefused when it answers wrongly."""
        try:
            await self_test(self._kms)
        except KmsUnavailable as error:
            self._sealed = str(error)
            return False
        if self._sealed is not None:
            _log.info("kms.unsealed", root_version=self._kms.current_version)
        self._sealed = None
        return True

    def start(self) -> None:
        """Begins to watch."""
        self._watch = asyncio.create_task(self._look())

    async def close(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch
        await self._kms.close()

    async def _look(self) -> None:
        pause = _FIRST
        while True:
            await asyncio.sleep(self._every if self._sealed is None else pause)
            try:
                if self._sealed is None:
                    await self._kms.health()
                    continue
                await self.unseal()
            except KmsRefused as error:
                self._sealed = str(error)
            except Exception as error:  # noqa: BLE001 - a driver's surprise must not end the watch, and nobody would know
                _log.error("kms.watch_failed", problem=type(error).__name__)
            if self._sealed is not None:
                _log.warning("kms.sealed", why=self._sealed)
            pause = min(2 * pause, _LONGEST)
