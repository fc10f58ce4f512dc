"""Delivering by webhook."""

from __future__ import annotations

import time

import httpx

from identity.outbound import OutboundError, exchange
from identity.secret import Secret, SecretUnreadable
from identity.webhook import headers
from vault_api.alerts.message import Alert, body
from vault_api.brokers.secrets import NamedSecrets

_SECONDS = 10.0


class NotDelivered(Exception):
    """This try failed. `final`: another would as well."""

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.final = final


class Webhooks:
    """`http` calls public addresses only; a redirect is an answer like any other that is not 2xx."""

    def __init__(self, http: httpx.AsyncClient, secrets: NamedSecrets) -> None:
        self._http = http
        self._secrets = secrets

    def named(self, name: str) -> Secret:
        """A secret of the configuration. Raises NotDelivered."""
        try:
            return self._secrets.read(name)
        except SecretUnreadable:
            raise NotDelivered("secret_unreadable") from None

    async def deliver(self, alert: Alert, url: str, secret: Secret) -> None:
        """Posts the alert, signed. Raises NotDelivered."""
        content = body(alert)
        try:
            signed = headers(secret, f"msg_{alert.alert}", int(time.time()), content)
        except ValueError:
            raise NotDelivered("secret_unreadable") from None
        try:
            reply = await exchange(
                self._http, "POST", url, content=content, headers={"Content-Type": "application/json", **signed},
                max_bytes=65_536, timeout=_SECONDS,
            )  # fmt: skip
        except httpx.InvalidURL:
            raise NotDelivered("address_invalid", final=True) from None
        except OutboundError as error:
            refused = error.kind == "DestinationRefused"
            raise NotDelivered("address_refused" if refused else "no_answer", final=refused) from None
        if not 200 <= reply.status < 300:
            # 410 is how a receiver says that it is gone for good.
            raise NotDelivered(f"status_{reply.status}", final=reply.status == 410)
