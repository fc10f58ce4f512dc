"""The callback: from the broker's redirect to a sealed token set, for the person and the session that began."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import structlog

from identity.audit.errors import AuditUnavailable
from identity.problem import Problem
from vault_api import problems as vault_problems
from vault_api.brokers.answer import AnswerUnusable, TokenAnswer, check_id_token
from vault_api.brokers.catalog import Catalog, CatalogUnavailable
from vault_api.brokers.metadata import BrokerUnavailable, Endpoints
from vault_api.brokers.oauth import BrokerClient, BrokerRefused
from vault_api.brokers.schemas import Broker
from vault_api.gate import Admitted, Caller, Gate
from vault_api.keyring import KeyContextMismatch, Keyring, KeyUnavailable
from vault_api.linking import problems
from vault_api.linking.pkce import sha256
from vault_api.linking.repository import LinkRepository, SealedSet, Taken
from vault_api.linking.schemas import Callback, Linked
from vault_api.linking.starting import known_broker, verifier_place
from vault_api.sealing.envelope import Place, SealError, open_sealed, seal
from vault_api.sealing.keys import PartnerKey
from vault_api.store.database import DatabaseUnavailable
from vault_api.trail.record import Trail

_log = structlog.get_logger("vault_api.linking")

APPROVAL = timedelta(days=7)
DEFAULT_LIFETIME = 3600.0
"""Seconds that a token lives whose broker does not say: without an end it would never be refreshed."""

_TRIES = 4
_MOST_MEMBERSHIPS = 20


class LinkFinishing:
    """Finishes links."""

    def __init__(
        self,
        *,
        repository: LinkRepository,
        catalog: Catalog,
        client: BrokerClient,
        keyring: Keyring,
        trail: Trail,
        gate: Gate,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._repository = repository
        self._catalog = catalog
        self._client = client
        self._keyring = keyring
        self._trail = trail
        self._gate = gate
        self._clock = clock

    async def finish(self, caller: Caller, callback: Callback) -> Linked:
        """The link. Raises Problem (400, 401, 403, 404, 409, 502, 503), PolicyUnavailable, AuditUnavailable."""
        caller, taken = await self._taken(caller, callback)
        admitted = await self._gate.admit(caller, {"broker": taken.broker})
        try:
            return await self._finish(admitted, taken, callback)
        except Problem as problem:
            raise await self._gate.refused(admitted, problem, outcome=_outcome(problem)) from None

    async def _taken(self, caller: Caller, callback: Callback) -> tuple[Caller, Taken]:
        """The attempt, looked for in the partners that the caller belongs to and nowhere else."""
        principal, state_hash = caller.principal, sha256(callback.state)
        for alias in sorted(principal.organizations)[:_MOST_MEMBERSHIPS]:
            of_partner = dataclasses.replace(caller, partner=alias, resource=f"partners/{alias}")
            line = self._trail.line(of_partner.event("success"))
            try:
                found = await self._repository.take(alias, state_hash, principal.subject, principal.session or "", line)
            except DatabaseUnavailable:
                raise AuditUnavailable("the callback could not be recorded") from None
            if found.outcome == "taken":
                resource = f"partners/{alias}/connections/{found.connection}"
                return dataclasses.replace(of_partner, connection=found.connection, resource=resource), found
            if found.outcome != "unknown":
                # Recorded with the row; the answer is the same whatever was wrong.
                raise problems.state_refused(found.outcome)
        raise await self._gate.refused(caller, problems.state_refused("unknown"))

    async def _finish(self, admitted: Admitted, taken: Taken, callback: Callback) -> Linked:
        broker = await known_broker(self._catalog, taken.broker)
        try:
            endpoints = await self._client.metadata.of(broker)
            wishes = await self._catalog.wishes(admitted.partner)
            _check_issuer(endpoints, callback)
            if callback.error is not None or callback.code is None:
                raise problems.said_no()
            key = await self._keyring.key(admitted.partner, taken.key_version)
            place = verifier_place(admitted.partner, taken.connection, sha256(callback.state))
            verifier = open_sealed(key, place, taken.verifier_sealed).decode()
            # The key to seal with is at hand before the broker is asked: what it gives is kept at once.
            current = (await self._keyring.keys(admitted.partner)).current()
            given = await self._client.redeem(
                broker, code=callback.code, redirect_uri=taken.redirect_uri, verifier=verifier
            )
            if taken.nonce_hash is not None:
                issuer = endpoints.issuer or ""
                check_id_token(
                    given.id_token,
                    issuer=issuer,
                    client_id=broker.client_id,
                    nonce_hash=taken.nonce_hash,
                    now=self._clock(),
                )
        except BrokerRefused as error:
            raise problems.broker_refused(error) from None
        except BrokerUnavailable as error:
            raise problems.broker_unavailable(error) from None
        except AnswerUnusable as error:
            raise problems.answer_unusable(str(error)) from None
        except CatalogUnavailable as error:
            raise vault_problems.catalog_unavailable(error) from None
        except KeyUnavailable as error:
            raise vault_problems.key_unavailable(error) from None
        except KeyContextMismatch as error:
            raise vault_problems.key_context_mismatch(error) from None
        except SealError:
            raise vault_problems.integrity_error() from None
        return await self._keep(admitted, taken, broker, given, current, approval=wishes.approve_connections)

    async def _keep(
        self, admitted: Admitted, taken: Taken, broker: Broker, given: TokenAnswer, key: PartnerKey, *, approval: bool
    ) -> Linked:
        # What is kept is an event of its own beside the callback that brought it.
        line = self._trail.line(dataclasses.replace(admitted.event("success"), event="connection.linked"))
        now, version = datetime.now(UTC), taken.next_version
        until = now + APPROVAL if approval else None
        for _ in range(_TRIES):
            place = (admitted.partner, taken.connection, version)
            kept = sealed_set(key, place, given, broker, asked=taken.scopes, now=now)
            try:
                outcome, version = await self._repository.finish(
                    admitted.partner, taken.connection, kept, subject=admitted.principal.subject,
                    approval_until=until, line=line,
                )  # fmt: skip
            except DatabaseUnavailable:
                raise AuditUnavailable("the link could not be recorded") from None
            if outcome == "revoked":
                await self._drop(broker, given)
                raise problems.revoked_meanwhile()
            if outcome != "moved":
                _log.info("linked", partner=admitted.partner, connection=taken.connection, outcome=outcome)
                return Linked(
                    partner=admitted.partner,
                    connection=taken.connection,
                    broker=taken.broker,
                    state="active" if outcome == "active" else "pending_approval",
                    version=version,
                    expires_at=kept.access_expires_at,
                    scopes=tuple(kept.scopes),
                )
        await self._drop(broker, given)
        raise problems.busy()

    async def _drop(self, broker: Broker, given: TokenAnswer) -> None:
        """What a broker gave and nobody keeps must not live on there."""
        try:
            await self._client.revoke(broker, given.refresh or given.access)
        except (BrokerRefused, BrokerUnavailable) as error:
            _log.warning("link.orphan_not_revoked", problem=type(error).__name__)


def sealed_set(
    key: PartnerKey, place: tuple[str, str, int], given: TokenAnswer, broker: Broker, *,
    asked: Sequence[str], now: datetime,
) -> SealedSet:  # fmt: skip
    """A broker's first answer, sealed for that version, with an end where the broker named none."""
    partner, connection, version = place
    lifetime = given.expires_in
    if lifetime is None and not broker.refresh.never_expires:
        lifetime = DEFAULT_LIFETIME
    relink = broker.refresh.relink_every
    scopes = given.scopes if given.scopes is not None else tuple(asked)
    return SealedSet(
        version=version,
        key_version=key.version,
        access=seal(key, Place(partner, connection, given.access.kind, version), given.access.reveal()),
        refresh=None
        if given.refresh is None
        else seal(key, Place(partner, connection, given.refresh.kind, version), given.refresh.reveal()),
        access_expires_at=None if lifetime is None else now + timedelta(seconds=lifetime),
        refresh_expires_at=None
        if given.refresh_expires_in is None
        else now + timedelta(seconds=given.refresh_expires_in),
        relink_at=now + timedelta(seconds=relink) if relink else None,
        scopes=scopes,
    )


def _check_issuer(endpoints: Endpoints, callback: Callback) -> None:
    """RFC 9207 section 2.4. Raises Problem."""
    if callback.iss is None:
        if endpoints.issuer_in_response:
            raise problems.wrong_issuer()
    elif endpoints.issuer is not None and callback.iss != endpoints.issuer:
        raise problems.wrong_issuer()


def _outcome(problem: Problem) -> str:
    return "failure" if problem.status >= 500 else "denied"
