"""One refresh for one claim: intent, broker, commit, in this order, and what may go wrong between them."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from identity.audit.event import AuditEvent
from vault_api.brokers.answer import TokenAnswer
from vault_api.brokers.catalog import Catalog, CatalogUnavailable, UnknownBroker
from vault_api.brokers.metadata import BrokerUnavailable
from vault_api.brokers.oauth import BrokerClient, BrokerRefused
from vault_api.brokers.schemas import Broker, RefreshPolicy
from vault_api.keyring import KeyContextMismatch, Keyring, KeyUnavailable
from vault_api.metrics import Metrics
from vault_api.refresh.repository import Begun, Failed, NewSet, RefreshRepository
from vault_api.refresh.timing import last_moment, plan, retry_after
from vault_api.sealing.envelope import Place, SealError, open_sealed, seal
from vault_api.sealing.keys import PartnerKey
from vault_api.store.database import DatabaseUnavailable
from vault_api.tokens import RefreshToken
from vault_api.trail.record import Trail
from vault_api.worker.claims import LEASE, Claim, Claims

_log = structlog.get_logger("vault_api.refresh")

ACTOR = "vault-refresh"
MOST_INTERRUPTED = 3
CIRCUIT_AFTER = 5
CIRCUIT_PAUSE = timedelta(seconds=15)
CIRCUIT_LONGEST = timedelta(minutes=10)
UNKNOWN_BROKER = timedelta(minutes=1)
_KEEPING = LEASE.total_seconds() / 2


class Refresher:
    """Refreshes tokens. `draw` gives numbers from [0, 1) that spread times."""

    def __init__(
        self,
        *,
        claims: Claims,
        repository: RefreshRepository,
        catalog: Catalog,
        client: BrokerClient,
        keyring: Keyring,
        trail: Trail,
        metrics: Metrics,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._claims = claims
        self._repository = repository
        self._catalog = catalog
        self._client = client
        self._keyring = keyring
        self._trail = trail
        self._metrics = metrics
        self._draw = draw
        self._running: set[asyncio.Task[str]] = set()

    async def refresh(self, claim: Claim, *, early: bool = True) -> str:
        """Does what the claim is for, to the end even if the caller is cancelled meanwhile.

        early: give the claim back when the broker's settings say that it is not time yet
        Answers what came of it. Raises DatabaseUnavailable.
        """
        return await asyncio.shield(self._begin(self._refresh(claim, early=early)))

    async def close(self) -> None:
        """Waits for refreshes under way: each has sent a token that may be good for one use."""
        if self._running:
            await asyncio.wait(self._running, timeout=LEASE.total_seconds())

    def _begin(self, work: Coroutine[Any, Any, str]) -> asyncio.Task[str]:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def _refresh(self, claim: Claim, *, early: bool) -> str:
        started = time.monotonic()
        begun = await self._repository.begin(claim)
        if begun.outcome == "fenced":
            return "fenced"
        if begun.outcome == "gone" or begun.state == "reconnect_needed":
            await self._claims.give_back(claim, due=None, attempts=0)
            return "gone"
        try:
            broker = await self._catalog.broker(begun.broker)
        except UnknownBroker:
            # A broker that was switched off may be switched on again; what is due then must not be forgotten.
            return await self._fail(claim, begun, "unknown_broker", due=datetime.now(UTC) + UNKNOWN_BROKER)
        except CatalogUnavailable:
            return await self._fail(claim, begun, "catalog_unavailable")
        outcome = await self._not_now(claim, begun, broker, early=early)
        if outcome is None:
            outcome = await self._through_broker(claim, begun, broker)
            self._metrics.refresh_seconds.observe(time.monotonic() - started)
        self._metrics.refreshes.labels(outcome).inc()
        _log.info("refresh", partner=claim.partner, connection=claim.connection, broker=begun.broker, outcome=outcome)
        return outcome

    async def _not_now(self, claim: Claim, begun: Begun, broker: Broker, *, early: bool) -> str | None:
        """Why the broker is not to be called, if so."""
        now = datetime.now(UTC)
        if broker.refresh.never_expires or begun.access_expires_at is None:
            await self._claims.give_back(claim, due=None, attempts=0)
            return "needless"
        if begun.refresh_expires_at is not None and begun.refresh_expires_at <= now:
            return await self._end(claim, begun, "refresh_token_expired")
        if begun.interrupted >= MOST_INTERRUPTED:
            return await self._end(claim, begun, "refresh_interrupted")
        last = last_moment(stored_at=begun.stored_at, expires_at=begun.access_expires_at)
        if begun.interrupted and broker.refresh.rotates and now < last:
            # Somebody sent this token and died. If the broker took it, using it again may end the whole
            # grant and the access token with it; so what works is used up first, and the partner is told.
            return await self._fail(claim, begun, "refresh_uncertain", due=last)
        life = (begun.access_expires_at - begun.stored_at).total_seconds()
        wanted = begun.access_expires_at - timedelta(seconds=1.25 * broker.refresh.margin(max(life, 0.0)))
        if early and now < wanted:
            await self._claims.give_back(claim, due=wanted, attempts=claim.attempts)
            return "early"
        return None

    async def _through_broker(self, claim: Claim, begun: Begun, broker: Broker) -> str:
        try:
            # The key to seal with is at hand before anything is sent: nothing comes between answer and commit.
            current = (await self._keyring.keys(claim.partner)).current()
            token = await self._opened(claim, begun)
        except KeyUnavailable:
            return await self._fail(claim, begun, "key_unavailable")
        except KeyContextMismatch:
            return await self._fail(claim, begun, "key_context_mismatch")
        except SealError:
            self._metrics.integrity_failures.inc()
            _log.critical("integrity.failed", partner=claim.partner, connection=claim.connection)
            return await self._end(claim, begun, "integrity_error")
        if not await self._repository.sending(claim):
            return "fenced"
        try:
            given = await self._client.refresh(broker, token)
        except (BrokerRefused, BrokerUnavailable) as error:
            return await self._refused(claim, begun, broker, error)
        outcome = await self._keep(claim, begun, self._sealed(claim, begun, broker.refresh, (given, token), current))
        if outcome == "gone":
            # The connection was deleted meanwhile; what the broker just gave must not outlive it.
            await self._drop(broker, given)
        await self._report(begun.broker, well=True)
        return outcome

    async def _opened(self, claim: Claim, begun: Begun) -> RefreshToken:
        """The refresh token. Raises KeyUnavailable, KeyContextMismatch, SealError."""
        key = await self._keyring.key(claim.partner, begun.key_version)
        place = Place(claim.partner, claim.connection, RefreshToken.kind, begun.version)
        return RefreshToken(open_sealed(key, place, begun.refresh_sealed))

    async def _refused(
        self, claim: Claim, begun: Begun, broker: Broker, error: BrokerRefused | BrokerUnavailable
    ) -> str:
        """What a broker's no, or its silence, means for the connection."""
        if isinstance(error, BrokerRefused):
            dead = error.code == "invalid_grant"
            # It answers in the language of OAuth, so it is well, unless it does not know us at all: what is wrong with
            # one connection must not close the way for everybody's.
            await self._report(begun.broker, well=error.code != "invalid_client")
            if dead:
                return await self._end(claim, begun, "invalid_grant")
            return await self._fail(claim, begun, f"broker_refused:{error.code}")
        await self._report(begun.broker, well=False)
        due = None
        if error.sent and broker.refresh.rotates and begun.access_expires_at is not None:
            # As with a worker that died: nobody knows whether the token is spent.
            due = last_moment(stored_at=begun.stored_at, expires_at=begun.access_expires_at)
        return await self._fail(claim, begun, f"broker_unavailable:{error.reason}", due=due)

    def _sealed(
        self,
        claim: Claim,
        begun: Begun,
        policy: RefreshPolicy,
        tokens: tuple[TokenAnswer, RefreshToken],
        key: PartnerKey,
    ) -> NewSet:
        now, version = datetime.now(UTC), begun.version + 1
        given, old = tokens
        times = plan(policy, now=now, lifetime=given.expires_in, draw=self._draw())
        # A reply without a refresh token means that the old one goes on.
        refresh = given.refresh or old
        ends = now + timedelta(seconds=given.refresh_expires_in) if given.refresh_expires_in is not None else None
        return NewSet(
            key_version=key.version,
            access=seal(key, Place(claim.partner, claim.connection, given.access.kind, version), given.access.reveal()),
            refresh=seal(key, Place(claim.partner, claim.connection, refresh.kind, version), refresh.reveal()),
            access_expires_at=times.expires_at,
            refresh_expires_at=ends or (begun.refresh_expires_at if given.refresh is None else None),
            scopes=begun.scopes if given.scopes is None else given.scopes,
            due_at=times.due_at,
            refresh_by=times.refresh_by,
        )

    async def _keep(self, claim: Claim, begun: Begun, new: NewSet) -> str:
        """Commits, again and again while the claim lasts: the tokens are nowhere else."""
        until = time.monotonic() + _KEEPING
        line = self._line(claim)
        while True:
            try:
                return await self._repository.commit(claim, begun.version, new, line)
            except DatabaseUnavailable:
                if time.monotonic() > until:
                    _log.critical("refresh.lost", partner=claim.partner, connection=claim.connection)
                    raise
                await asyncio.sleep(0.2)

    async def _fail(self, claim: Claim, begun: Begun, reason: str, *, due: datetime | None = None) -> str:
        """A failure that may pass. The partner is told when the token is about to end."""
        now = datetime.now(UTC)
        pause = now + timedelta(seconds=retry_after(claim.attempts, draw=self._draw()))
        later = max(pause, due) if due is not None else pause
        ends = begun.access_expires_at
        near = ends is None or ends - now < (ends - begun.stored_at) / 4
        failed = Failed(
            reason=reason,
            due_at=later,
            hold=later,
            alert="token_expiring" if near or claim.attempts >= 2 or due is not None else None,
            detail={"reason": reason, "expires_at": None if ends is None else ends.isoformat()},
        )
        self._metrics.refresh_failures.labels(reason.partition(":")[0]).inc()
        return await self._repository.fail(claim, begun.version, failed, self._line(claim))

    async def _end(self, claim: Claim, begun: Begun, reason: str) -> str:
        """The grant is dead, unless a sibling has won meanwhile: the row is read again under its lock."""
        failed = Failed(reason=reason, final=True, alert="broker_disconnected", detail={"reason": reason})
        self._metrics.refresh_failures.labels(reason).inc()
        return await self._repository.fail(claim, begun.version, failed, self._line(claim))

    async def _report(self, broker: str, *, well: bool) -> None:
        try:
            await self._repository.report(
                broker, well=well, threshold=CIRCUIT_AFTER, pause=CIRCUIT_PAUSE, longest=CIRCUIT_LONGEST
            )
        except DatabaseUnavailable:
            _log.warning("circuit.unreported", broker=broker)

    async def _drop(self, broker: Broker, given: TokenAnswer) -> None:
        try:
            await self._client.revoke(broker, given.refresh or given.access)
        except (BrokerRefused, BrokerUnavailable) as error:
            _log.warning("refresh.orphan_not_revoked", problem=type(error).__name__)

    def _line(self, claim: Claim) -> Any:
        return self._trail.line(
            AuditEvent(
                event="credential.refresh",
                outcome="success",
                actor=ACTOR,
                partner=claim.partner,
                action="credential:refresh",
                resource=f"partners/{claim.partner}/connections/{claim.connection}",
            )
        )
