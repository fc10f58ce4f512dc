"""Beginning a link: the broker's address, and an attempt that only its beginner can finish."""

from __future__ import annotations

import ipaddress
import urllib.parse
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from identity.audit.errors import AuditUnavailable
from identity.problem import Problem
from vault_api import problems as vault_problems
from vault_api.brokers.catalog import Catalog, CatalogUnavailable, UnknownBroker
from vault_api.brokers.metadata import BrokerUnavailable, Metadata
from vault_api.brokers.schemas import Broker
from vault_api.gate import Admitted, Gate
from vault_api.keyring import KeyContextMismatch, Keyring, KeyUnavailable
from vault_api.linking import problems
from vault_api.linking.pkce import authorize_url, new_handshake, sha256
from vault_api.linking.repository import Attempt, LinkRepository
from vault_api.linking.schemas import LinkRequest, LinkStarted
from vault_api.sealing.envelope import Place, seal
from vault_api.store.database import DatabaseUnavailable
from vault_api.trail.record import Trail

ATTEMPT = timedelta(minutes=10)
VERIFIER = "pkce_verifier"


class LinkStarting:
    """Begins links.

    redirect_uris: where browsers may return to, the usual one first; a loopback one matches any port (RFC 8252)
    """

    def __init__(
        self,
        *,
        repository: LinkRepository,
        catalog: Catalog,
        metadata: Metadata,
        keyring: Keyring,
        trail: Trail,
        gate: Gate,
        redirect_uris: Sequence[str],
    ) -> None:
        self._repository = repository
        self._catalog = catalog
        self._metadata = metadata
        self._keyring = keyring
        self._trail = trail
        self._gate = gate
        self._redirect_uris = redirect_uris

    async def start(self, admitted: Admitted, request: LinkRequest) -> LinkStarted:
        """Where to send the person. Raises Problem (409, 422, 503), AuditUnavailable."""
        try:
            return await self._start(admitted, request)
        except Problem as problem:
            raise await self._gate.refused(admitted, problem) from None

    async def _start(self, admitted: Admitted, request: LinkRequest) -> LinkStarted:
        redirect_uri = self._redirect_uri(request.redirect_uri)
        broker = await known_broker(self._catalog, request.broker)
        try:
            endpoints = await self._metadata.of(broker)
            key = (await self._keyring.keys(admitted.partner)).current()
        except BrokerUnavailable as error:
            raise problems.broker_unavailable(error) from None
        except KeyUnavailable as error:
            raise vault_problems.key_unavailable(error) from None
        except KeyContextMismatch as error:
            raise vault_problems.key_context_mismatch(error) from None
        handshake = new_handshake(broker.scopes)
        expires_at = datetime.now(UTC) + ATTEMPT
        state_hash = sha256(handshake.state)
        attempt = Attempt(
            connection=request.connection,
            broker=request.broker,
            subject=admitted.principal.subject,
            session=admitted.principal.session or "",
            state_hash=state_hash,
            nonce_hash=None if handshake.nonce is None else sha256(handshake.nonce),
            key_version=key.version,
            verifier=seal(
                key, verifier_place(admitted.partner, request.connection, state_hash), handshake.verifier.encode()
            ),
            redirect_uri=redirect_uri,
            scopes=broker.scopes,
            expires_at=expires_at,
        )
        try:
            outcome = await self._repository.start(
                admitted.partner, attempt, self._trail.line(admitted.event("success"))
            )
        except DatabaseUnavailable:
            raise AuditUnavailable("the link could not be recorded") from None
        if outcome != "started":
            raise vault_problems.broker_differs()
        return LinkStarted(
            connection=request.connection,
            broker=request.broker,
            authorize_url=authorize_url(
                endpoints.authorize,
                client_id=broker.client_id,
                redirect_uri=redirect_uri,
                scopes=broker.scopes,
                handshake=handshake,
            ),
            expires_at=expires_at,
        )

    def _redirect_uri(self, wanted: str | None) -> str:
        if wanted is None:
            return self._redirect_uris[0]
        fits = any(wanted == known or _loopback(wanted) == _loopback(known) != "" for known in self._redirect_uris)
        if not fits:
            raise problems.redirect_not_allowed()
        return wanted


async def known_broker(catalog: Catalog, name: str) -> Broker:
    """The broker of that name. Raises Problem (422, 503)."""
    try:
        return await catalog.broker(name)
    except UnknownBroker:
        raise problems.unknown_broker() from None
    except CatalogUnavailable as error:
        raise vault_problems.catalog_unavailable(error) from None


def verifier_place(partner: str, connection: str, state_hash: bytes) -> Place:
    """Where a verifier belongs: to the one attempt, which its state names."""
    return Place(partner, connection, f"{VERIFIER}/{state_hash.hex()}", 1)


def _loopback(uri: str) -> str:
    """A loopback URI without its port; empty for any other."""
    try:
        parts = urllib.parse.urlsplit(uri)
        local = ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return ""
    if not local or parts.scheme != "http" or "@" in parts.netloc or parts.fragment:
        return ""
    return urllib.parse.urlunsplit(parts._replace(netloc=parts.hostname or ""))
