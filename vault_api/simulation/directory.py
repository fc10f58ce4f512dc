"""Which partners there are, of which persona, and which roles each may hand out: read from OPA, out of the bundle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import httpx
import orjson
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from identity.outbound import OutboundError, exchange
from vault_api.brokers.catalog import CatalogUnavailable

_PATH: Final = "/v1/data/tradepulse/iam/partners"
_MOST: Final = 8_000_000


class PartnerFacts(BaseModel):
    """What the policy knows of a partner, as far as it is needed here."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    persona: str
    roles: tuple[str, ...]


_Partners: Final = TypeAdapter(dict[str, PartnerFacts])


class Directory:
    """Asks each time: a simulation begins a few times a day."""

    def __init__(self, http: httpx.AsyncClient, opa_url: str) -> None:
        self._http = http
        self._url = opa_url.rstrip("/") + _PATH

    async def partners(self) -> Mapping[str, PartnerFacts]:
        """Every partner by its name. Raises CatalogUnavailable."""
        try:
            reply = await exchange(self._http, "GET", self._url, max_bytes=_MOST, timeout=2.0, attempts=2)
            if reply.status != 200:
                raise CatalogUnavailable(f"the policy engine answers {reply.status}")
            return _Partners.validate_python(orjson.loads(reply.body)["result"])
        except (OutboundError, ValueError, KeyError, TypeError, ValidationError):
            raise CatalogUnavailable("the policy engine does not say which partners there are") from None
