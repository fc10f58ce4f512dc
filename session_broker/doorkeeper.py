"""The one way to a grant: everything else in this service only reads requests and writes answers.

    token, service ─▶ remembered? ─ yes ─▶ ended meanwhile? ─ no ─▶ Grant
                           └ no ─▶ verify ─▶ may this provider come here? ─▶ exchange ─▶ verify ─▶ strong enough?
                                   ─▶ ended? ─▶ audit line ─▶ remember ─▶ Grant

What the exchange answered is verified like any other internal token: its audience, its client, its
times. A realm that was configured too widely is thereby noticed here, and not by an attacker.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from identity.decision import StepUp
from identity.flight import SingleFlight
from identity.principal import Principal
from identity.problem import step_up_required
from identity.reject import RejectReason, TokenRejected
from identity.secret import Secret
from session_broker.access import ServiceRule
from session_broker.cache import Grant, GrantCache, Key, key_of
from session_broker.ended import EndedSessions
from session_broker.exchange import Exchange, ExchangeRefused, ExchangeUnavailable
from session_broker.internal import InternalVerifier
from session_broker.metrics import Metrics
from session_broker.problems import away, refused
from session_broker.refusals import Refusals
from session_broker.trail import Trail
from session_broker.verify import MAX_TOKEN_BYTES, Dispatch, KeysUnavailable, VerifiedIdentity

_LEEWAY = 5.0
"""Seconds before its own end at which an internal token is not handed on any more: a request takes time."""


class Bridge(Protocol):
    """Speaks for tokens that no provider signs; only a migration has one (`migration/bridge.py`)."""

    def knows(self, token: str) -> bool:
        """Whether such a token is its own to look at."""
        ...

    def identity(self, token: str) -> VerifiedIdentity:
        """Whom the token names. Raises TokenRejected."""
        ...

    def assertion(self, identity: VerifiedIdentity) -> str:
        """What the exchange takes for that identity."""
        ...


class Doorkeeper:
    """Admits tokens to services. One event loop only.

    own:     verifies what the exchange answers
    window:  seconds that a grant is remembered at most
    """

    def __init__(
        self,
        *,
        dispatch: Dispatch,
        exchange: Exchange,
        own: InternalVerifier,
        cache: GrantCache,
        refusals: Refusals,
        ended: EndedSessions,
        trail: Trail,
        metrics: Metrics,
        window: float,
        bridge: Bridge | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._dispatch = dispatch
        self._exchange = exchange
        self._own = own
        self._cache = cache
        self._refusals = refusals
        self._ended = ended
        self._trail = trail
        self._metrics = metrics
        self._window = window
        self._bridge = bridge
        self._clock = clock
        self._flights: SingleFlight[Key, Grant] = SingleFlight()

    async def admit(self, token: str, name: str, rule: ServiceRule, ip: str | None) -> Grant:
        """The grant of `token` at a service.

        Raises TokenRejected (401), Problem (401 step-up, 403, 503), KeysUnavailable (503),
        AuditUnavailable (503), EndedUnavailable (503). Recording a refusal is the caller's part, see `authorize.py`.
        """
        if len(token) > MAX_TOKEN_BYTES:
            self._dispatch.parse(token)
        key = key_of(token, name)
        grant = self._cache.find(key)
        if grant is not None:
            self._check_ended(key, grant)
            self._metrics.grants.labels(name, grant.identity.provider, "yes").inc()
            return grant
        known = self._refusals.find(key)
        if known is not None:
            raise refused(known)
        grant = await self._flights.run(key, lambda: self._make(key, token, name, rule, ip))
        self._metrics.grants.labels(name, grant.identity.provider, "no").inc()
        self._metrics.grants_kept.set(len(self._cache))
        return grant

    async def close(self) -> None:
        """End the exchanges that still run."""
        await self._flights.close()

    async def _make(self, key: Key, token: str, name: str, rule: ServiceRule, ip: str | None) -> Grant:
        identity, presented = await self._identified(token, rule)
        if identity.principal is None and identity.provider not in rule.providers:
            raise refused("provider_not_for_service")
        if identity.principal is not None and not rule.internal:
            raise refused("internal_not_for_service")
        if self._ended.has(identity):
            raise TokenRejected(RejectReason.SESSION_ENDED)
        secret, principal = await self._internal(key, presented, identity, rule.audience)
        if principal.assurance_level < rule.assurance:
            raise step_up_required(StepUp(rule.assurance, None))
        now = self._clock()
        # The internal token may live longer than the external one by a leeway of clocks; the grant does not.
        holds_until = min(identity.expires_at, principal.expires_at - _LEEWAY, now + self._window)
        grant = Grant(token=secret, identity=identity, principal=principal, holds_until=holds_until)
        await self._trail.admitted(grant, name, ip)
        # Asked again: a logout token may have come while Keycloak was asked.
        self._check_ended(key, grant)
        self._cache.keep(key, grant)
        return grant

    async def _identified(self, token: str, rule: ServiceRule) -> tuple[VerifiedIdentity, str]:
        """Whom the token names, and what the exchange gets for it: the token itself, but for the bridge's."""
        if self._bridge is not None and self._bridge.knows(token):
            identity = self._bridge.identity(token)
            return identity, self._bridge.assertion(identity)
        return await self._dispatch.verify(token, self._dispatch.parse(token), rule.audience), token

    async def _internal(
        self, key: Key, token: str, identity: VerifiedIdentity, audience: str
    ) -> tuple[Secret, Principal]:
        if identity.principal is not None:
            return Secret(token), identity.principal
        try:
            answer = await self._exchange.redeem(identity, token, audience)
        except ExchangeRefused as error:
            self._refusals.keep(key, error.code)
            raise refused(error.code) from None
        except ExchangeUnavailable as error:
            raise away("exchange_unavailable", error.retry_after) from None
        try:
            return answer.token, await self._own.principal(answer.token.text(), audience)
        except TokenRejected as error:
            raise away(f"exchange_answer_{error.reason.value}", 30) from None
        except KeysUnavailable as error:
            raise away("keys_unavailable", error.retry_after) from None

    def _check_ended(self, key: Key, grant: Grant) -> None:
        if self._ended.has(grant.identity) or (grant.identity.principal is None and self._ended.has(_inner(grant))):
            self._cache.forget(key)
            raise TokenRejected(RejectReason.SESSION_ENDED)


def _inner(grant: Grant) -> VerifiedIdentity:
    """The internal identity that an external token was exchanged for: our realm may end that one as well."""
    principal = grant.principal
    return VerifiedIdentity(
        provider=grant.identity.provider,
        issuer=principal.issuer,
        subject=principal.subject,
        session=principal.session,
        issued_at=grant.identity.issued_at,
        expires_at=principal.expires_at,
        token_name=principal.token_name,
    )
