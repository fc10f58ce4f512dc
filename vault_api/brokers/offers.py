"""What somebody may do with a partner's connections, and with which brokers: asked of the policy, and nothing else.

It allows nothing. A page leaves out by it what would only say no; every call is decided again when it is made. What
a stronger login would allow counts as allowed, because the page leads there.
"""

from __future__ import annotations

import asyncio
from typing import Final

from pydantic import BaseModel, Field

from identity.opa import OpaClient
from vault_api import problems
from vault_api.brokers.catalog import Catalog, CatalogUnavailable
from vault_api.gate import Admitted
from vault_api.permissions import Call

_DECIDED: Final = (Call.APPROVE, Call.REVOKE)


class OfferedBroker(BaseModel):
    """A broker that the caller may link for this partner."""

    broker: str
    display_name: str
    scopes: tuple[str, ...] = Field(description="What the broker is asked for")


class Offers(BaseModel):
    """What the caller may do here."""

    partner: str
    may: tuple[str, ...] = Field(description="Permissions of the caller on this partner's connections")
    brokers: tuple[OfferedBroker, ...] = Field(description="Those that the caller may link, by display name")
    approval_needed: bool = Field(description="Whether somebody else has to approve each link")
    proactive_refresh: bool = Field(description="Whether pages that are open keep the session renewed")


class OfferedCalls:
    """Works out offers. `environment` is the one that this vault is of."""

    def __init__(self, policy: OpaClient, catalog: Catalog, *, environment: str) -> None:
        self._policy = policy
        self._catalog = catalog
        self._environment = environment

    async def to(self, admitted: Admitted) -> Offers:
        """The offers to a caller. Raises Problem 503 and PolicyUnavailable."""
        try:
            brokers = await self._catalog.brokers()
            wishes = await self._catalog.wishes(admitted.partner)
        except CatalogUnavailable as error:
            raise problems.catalog_unavailable(error) from None
        link, *decided = await asyncio.gather(
            self._allowed(admitted, Call.LINK), *(self._allowed(admitted, call) for call in _DECIDED)
        )
        # Whoever may link none is not asked about each of them.
        names = sorted(brokers, key=lambda name: brokers[name].display_name) if link else []
        linkable = await asyncio.gather(*(self._allowed(admitted, Call.LINK, name) for name in names))
        offered = tuple(
            OfferedBroker(broker=name, display_name=brokers[name].display_name, scopes=brokers[name].scopes)
            for name, allowed in zip(names, linkable, strict=True)
            if allowed
        )
        may = [Call.LINK.permission] if offered else []
        may += [call.permission for call, allowed in zip(_DECIDED, decided, strict=True) if allowed]
        return Offers(
            partner=admitted.partner,
            may=tuple(may),
            brokers=offered,
            approval_needed=wishes.approve_connections,
            proactive_refresh=wishes.proactive_refresh,
        )

    async def _allowed(self, admitted: Admitted, call: Call, broker: str | None = None) -> bool:
        decision = await self._policy.decide(
            admitted.principal,
            call.permission,
            environment=self._environment,
            partner=admitted.partner,
            resource=None if broker is None else {"broker": broker},
        )
        return decision.allow or decision.step_up is not None
