"""Store, release, describe and list: the order in which key, row and audit line come.

`admit_release` asks the policy for a release, which only a connection's broker makes a whole question.
Every other method takes an `Admitted` caller, makes one call of `Repository` that does the work and appends
the audit line in one transaction, and only then answers. What cannot be done is recorded as well,
before the problem is raised.

A token near its end is refreshed before it is released; `refresh/` does that, once for all who wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from identity.audit.errors import AuditUnavailable
from identity.problem import Problem, not_found
from vault_api import problems
from vault_api.brokers.catalog import Catalog, CatalogUnavailable
from vault_api.connections.brokers import KnownBrokers
from vault_api.connections.outcomes import STORE_PROBLEMS, Freshness, described, to_store, unreleased
from vault_api.connections.schemas import Credential, CredentialStored, TokenSet
from vault_api.gate import Admitted, Caller, Gate
from vault_api.keyring import KeyContextMismatch, Keyring, KeyUnavailable
from vault_api.metrics import Metrics
from vault_api.sealing.envelope import Place, SealError, key_version_of, open_sealed
from vault_api.sealing.keys import PartnerKey
from vault_api.store.database import DatabaseUnavailable
from vault_api.store.repository import Repository, Stored
from vault_api.tokens import AccessToken, RefreshToken
from vault_api.trail.record import Trail

_log = structlog.get_logger("vault_api.connections")

_UNRECORDED = "the request could not be recorded"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreResult:
    """What a store came to: `created` for a new connection, `replayed` for the repetition of an earlier store."""

    stored: CredentialStored
    created: bool
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """An access token on its way to the one who may have it. The refresh token is not even read."""

    connection: str
    broker: str
    version: int
    token: AccessToken = field(repr=False)
    expires_at: datetime | None
    scopes: Sequence[str]


class ConnectionService:
    """What can be done with a partner's connections."""

    def __init__(
        self,
        repository: Repository,
        keyring: Keyring,
        trail: Trail,
        gate: Gate,
        metrics: Metrics,
        *,
        freshness: Freshness,
        catalog: Catalog,
    ) -> None:
        self._repository = repository
        self._keyring = keyring
        self._trail = trail
        self._gate = gate
        self._metrics = metrics
        self._freshness = freshness
        self._catalog = catalog
        self._brokers = KnownBrokers()

    async def store(
        self, admitted: Admitted, connection: str, tokens: TokenSet, *, expected: int, idempotency: bytes | None
    ) -> StoreResult:
        """Seals a token set and stores it as version `expected + 1`.

        Raises Problem (404, 409, 412, 422, 503) and AuditUnavailable, after which a repetition with
        the same Idempotency-Key tells whether it was stored.
        """
        partner = admitted.partner
        await self._require_no_approval(admitted)
        key = await self._current_key(admitted)
        row = to_store(key, admitted, connection, tokens, expected=expected, idempotency=idempotency)
        try:
            stored = await self._repository.store(partner, row, self._trail.line(admitted.event("success")))
        except DatabaseUnavailable:
            raise AuditUnavailable(_UNRECORDED) from None
        if stored.outcome == "replayed":
            await self._require_same(admitted, connection, tokens, stored)
        elif stored.outcome not in ("created", "replaced"):
            self._metrics.refusals.labels(admitted.call.event, stored.outcome).inc()
            raise STORE_PROBLEMS[stored.outcome]()
        else:
            self._metrics.stores.inc()
        return StoreResult(
            stored=CredentialStored.model_validate(
                {
                    "connection": connection,
                    "broker": stored.broker,
                    "version": stored.version,
                    "key_version": stored.key_version,
                    "expires_at": stored.access_expires_at,
                    "refresh_expires_at": stored.refresh_expires_at,
                    "scopes": tuple(stored.scopes),
                    "stored_at": stored.stored_at,
                }
            ),
            created=stored.outcome == "created" or (stored.outcome == "replayed" and stored.version == 1),
            replayed=stored.outcome == "replayed",
        )

    async def _require_no_approval(self, admitted: Admitted) -> None:
        """A token set that one person stores would go around the second person that the partner wants.

        Raises Problem (409, 503).
        """
        try:
            if not (await self._catalog.wishes(admitted.partner)).approve_connections:
                return
            problem = problems.approval_required()
        except CatalogUnavailable as error:
            problem = problems.catalog_unavailable(error)
        raise await self._gate.refused(admitted, problem)

    async def admit_release(self, caller: Caller, connection: str) -> Admitted:
        """The caller, if the policy allows them a release from the connection's broker, as it is now.

        A broker that was taken away from the partner thus releases no more. Where the broker is not
        known yet, the policy is asked without it first: only whoever might release at all makes the
        vault look. Raises Problem (401 step-up, 403, 404), PolicyUnavailable (503), AuditUnavailable.
        """
        broker = self._brokers.of(caller.partner, connection)
        if broker is None:
            line = self._trail.line((await self._gate.admit(caller)).event("success"))
            try:
                broker = await self._repository.broker_to_release(caller.partner, connection, line)
            except DatabaseUnavailable:
                raise AuditUnavailable(_UNRECORDED) from None
            if broker is None:
                self._metrics.refusals.labels(caller.call.event, "not_found").inc()
                raise not_found()
            self._brokers.remember(caller.partner, connection, broker)
        return await self._gate.admit(caller, {"broker": broker})

    async def release(self, admitted: Admitted, connection: str) -> Release:
        """The access token, for a caller whom `admit_release` let through.

        Raises Problem (404, 409, 500, 503), AuditUnavailable.
        """
        partner = admitted.partner
        line = self._trail.line(admitted.event("success"))
        try:
            keys = (await self._keyring.keys(partner)).keys
            held = await self._repository.release(partner, connection, list(keys), line)
            hopeful = False
            if held.outcome == "refresh_due" and held.version is not None:
                hopeful = await self._freshness.freshen(partner, connection, held.version)
                keys = (await self._keyring.keys(partner)).keys
                held = await self._repository.release(partner, connection, list(keys), line)
            if held.outcome == "key_needed" and held.key_version is not None:
                # Sealed under a key that is not in memory, an older one or one made a moment ago.
                key = await self._keyring.key(partner, held.key_version)
                held = await self._repository.release(partner, connection, [key.version], line)
                keys = {key.version: key}
        except DatabaseUnavailable:
            raise AuditUnavailable(_UNRECORDED) from None
        except (KeyUnavailable, KeyContextMismatch) as error:
            raise await self._keyless(admitted, error) from None
        if held.outcome != "success" or held.sealed is None or held.version is None or held.broker is None:
            self._metrics.refusals.labels(admitted.call.event, held.outcome).inc()
            if held.outcome == "expired" and held.version is not None:
                # Whether it has to be connected again, or its broker is only away, the schedule knows.
                hopeful = hopeful or await self._still_hopeful(partner, connection, held.version)
            raise unreleased(held, hopeful=hopeful)
        if held.broker != admitted.told.get("broker"):
            # Not what the policy was asked about: somebody changed by hand what the vault never changes.
            self._brokers.forget(partner, connection)
            raise await self._damaged(admitted, held.version)
        key_for_row = keys.get(held.key_version or 0)
        place = Place(partner, connection, AccessToken.kind, held.version)
        token = await self._opened(admitted, key_for_row, place, held.sealed)
        self._metrics.releases.inc()
        return Release(
            connection=connection,
            broker=held.broker,
            version=held.version,
            token=AccessToken(token),
            expires_at=held.expires_at,
            scopes=held.scopes,
        )

    async def _still_hopeful(self, partner: str, connection: str, version: int) -> bool:
        try:
            return await self._freshness.freshen(partner, connection, version)
        except DatabaseUnavailable:
            raise AuditUnavailable(_UNRECORDED) from None

    async def describe(self, admitted: Admitted, connection: str) -> Credential:
        """Everything about a connection but its tokens. Raises Problem 404, AuditUnavailable."""
        line = self._trail.line(admitted.event("success"))
        try:
            found = await self._repository.connection(admitted.partner, connection, line)
        except DatabaseUnavailable:
            raise AuditUnavailable(_UNRECORDED) from None
        if found is None:
            self._metrics.refusals.labels(admitted.call.event, "not_found").inc()
            raise not_found()
        return described(found)

    async def list(self, admitted: Admitted, *, after: str | None, limit: int) -> Sequence[Credential]:
        """At most `limit` connections from behind `after`. Raises AuditUnavailable."""
        line = self._trail.line(admitted.event("success"))
        try:
            found = await self._repository.connections(admitted.partner, after=after, limit=limit, line=line)
        except DatabaseUnavailable:
            raise AuditUnavailable(_UNRECORDED) from None
        return [described(connection) for connection in found]

    async def _current_key(self, admitted: Admitted) -> PartnerKey:
        try:
            return (await self._keyring.keys(admitted.partner)).current()
        except (KeyUnavailable, KeyContextMismatch) as error:
            raise await self._keyless(admitted, error) from None

    async def _keyless(self, admitted: Admitted, error: KeyUnavailable | KeyContextMismatch) -> Problem:
        if isinstance(error, KeyUnavailable):
            _log.warning("key.unavailable", partner=admitted.partner, holder=error.holder)
            return await self._gate.refused(admitted, problems.key_unavailable(error), outcome="failure")
        self._metrics.key_mismatches.inc()
        _log.critical("key.context_mismatch", partner=admitted.partner, key_version=error.version, reason=error.reason)
        return await self._gate.refused(admitted, problems.key_context_mismatch(error), outcome="failure")

    async def _opened(self, admitted: Admitted, key: PartnerKey | None, place: Place, sealed: bytes) -> bytes:
        """The plaintext. A value that does not open is an incident: an alarm, a line, one opaque problem."""
        try:
            if key is None or key_version_of(sealed) != key.version:
                raise SealError
            return open_sealed(key, place, sealed)
        except SealError:
            raise await self._damaged(admitted, place.version) from None

    async def _damaged(self, admitted: Admitted, version: int) -> Problem:
        self._metrics.integrity_failures.inc()
        _log.critical("integrity.failed", partner=admitted.partner, connection=admitted.connection, version=version)
        return await self._gate.refused(admitted, problems.integrity_error(), outcome="failure")

    async def _require_same(self, admitted: Admitted, connection: str, tokens: TokenSet, stored: Stored) -> None:
        """Raises Problem 422 unless the repeated store holds exactly what was stored under that key."""
        if stored.version is None or stored.key_version is None or stored.access is None:
            raise AuditUnavailable(_UNRECORDED)
        try:
            key = await self._keyring.key(admitted.partner, stored.key_version)
        except (KeyUnavailable, KeyContextMismatch) as error:
            raise await self._keyless(admitted, error) from None
        place = Place(admitted.partner, connection, AccessToken.kind, stored.version)
        access: AccessToken = AccessToken(await self._opened(admitted, key, place, stored.access))
        refresh: RefreshToken | None = None
        if stored.refresh is not None:
            place = Place(admitted.partner, connection, RefreshToken.kind, stored.version)
            refresh = RefreshToken(await self._opened(admitted, key, place, stored.refresh))
        before = (stored.broker, stored.access_expires_at, stored.refresh_expires_at, tuple(stored.scopes))
        now = (tokens.broker, tokens.expires_at, tokens.refresh_expires_at, tokens.scopes)
        if before != now or access != tokens.access_token or refresh != tokens.refresh_token:
            raise await self._gate.refused(admitted, problems.idempotency_key_reused())
