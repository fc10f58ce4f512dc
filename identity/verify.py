"""The one function that turns a bearer token into a `Principal` (RFC 8725, RFC 9068).

token ─ size, shape, header ─▶ key from our JWKS ─ signature ─▶ claims ─▶ Principal

Nothing of the token is believed before its signature is checked, every claim that decides something
is compared exactly, and whatever is absent, doubled or of another type is refused.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from identity.claims import principal_from
from identity.jwks import JwksCache, KeysUnavailable
from identity.jws import ALGORITHMS, check_signature, parse
from identity.key_set import SigningKey
from identity.principal import Principal
from identity.reject import RejectReason, TokenRejected

__all__ = ["KeysUnavailable", "RejectReason", "TokenPolicy", "TokenRejected", "TokenVerifier"]

_HEADER_TYPES = frozenset({"JWT", "at+jwt"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPolicy:
    """What a token must say. `clients` is the `azp` allow-list; an empty one lets nobody in.

    `leeway` is in seconds and covers clocks that differ, `max_bytes` bounds the token.
    """

    issuer: str
    audience: str
    environment: str
    clients: frozenset[str]
    algorithms: tuple[str, ...] = ALGORITHMS
    leeway: int = 30
    max_bytes: int = 16_384

    def __post_init__(self) -> None:
        unknown = set(self.algorithms) - set(ALGORITHMS)
        if unknown or not self.algorithms:
            raise ValueError(f"not signature algorithms that may be accepted: {sorted(unknown)}")
        if not self.issuer or not self.audience or not self.environment:
            raise ValueError("issuer, audience and environment must be named")


@dataclass(frozen=True, slots=True)
class _Verified:
    principal: Principal
    key: SigningKey


class TokenVerifier:
    """Verifies access tokens of one issuer.

    `name_key` (32 bytes) names tokens in audit lines by HMAC; give every service the same one so
    that their trails can be joined. Without it the names hold for this process only.
    """

    def __init__(
        self,
        policy: TokenPolicy,
        keys: JwksCache,
        clock: Callable[[], float] = time.time,
        *,
        name_key: bytes | None = None,
        cache_size: int = 10_000,
    ) -> None:
        self._policy = policy
        self._keys = keys
        self._clock = clock
        self._name_key = secrets.token_bytes(32) if name_key is None else name_key
        self._cache: OrderedDict[bytes, _Verified] = OrderedDict()
        self._cache_size = cache_size

    async def verify(self, token: str) -> Principal:
        """The caller that `token` proves.

        Raises `TokenRejected` with the reason, or `KeysUnavailable` when the issuer's keys cannot
        be had; the caller of this function answers 401 and 503.
        """
        if len(token) > self._policy.max_bytes:
            raise TokenRejected(RejectReason.TOO_LARGE)
        name = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._cache.get(name)
        if known is not None and await self._still_holds(known):
            self._cache.move_to_end(name)
            return known.principal
        self._cache.pop(name, None)
        verified = await self._verify(token)
        self._cache[name] = verified
        while len(self._cache) > self._cache_size:
            self._cache.popitem(last=False)
        return verified.principal

    def name(self, token: str) -> str:
        """The name of a token in audit lines; also for one that was refused."""
        data = token[: self._policy.max_bytes].encode("utf-8", "surrogatepass")
        return hmac.digest(self._name_key, b"tradepulse/token-name\0" + data, "sha256")[:16].hex()

    async def _still_holds(self, known: _Verified) -> bool:
        """Whether a remembered token would be accepted again: not expired, its key not withdrawn."""
        if self._clock() >= known.principal.expires_at + self._policy.leeway:
            return False
        # The same find as for a new token, so an outage beyond the keys' age answers 503 here too.
        return await self._keys.find(known.key.key_id) is known.key

    async def _verify(self, token: str) -> _Verified:
        parsed = parse(token, algorithms=self._policy.algorithms, max_bytes=self._policy.max_bytes)
        if parsed.type not in _HEADER_TYPES:
            raise TokenRejected(RejectReason.TYPE_REFUSED)
        key = await self._keys.find(parsed.key_id)
        check_signature(parsed, key)
        principal = principal_from(
            parsed.claims,
            issuer=self._policy.issuer,
            audience=self._policy.audience,
            environment=self._policy.environment,
            clients=self._policy.clients,
            leeway=self._policy.leeway,
            now=self._clock(),
            token_name=self.name(token),
        )
        return _Verified(principal, key)
