"""Where the bearer token comes from. A `Bearer` is anything that gives one when called."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

from identity.outbound import client
from identity.secret import Secret, SecretUnreadable, read_secret
from identity.service_token import ServiceToken, ServiceTokenUnavailable

Bearer = Callable[[], Secret]


class BearerUnavailable(Exception):
    """There is no token to send; the text says what to check."""


class BearerFile:
    """The token in a file that only its owner can read, read for each request: it may be replaced at any time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self) -> Secret:
        """Raises BearerUnavailable."""
        try:
            return read_secret(self._path, name="the bearer token")
        except SecretUnreadable as error:
            raise BearerUnavailable(str(error)) from None


class ServiceKey:
    """A service's own token, by client credentials and a signed assertion (RFC 7523); renewed before it ends.

    token_url, client_id, key_file: as the service is registered; the key is an EC P-256 or RSA private key in PEM
    audience:                       of the assertion, the issuer; derived from Keycloak's token_url unless given
    """

    def __init__(self, token_url: str, client_id: str, key_file: Path, *, audience: str | None = None) -> None:
        try:
            key = read_secret(key_file, name="the service's key")
            # The exchange is asynchronous; its loop turns in a thread of its own, so callers may be in any other.
            self._loop = asyncio.new_event_loop()
            self._http = client()
            self._token = ServiceToken(self._http, token_url, client_id, key, audience=audience)
        except (SecretUnreadable, ValueError) as error:
            raise BearerUnavailable(str(error)) from None
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="vault-client-token")
        self._thread.start()

    def __call__(self) -> Secret:
        """Raises BearerUnavailable."""
        try:
            return Secret(asyncio.run_coroutine_threadsafe(self._token.get(), self._loop).result(timeout=30))
        except (ServiceTokenUnavailable, TimeoutError) as error:
            raise BearerUnavailable(str(error) or "the identity provider does not answer") from None

    def close(self) -> None:
        """Closes connections and ends the thread."""
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result(timeout=10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()

    async def _shut(self) -> None:
        await self._token.close()
        await self._http.aclose()
