"""The task that tells brokers what was revoked here (RFC 7009): again and again, and in the end no more."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta

import structlog

from identity.audit.event import AuditEvent
from vault_api.brokers.catalog import Catalog, CatalogUnavailable, UnknownBroker
from vault_api.brokers.metadata import BrokerUnavailable
from vault_api.brokers.oauth import BrokerClient, BrokerRefused
from vault_api.keyring import KeyContextMismatch, Keyring, KeyUnavailable
from vault_api.linking.repository import LinkRepository, ToRevoke
from vault_api.sealing.envelope import Place, SealError, open_sealed
from vault_api.tokens import AccessToken, BrokerToken, RefreshToken
from vault_api.trail.record import Trail
from vault_api.worker.claims import Claim, Claims

_log = structlog.get_logger("vault_api.linking")

GIVE_UP = timedelta(days=7)
ACTOR = "vault-worker"


class RevokeAtBroker:
    """Task: what `vault.revocation` still holds."""

    name = "revoke"
    every = 2.0

    def __init__(
        self,
        *,
        claims: Claims,
        repository: LinkRepository,
        catalog: Catalog,
        client: BrokerClient,
        keyring: Keyring,
        trail: Trail,
    ) -> None:
        self._claims = claims
        self._repository = repository
        self._catalog = catalog
        self._client = client
        self._keyring = keyring
        self._trail = trail

    async def run_once(self) -> None:
        """Tells brokers everything that is due. Raises DatabaseUnavailable."""
        # Side by side: the last one must not wait for so many slow brokers that its claim is over.
        claims = await self._claims.due("revoke", limit=10)
        done = await asyncio.gather(*(self._claimed(claim) for claim in claims), return_exceptions=True)
        for problem in done:
            if problem is not None:
                raise problem

    async def _claimed(self, claim: Claim) -> None:
        left = [row for row in await self._pending(claim) if not await self._settled(claim, row)]
        again = datetime.now(UTC) + timedelta(seconds=backoff(claim.attempts)) if left else None
        await self._claims.give_back(claim, due=again, attempts=claim.attempts + 1 if left else 0)

    async def _pending(self, claim: Claim) -> list[ToRevoke]:
        return list(await self._repository.revocations(claim.partner, claim.connection))

    async def _settled(self, claim: Claim, row: ToRevoke) -> bool:
        """Whether nothing is left to say about this one."""
        outcome = await self._told(claim, row)
        if outcome is None and datetime.now(UTC) - row.queued_at < GIVE_UP:
            return False
        event = AuditEvent(
            event="connection.revoked_at_broker",
            outcome="success",
            actor=ACTOR,
            partner=claim.partner,
            action="connection:revoke",
            resource=f"partners/{claim.partner}/connections/{claim.connection}",
        )
        await self._repository.settle(
            claim.partner, claim.connection, row.number, outcome or "given_up", self._trail.line(event)
        )
        return True

    async def _told(self, claim: Claim, row: ToRevoke) -> str | None:
        """What the broker made of it; None to try again."""
        try:
            broker = await self._catalog.broker(row.broker)
            key = await self._keyring.key(claim.partner, row.key_version)
            tokens: list[BrokerToken] = []
            # The refresh token first: a broker that knows families ends the rest with it.
            for kind, sealed in ((RefreshToken, row.refresh_sealed), (AccessToken, row.access_sealed)):
                if sealed is not None:
                    place = Place(claim.partner, claim.connection, kind.kind, row.version)
                    tokens.append(kind(open_sealed(key, place, sealed)))
            for token in tokens:
                if not await self._client.revoke(broker, token):
                    return "not_supported"
        except UnknownBroker:
            return "unknown_broker"
        except BrokerRefused as error:
            return f"refused:{error.code}"
        except SealError:
            return "integrity_error"
        except (BrokerUnavailable, KeyUnavailable, KeyContextMismatch, CatalogUnavailable) as error:
            # A salt that is missing may be restored; a broker or a catalog comes back.
            _log.warning("revoke.later", partner=claim.partner, problem=type(error).__name__)
            return None
        return "revoked"


def backoff(attempts: int, *, first: float = 5.0, longest: float = 3600.0) -> float:
    """Seconds until the next try after so many, spread by a fifth."""
    return float(min(first * 2.0 ** min(attempts, 20), longest) * (0.9 + 0.2 * random.random()))  # noqa: S311 - not a secret
