"""Partners' keys in memory: derived when first needed, kept for a bounded time, never replaced silently.

    salts (Keycloak) ─┐
    pins (PostgreSQL) ─┼─▶ message ─ KMS.mac ─▶ K(partner, v) ─ fingerprint = pin? ─▶ kept `max_age` seconds
    root key (KMS) ────┘

Three holders have to agree before there is a key. Past its age a key is gone, and with the KMS,
Keycloak or PostgreSQL away there is then none: `KeyUnavailable`, 503. A salt that is missing, or that
leads to another fingerprint than the pinned one, is `KeyContextMismatch`.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import structlog

from vault_api.kms import Kms, KmsRefused, KmsUnavailable
from vault_api.salts import PartnerSalts, SaltsMissing, SaltsUnavailable
from vault_api.sealing.keys import PartnerKey, mac_message
from vault_api.store.database import DatabaseUnavailable
from vault_api.store.repository import KeyContext

_log = structlog.get_logger("vault_api.keyring")


class KeyUnavailable(Exception):
    """A key cannot be had now; nothing is wrong with the request. `holder` says who is away."""

    retry_after = 5

    def __init__(self, holder: str) -> None:
        super().__init__(f"{holder} does not answer")
        self.holder = holder


class KeyContextMismatch(Exception):
    """The partner's salt is missing or not the one its key was pinned with. Waiting does not help."""

    def __init__(self, partner: str, version: int | None, reason: str) -> None:
        super().__init__(f"{partner}, key version {version}: {reason}")
        self.partner = partner
        self.version = version
        self.reason = reason


class Salts(Protocol):
    """Who knows a partner's salts."""

    async def read(self, partner: str) -> PartnerSalts:
        """Raises SaltsMissing, SaltsUnavailable."""
        ...


class Pins(Protocol):
    """Who remembers what every key looked like at its first use."""

    async def key_contexts(self, partner: str) -> dict[int, KeyContext]: ...

    async def pin_key(self, partner: str, key_version: int, context: KeyContext) -> KeyContext: ...


@dataclass(frozen=True, slots=True)
class PartnerKeys:
    """The keys of one partner that agree with their pins, the reasons why others do not, and the current version."""

    partner: str
    current_version: int
    keys: Mapping[int, PartnerKey]
    refused: Mapping[int, str]
    loaded_at: float

    def current(self) -> PartnerKey:
        """The key to seal under. Raises KeyContextMismatch."""
        return self.version(self.current_version)

    def version(self, version: int) -> PartnerKey:
        """The key of that version. Raises KeyContextMismatch when there is none to be trusted."""
        key = self.keys.get(version)
        if key is None:
            reason = self.refused.get(version, "salt_missing")
            raise KeyContextMismatch(self.partner, version, reason)
        return key


class Keyring:
    """Derived keys of at most `max_partners` partners, each at most `max_age` seconds old."""

    def __init__(
        self,
        kms: Kms,
        salts: Salts,
        pins: Pins,
        *,
        max_age: float = 300.0,
        max_partners: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kms = kms
        self._salts = salts
        self._pins = pins
        self._max_age = max_age
        self._max_partners = max_partners
        self._clock = clock
        self._kept: OrderedDict[str, PartnerKeys] = OrderedDict()
        self._loading: dict[str, asyncio.Task[PartnerKeys]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    async def keys(self, partner: str) -> PartnerKeys:
        """The partner's keys.

        Raises KeyUnavailable when one of the three holders does not answer, KeyContextMismatch when
        Keycloak has no current salt for the partner.
        """
        kept = self._kept.get(partner)
        if kept is not None and 0 <= self._clock() - kept.loaded_at < self._max_age:
            return kept
        self._kept.pop(partner, None)
        task = self._loading.get(partner)
        if task is None:
            # One derivation for all who wait; shielded, because the one who started it may be cancelled.
            task = self._loading[partner] = asyncio.create_task(self._load(partner))
            task.add_done_callback(lambda _: self._loading.pop(partner, None))
        return await asyncio.shield(task)

    async def key(self, partner: str, version: int) -> PartnerKey:
        """The key of that version; one that was made after the others were loaded is looked for once.

        Raises KeyUnavailable, KeyContextMismatch.
        """
        keys = await self.keys(partner)
        if version not in keys.keys and version not in keys.refused:
            self.forget(partner)
            keys = await self.keys(partner)
        return keys.version(version)

    def forget(self, partner: str) -> None:
        """Drops what is kept of a partner, so that the next use asks the three holders again."""
        self._kept.pop(partner, None)

    async def _load(self, partner: str) -> PartnerKeys:
        # The age counts from before the holders are asked: their answers are at least that old.
        started = self._clock()
        try:
            salts = await self._salts.read(partner)
            pins = await self._pins.key_contexts(partner)
            keys: dict[int, PartnerKey] = {}
            refused: dict[int, str] = {}
            for version, salt in salts.versions.items():
                if version != salts.current and version not in pins:
                    continue  # Made and never used: it is pinned when it becomes current.
                try:
                    key = await self._agreed(partner, version, salt, pins.get(version))
                except KmsRefused:
                    if version == salts.current:
                        raise
                    # An older root key is gone for good: what it sealed does not open, and nothing else is touched.
                    refused[version] = "root_key_missing"
                    _log.critical("key.root_missing", partner=partner, key_version=version)
                    continue
                if key is None:
                    refused[version] = "fingerprint_differs"
                    _log.critical("key.context_mismatch", partner=partner, key_version=version)
                else:
                    keys[version] = key
        except SaltsMissing as error:
            raise KeyContextMismatch(partner, None, error.reason) from None
        except SaltsUnavailable:
            raise KeyUnavailable("Keycloak") from None
        except DatabaseUnavailable:
            raise KeyUnavailable("PostgreSQL") from None
        except (KmsUnavailable, KmsRefused):
            raise KeyUnavailable("the KMS") from None
        loaded = PartnerKeys(partner, salts.current, keys, refused, started)
        self._kept[partner] = loaded
        while len(self._kept) > self._max_partners:
            self._kept.popitem(last=False)
        return loaded

    async def _agreed(self, partner: str, version: int, salt: bytes, pin: KeyContext | None) -> PartnerKey | None:
        """The key if its fingerprint is the pinned one, pinning it if there is no pin; else None."""
        root = self._kms.current_version if pin is None else pin.root_version
        key = PartnerKey.from_mac(partner, version, await self._kms.mac(root, mac_message(partner, version, salt)))
        if pin is None:
            pin = await self._pins.pin_key(partner, version, KeyContext(root, key.fingerprint()))
            if pin.root_version != root:
                # Another worker pinned first, under another root key: that one counts.
                return await self._agreed(partner, version, salt, pin)
        return key if hmac.compare_digest(pin.fingerprint, key.fingerprint()) else None
