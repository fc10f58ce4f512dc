"""A session from its cookie to the person: found, renewed while it is used, ended.

Tokens are renewed a minute before they end, by one request at a time (a refresh token works once, and a second use
ends the session for everybody): in a process whoever comes meanwhile waits for the same renewal, and another process
waits for the row and then finds the new tokens. So a page that asks once in a while never loses its session before the
working day is over. Nobody waits long for Keycloak while their token is good.

A page may also ask by itself, with nobody in front of it (`used` is false then). That renews tokens, so that nothing
on the page goes stale, and is no use of the session: it still ends when nobody has used it for so long. The realm's own
session was kept from being idle by those renewals, so it is ended with it, or an abandoned page would log itself in
again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
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
from workspace.session.content import Content, Simulation
from workspace.session.seal import DoesNotOpen, Handle
from workspace.session.simulated import Simulated, as_member
from workspace.session.store import Row, Store

EARLY: Final = 60.0
"""Seconds before its end at which a token is renewed."""

_PATIENT: Final = 1.5
"""Seconds that a request waits for new tokens while the old ones are good; the renewal goes on without it."""

_LONGEST: Final = 12.0
"""Seconds that it waits without good ones, its place in the queue and Keycloak's own time included."""

_PURPOSE: Final = "session"


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is logged in, for one request.

    In a simulation `principal` is the member who is looked at, under the name of who looks, and `token` says it to
    every service.
    """

    principal: Principal
    token: Secret = field(repr=False)
    ends_at: float
    """When the session ends whatever is done, in unix seconds."""
    notice: str | None = None
    simulation: Simulation | None = None
    idle_at: float = 0.0
    """When it ends unless it is used, in unix seconds."""
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

    async def find(self, secret: bytes | None, *, used: bool = True) -> Session | None:
        """Whose session a secret is, renewed if that is due; None if it is over.

        `used` is false for what a page asks by itself. Raises RealmAway, KeysUnavailable and StoreUnavailable when
        nobody can say now.
        """
        if secret is None:
            return None
        handle = Handle.of(secret, _PURPOSE)
        row = await self._store.find(handle.id, used=used)
        if row is None:
            return None
        content = await self._content(handle, row)
        if content is None:
            return None
        left = content.tokens.expires_at - time.time()
        if left < EARLY:
            try:
                async with asyncio.timeout(_PATIENT if left > _PATIENT + 1 else _LONGEST):
                    renewed = await self._flights.run(handle.id, lambda: self._renew(handle, used=used))
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
        token, simulation = content.tokens.access, content.simulation
        if simulation is not None:
            principal, token = as_member(principal, simulation), Simulated(token, simulation.number)
        return Session(
            principal=principal,
            token=token,
            ends_at=row.ends_at.timestamp(),
            notice=content.notice,
            simulation=simulation,
            idle_at=row.idle_at.timestamp(),
            _handle=handle,
        )

    async def say(self, session: Session, notice: str | None) -> None:
        """Leave a line for the next page, or take it away. Raises StoreUnavailable."""
        await self._change(session, lambda content: replace(content, notice=notice))

    async def simulate(self, session: Session, simulation: Simulation | None, notice: str | None = None) -> None:
        """From the next page on this simulation, or none, and a line on it. Raises StoreUnavailable."""
        await self._change(session, lambda content: replace(content, simulation=simulation, notice=notice))

    async def _change(self, session: Session, change: Callable[[Content], Content]) -> None:
        if session._handle is None:
            return
        async with self._store.locked(session._handle.id) as held:
            if held is not None:
                content = change(Content.read(session._handle.open(held.sealed)))
                await held.replace(session._handle.seal(content.plain()))

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

    async def _content(self, handle: Handle, row: Row) -> Content | None:
        """What lies in a row; None, and the session is over, where it does not open or nobody used it for too long."""
        try:
            content = Content.read(handle.open(row.sealed))
        except (DoesNotOpen, ValueError):
            await self._store.end(handle.id)
            return None
        if row.idle:
            await self._abandoned(handle, content)
            return None
        return content

    async def _abandoned(self, handle: Handle, content: Content) -> None:
        """Nobody used it for too long; the realm's session ends too if pages alone kept that one alive."""
        async with self._store.locked(handle.id) as held:
            if held is not None:
                await held.remove()
        if content.unattended:
            # Where Keycloak is away its session lives on for its own idle time, as after any other failed logout.
            with suppress(RealmAway):
                await self._realm.end(content.tokens)

    async def _renew(self, handle: Handle, *, used: bool) -> Content | None:
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
            renewed = replace(content, tokens=tokens, unattended=not used)
            await held.replace(handle.seal(renewed.plain()), used=used)
            return renewed
