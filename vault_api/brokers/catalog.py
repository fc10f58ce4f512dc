"""Brokers and partners' wishes, read from OPA, which took them out of a signed bundle.

They thus change with the policy and never apart from it, nobody but the holder of the bundle key can
slip in a token endpoint, and a broker that is added to the configuration needs no restart. What was
read is believed for some seconds, and while OPA is away until it is too old.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import httpx
import orjson
import structlog
from pydantic import ValidationError

from identity.outbound import OutboundError, exchange
from vault_api.brokers.schemas import Broker, CatalogDocument, PartnerWishes

_log = structlog.get_logger("vault_api.brokers")

_PATH = "/v1/data/tradepulse/iam/vault"


class CatalogUnavailable(Exception):
    """Nobody says which brokers there are."""

    retry_after = 5


class UnknownBroker(Exception):
    """The configuration has no such broker, or has switched it off."""


class Catalog:
    """What the bundle says about brokers and partners.

    fresh: seconds for which an answer is believed without asking
    stale: seconds for which the last answer is believed while OPA gives none
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        opa_url: str,
        *,
        fresh: float = 5.0,
        stale: float = 3600.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = http
        self._url = opa_url.rstrip("/") + _PATH
        self._fresh = fresh
        self._stale = stale
        self._clock = clock
        self._read_at = float("-inf")
        self._document: CatalogDocument | None = None

    async def broker(self, name: str) -> Broker:
        """Raises UnknownBroker, CatalogUnavailable."""
        found = (await self._current()).brokers.get(name)
        if found is None:
            raise UnknownBroker(name)
        return found

    async def brokers(self) -> Mapping[str, Broker]:
        """Every broker by its name. Raises CatalogUnavailable."""
        return (await self._current()).brokers

    async def partners(self) -> frozenset[str]:
        """Every partner of the configuration. Raises CatalogUnavailable."""
        return frozenset((await self._current()).partners)

    async def wishes(self, partner: str) -> PartnerWishes:
        """A partner's wishes; one that the bundle does not know has no connections released anyway.

        Raises CatalogUnavailable.
        """
        found = (await self._current()).partners.get(partner)
        return found or PartnerWishes(approve_connections=True, alert_routes=())

    async def _current(self) -> CatalogDocument:
        now = self._clock()
        if self._document is not None and now - self._read_at < self._fresh:
            return self._document
        try:
            reply = await exchange(self._http, "GET", self._url, max_bytes=8_000_000, timeout=2.0, attempts=2)
            if reply.status != 200:
                raise OutboundError(f"OPA answered {reply.status}")
            self._document = CatalogDocument.model_validate(orjson.loads(reply.body)["result"])
            self._read_at = now
        except (OutboundError, httpx.InvalidURL, ValueError, KeyError, TypeError, ValidationError) as error:
            _log.warning("catalog.unread", problem=type(error).__name__)
            if self._document is None or now - self._read_at >= self._stale:
                raise CatalogUnavailable("the policy engine does not say which brokers there are") from None
        return self._document
