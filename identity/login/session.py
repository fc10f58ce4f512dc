"""One person's session at one issuer, shared by every program of theirs on this host.

    kept ─ still good? ─▶ bearer
      └─ lock ─ kept by another meanwhile? ─ refresh ─ verify ─ keep ─ unlock ─▶ bearer

A refresh token works once, so two programs that refresh side by side would end each other's session. They wait for
each other here, and the second one finds what the first one got.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from identity.login.browser_login import log_in_by_browser
from identity.login.conversation import Conversation, Terminal
from identity.login.device_login import log_in_by_device
from identity.login.errors import Code, LoginFailed
from identity.login.place import Place
from identity.login.provider import Provider, discover, signing_keys
from identity.login.registration import Registration, Wanted
from identity.login.store import Kind, Store
from identity.login.tokens import Tokens, accepted, read_again
from identity.login.wire import Unanswered, Wire
from identity.principal import Principal
from identity.secret import Secret

_SOON: Final = 30.0
"""Seconds before its end from which a token is renewed, so that it still holds when it arrives."""


@dataclass(frozen=True, slots=True)
class LoggedOut:
    """What a logout did. `told`: the issuer knows, so nothing can be refreshed by a copy of the session either."""

    was_logged_in: bool
    told: bool


class PersonSession:
    """A person's session. Programs of one person may use it at once, and threads of one program.

    folder: where sessions are kept (see `identity.login.place.folder`)
    talk:   how a login speaks to the person; by default on stderr, opening a browser
    clock:  unix seconds
    """

    def __init__(
        self,
        registration: Registration,
        folder: Path,
        *,
        talk: Conversation | None = None,
        wire: Wire | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.registration = registration
        self._place = Place(folder, registration)
        self._talk = talk or Terminal()
        self._wire = wire or Wire()
        self._clock = clock
        self._provider: Provider | None = None

    def log_in(self, *, store: Kind | None = None, wanted: Wanted | None = None, device: bool = False) -> Principal:
        """Have the person log in, and keep the session.

        store: where; by default where it was kept before, else the keyring. It is opened first, so that nobody logs
               in for nothing.
        Raises LoginFailed.
        """
        place = self._place
        chosen = place.choose(store) if store is not None else place.store() or place.choose(Kind.KEYRING)
        tokens, principal = self._asked(wanted or Wanted(), device=device)
        with place.locked():
            chosen.save(Secret(tokens.kept()))
        return principal

    def bearer(self, *, refused: str | None = None) -> Secret:
        """An access token that still holds for a while, and is not the one that a service `refused`.

        Raises LoginFailed (not-logged-in, session-ended, unreachable, busy, …).
        """
        tokens = self._kept()[1]
        if not self._good(tokens, refused):
            tokens = self._renewed(refused)
        return tokens.access

    def who(self) -> Principal:
        """Whom the session is of and what it proved, from a token that is good now. Raises LoginFailed."""
        access = self.bearer()
        return read_again(access, signing_keys(self._wire, self._issuer()), self.registration, now=self._clock())

    def step_up(self, wanted: Wanted) -> Principal:
        """Have the same person prove more, because a service demanded it. Raises LoginFailed (another-person, …)."""
        self._kept()
        tokens, principal = self._asked(wanted, device=False)
        with self._place.locked():
            try:
                # Not what was kept before: a login takes minutes, in which the session may have ended or changed hands.
                store, kept = self._kept()
            except LoginFailed:
                self._revoke(tokens)
                raise
            if tokens.subject != kept.subject:
                self._revoke(tokens)
                raise LoginFailed(
                    Code.ANOTHER_PERSON,
                    "somebody else logged in than whose session this is, so nothing was changed; log out first to "
                    "change who you are",
                )
            store.save(Secret(tokens.kept()))
        return principal

    def log_out(self, *, everywhere: bool = False) -> LoggedOut:
        """End the session here and at the issuer.

        everywhere: the browser's session as well (single sign-on), with every program that shares it.
        What is kept here goes in any case. Raises LoginFailed (store-unusable, no-keyring, busy).
        """
        with self._place.locked():
            store = self._place.store()
            kept = None if store is None else store.load()
            told = True
            if kept is not None:
                try:
                    told = self._revoke(Tokens.read(kept.reveal()), everywhere=everywhere)
                except LoginFailed:
                    told = False
            self._place.forget()
        return LoggedOut(kept is not None, told)

    def _asked(self, wanted: Wanted, *, device: bool) -> tuple[Tokens, Principal]:
        how = log_in_by_device if device else log_in_by_browser
        return how(self._wire, self._issuer(), self.registration, wanted, self._talk)

    def _issuer(self) -> Provider:
        if self._provider is None:
            self._provider = discover(self._wire, self.registration.issuer)
        return self._provider

    def _kept(self) -> tuple[Store, Tokens]:
        store = self._place.store()
        kept = None if store is None else store.load()
        if store is None or kept is None:
            raise LoginFailed(Code.NOT_LOGGED_IN, f"nobody is logged in to {self.registration.issuer} here; log in")
        return store, Tokens.read(kept.reveal())

    def _good(self, tokens: Tokens, refused: str | None) -> bool:
        return tokens.expires_at - self._clock() > _SOON and tokens.access.text() != refused

    def _renewed(self, refused: str | None) -> Tokens:
        with self._place.locked():
            store, tokens = self._kept()
            if self._good(tokens, refused):
                return tokens
            try:
                renewed = self._refreshed(tokens)
            except LoginFailed as problem:
                # A token that is about to end is better than none while the issuer is away.
                usable = tokens.expires_at > self._clock() and tokens.access.text() != refused
                if problem.code is Code.UNREACHABLE and usable:
                    return tokens
                if problem.code is Code.SESSION_ENDED:
                    store.delete()
                raise
            store.save(Secret(renewed.kept()))
            return renewed

    def _refreshed(self, tokens: Tokens) -> Tokens:
        """The next tokens. Sent once: a second time would look like a thief's, and end the session (RFC 9700)."""
        if tokens.refresh is None:
            raise _ended("it cannot be renewed")
        provider = self._issuer()
        # Before the refresh: what fails here costs nothing, and after it a token would be lost.
        keys = signing_keys(self._wire, provider)
        form = {
            "grant_type": "refresh_token",
            "client_id": self.registration.client_id,
            "refresh_token": tokens.refresh.text(),
        }
        asked = self._clock()
        try:
            reply = self._wire.post(provider.token, form)
        except Unanswered as problem:
            raise problem.failed() from None
        if reply.status >= 500 or reply.status == 429:
            raise LoginFailed(Code.UNREACHABLE, f"{provider.issuer} gave no token ({reply.error}); try again later")
        if reply.status != 200:
            raise _ended(reply.error)
        renewed, principal = accepted(reply.document, keys, self.registration, wanted=Wanted(), nonce=None, now=asked)
        if principal.subject != tokens.subject:
            raise LoginFailed(Code.ANOTHER_PERSON, "the issuer gave somebody else's token; log in again")
        return renewed

    def _revoke(self, tokens: Tokens, *, everywhere: bool = False) -> bool:
        """Tell the issuer (RFC 7009; RP-initiated logout with a refresh token is Keycloak's). Whether it heard."""
        provider = self._issuer()
        token = (tokens.refresh or tokens.access).text()
        client = {"client_id": self.registration.client_id}
        try:
            if everywhere and provider.end_session is not None and tokens.refresh is not None:
                reply = self._wire.post(provider.end_session, {**client, "refresh_token": token})
            elif provider.revocation is not None:
                reply = self._wire.post(provider.revocation, {**client, "token": token})
            else:
                return False
        except Unanswered:
            return False
        # A session that is gone already is what was wanted.
        return reply.status in (200, 204) or reply.error in ("invalid_grant", "invalid_token")


def _ended(why: str) -> LoginFailed:
    return LoginFailed(Code.SESSION_ENDED, f"your session has ended ({why}); log in again")
