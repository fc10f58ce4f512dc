"""Narrowed tokens of a broker: fewer scopes, a token of their own, revoked on their own (RFC 8693, RFC 7009).

Whether a broker does this well is not something a protocol says, so an operator says it in the file, for
each broker, after trying: that it narrows what is exchanged, and that revoking the narrowed token
leaves the original alive (RFC 7009 lets it take the whole grant along, which would cut the connection).
A token that comes back with more scopes than were asked for is revoked and never handed out.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from identity.secret import Secret
from vault_api.brokers.catalog import Catalog, CatalogUnavailable, UnknownBroker
from vault_api.brokers.metadata import BrokerUnavailable
from vault_api.brokers.oauth import BrokerClient, BrokerRefused
from vault_api.brokers.schemas import Broker
from vault_api.leases.targets import Made, TargetRefused, TargetUnavailable
from vault_api.leases.templates import Template
from vault_api.tokens import AccessToken


class BrokerTokens:
    """The tokens of one broker of the configuration."""

    renewable = False

    def __init__(self, name: str, client: BrokerClient, catalog: Catalog) -> None:
        self._name = name
        self._client = client
        self._catalog = catalog

    async def make(self, lease: str, template: Template, until: datetime, source: Secret | None) -> Made:
        """A token with the template's scopes out of the connection's own."""
        del lease, until
        if source is None:
            raise TargetRefused("no_source", "a narrowed token is made from a connection's")
        broker = await self._broker()
        try:
            answer = await self._client.narrow(broker, AccessToken(source.reveal()), template.scopes)
        except BrokerRefused as error:
            raise TargetRefused(f"broker_{error.code}", "the broker does not narrow this token") from None
        except BrokerUnavailable as error:
            raise TargetUnavailable(error.reason) from None
        if answer.scopes is None or not set(answer.scopes) <= set(template.scopes):
            await self._revoke(broker, answer.access)
            raise TargetRefused("not_narrowed", "the broker gave more scopes than it was asked for")
        ends = None if answer.expires_in is None else datetime.now(UTC) + timedelta(seconds=answer.expires_in)
        return Made(
            secret=answer.access,
            keep=answer.access,
            expires_at=ends,
            scopes=answer.scopes,
            shown={"token_type": "Bearer", "scopes": list(answer.scopes), "broker": self._name},
        )

    async def extend(self, lease: str, until: datetime) -> None:
        """Not possible: a broker's token ends when the broker says."""
        del lease, until
        raise TargetUnavailable("not_renewable")

    async def end(self, lease: str, kept: Secret | None) -> None:
        """Revokes the narrowed token. Without one nothing was ever given out: the answer never came back whole."""
        del lease
        if kept is not None:
            await self._revoke(await self._broker(), AccessToken(kept.reveal()))

    async def _revoke(self, broker: Broker, token: AccessToken) -> None:
        try:
            done = await self._client.revoke(broker, token)
        except (BrokerRefused, BrokerUnavailable) as error:
            code = error.code if isinstance(error, BrokerRefused) else error.reason
            raise TargetUnavailable(f"broker_{code}") from None
        if not done:
            raise TargetUnavailable("broker_revokes_nothing")

    async def _broker(self) -> Broker:
        try:
            return await self._catalog.broker(self._name)
        except UnknownBroker:
            raise TargetUnavailable("broker_unknown") from None
        except CatalogUnavailable:
            raise TargetUnavailable("catalog_unavailable") from None
