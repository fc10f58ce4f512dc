"""Grants by the hash of their token: bounded in number, and in time by the revocation window.

What a grant rests on may change while it is remembered: an account is disabled, a provider deleted.
None of that is asked about again until the grant is forgotten, so the time it is remembered is how
long a revocation may take to be noticed, and it is a setting.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from identity.principal import Principal
from identity.secret import Secret
from session_broker.verify import VerifiedIdentity

Key = tuple[bytes, str]
"""SHA-256 of a token, and the service that it was shown to."""


def key_of(token: str, service: str) -> Key:
    """The key of a token at a service; the token itself is never a key."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest(), service


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What an admitted request carries on: the internal token, and whose it is.

    `holds_until` (unix seconds) is when it is asked about again; the token outlives it.
    """

    token: Secret
    identity: VerifiedIdentity
    principal: Principal
    holds_until: float


class GrantCache:
    """At most `size` grants; the one unused for longest goes first. One event loop only."""

    def __init__(self, *, size: int, clock: Callable[[], float] = time.time) -> None:
        self._size = size
        self._clock = clock
        self._grants: OrderedDict[Key, Grant] = OrderedDict()

    def __len__(self) -> int:
        return len(self._grants)

    def find(self, key: Key) -> Grant | None:
        """The grant, if it still holds."""
        grant = self._grants.get(key)
        if grant is None:
            return None
        # A clock set back makes an old grant young again; there is no grant that old that matters,
        # because each carries a token whose own expiry the service checks.
        if self._clock() >= grant.holds_until:
            del self._grants[key]
            return None
        self._grants.move_to_end(key)
        return grant

    def keep(self, key: Key, grant: Grant) -> None:
        """Remember a grant until it ends."""
        self._grants[key] = grant
        self._grants.move_to_end(key)
        while len(self._grants) > self._size:
            self._grants.popitem(last=False)

    def forget(self, key: Key) -> None:
        """Forget a grant, because what it rests on has ended."""
        self._grants.pop(key, None)
