"""A session from its cookie to the person: found, renewed while it is used, ended.

Tokens are renewed a minute before they end, by one request at a time (a refresh token works once, and a second use
ends the session for everybody): in a process whoever comes meanwhile waits for the same renewal, and another process
waits for the row and then finds the new tokens. So a page that asks once in a while never loses its session before the
working day is over. Nobody waits long for Keycloak while their token is good.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final

from identity.flight import SingleFlight
from identity.jwks import KeysUnavailable
from identity.login.errors import Code, LoginFailed
from identity.login.tokens import Tokens
from identity.principal import Principal
from identity.reject import TokenRejected
from identity.secret import Secret
from identity.verify import TokenVerifier
from workspace.login.realm import Realm, RealmAway, SessionOver
from workspace.session import cookie
from workspace.session.content import Content
from workspace.session.seal import DoesNotOpen, Handle
from workspace.session.store import Store

EARLY: Final = 60.0
"""Seconds before its end at which a token is renewed."""

_PATIENT: Final = 1.5
"""Seconds that a request waits for new tokens while the old ones are good; the renewal goes on without it."""

_LONGEST: Final = 12.0
"""Seconds that it waits without good ones, its place in the queue and Keycloak's own time included."""

_PURPOSE: Final = "session"


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is logged in, for one request."""

    principal: Principal
    token: Secret = field(repr=False)
    ends_at: float
    """When the session ends whatever is done, in unix seconds."""
    notice: str | None = None
    _handle: Handle | None = field(default=None, repr=False)


class Sessions:
    """Every session, by the secrets that browsers bring.

    `renewals` is how many may wait for Keycloak at once. Each holds a connection of the store, so that it has to be
    fewer than there are: a realm that hangs would otherwise take the pages of those with it whose tokens are good.
    """

    def __init__(self, store: Store, realm: Realm, verifier: TokenVerifier, *, seconds: int, renewals: int) -> None:
        self._store = store
        self._realm = realm
        self._verifier = verifier
        self._seconds = seconds
        self._turns = asyncio.Semaphore(renewals)
        self._flights: SingleFlight[bytes, Content | None] = SingleFlight()

    async def close(self) -> None:
        """Let renewals land: a refresh token that was used and not replaced would end its session."""
        await self._flights.close(patience=_LONGEST)

    async def open(self, tokens: Tokens, *, instead_of: bytes | None = None, notice: str | None = None) -> bytes:
        """A new session; the secret for its cookie. Raises LoginFailed, KeysUnavailable and StoreUnavailable.

        `instead_of` is the secret of the session that the same browser had: it ends, so that no secret that somebody
        else may have put there becomes a session.
        """
        try:
            principal = await self._verifier.verify(tokens.access.text())
        except TokenRejected as refused:
            raise LoginFailed(Code.TOKEN_REJECTED, f"the access token was refused: {refused.reason}") from None
        if principal.session is None:
            raise LoginFailed(Code.TOKEN_REJECTED, "the access token names no session")
        secret = cookie.fresh()
        handle = Handle.of(secret, _PURPOSE)
        if instead_of is not None:
            await self._store.end(Handle.of(instead_of, _PURPOSE).id)
        await self._store.add(
            handle.id,
            handle.seal(Content(tokens, notice).plain()),
            sid=principal.session,
            subject=principal.subject,
            seconds=self._seconds,
        )
        return secret

    async def find(self, secret: bytes | None) -> Session | None:
        """Whose session a secret is, renewed if that is due; None if it is over.

        Raises RealmAway, KeysUnavailable and StoreUnavailable when nobody can say now.
        """
        if secret is None:
            return None
        handle = Handle.of(secret, _PURPOSE)
        row = await self._store.find(handle.id)
        if row is None:
            return None
        try:
            content = Content.read(handle.open(row.sealed))
        except (DoesNotOpen, ValueError):
            await self._store.end(handle.id)
            return None
        left = content.tokens.expires_at - time.time()
        if left < EARLY:
            try:
                async with asyncio.timeout(_PATIENT if left > _PATIENT + 1 else _LONGEST):
                    renewed = await self._flights.run(handle.id, lambda: self._renew(handle))
            except (RealmAway, KeysUnavailable, TimeoutError) as away:
                if content.tokens.expires_at <= time.time() + 1:
                    raise (RealmAway("no renewal in time") if isinstance(away, TimeoutError) else away) from None
                # What we have is still good; the next request tries again.
            else:
                if renewed is None:
                    return None
                content = renewed
        try:
            principal = await self._verifier.verify(content.tokens.access.text())
        except TokenRejected:
            await self._store.end(handle.id)
            return None
        return Session(principal, content.tokens.access, row.ends_at.timestamp(), content.notice, handle)

    async def say(self, session: Session, notice: str | None) -> None:
        """Leave a line for the next page, or take it away. Raises StoreUnavailable."""
        if session._handle is None:
            return
        async with self._store.locked(session._handle.id) as held:
            if held is not None:
                content = Content.read(session._handle.open(held.sealed))
                await held.replace(session._handle.seal(Content(content.tokens, notice).plain()))

    async def end(self, secret: bytes) -> bool:
        """Log out: here, and in the realm for all its applications. Raises StoreUnavailable.

        False where Keycloak is away: the session is over here, and there only when its time is up.
        """
        handle = Handle.of(secret, _PURPOSE)
        # Under the lock: a renewal that is under way ends first, and what is ended in the realm is what it got.
        async with self._store.locked(handle.id) as held:
            if held is None:
                return True
            await held.remove()
        try:
            await self._realm.end(Content.read(handle.open(held.sealed)).tokens)
        except (DoesNotOpen, ValueError):
            return True
        except RealmAway:
            return False
        return True

    async def _renew(self, handle: Handle) -> Content | None:
        async with self._turns, self._store.locked(handle.id) as held:
            if held is None:
                return None
            content = Content.read(handle.open(held.sealed))
            if content.tokens.expires_at - time.time() >= EARLY:
                # Somebody else did it while we waited.
                return content
            try:
                tokens, _ = await self._realm.renew(content.tokens)
            except (SessionOver, LoginFailed):
                await held.remove()
                return None
            renewed = Content(tokens, content.notice)
            await held.replace(handle.seal(renewed.plain()))
            return renewed
