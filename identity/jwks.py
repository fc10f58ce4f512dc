"""An issuer's public keys, fetched rarely and kept through its outages (RFC 7517).

- Keys are refetched in the background of a request once they are `refresh` seconds old; if that
  fails, the old ones serve until they are `max_age` seconds old. After that there is no answer
  about any token: `KeysUnavailable` (503), never open and never 401.
- A key id that we do not know refetches at once, because keys rotate, but at most once per
  `cooldown`, because key ids are the caller's choice. Fetches are shared by all who wait.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from identity.outbound import OutboundError, exchange
from identity.reject import RejectReason, TokenRejected
from identity.strict_json import StrictJsonError, loads_object

_MAX_BYTES = 262_144
_MAX_KEYS = 64
_RSA_BITS = range(2048, 8193)

_RSA_ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_CURVE_ALGORITHMS: Mapping[tuple[str, str], frozenset[str]] = {
    ("EC", "P-256"): frozenset({"ES256"}),
    ("EC", "P-384"): frozenset({"ES384"}),
    ("EC", "P-521"): frozenset({"ES512"}),
    # RFC 9864 renamed EdDSA with this curve to Ed25519; Keycloak writes the old name.
    ("OKP", "Ed25519"): frozenset({"EdDSA", "Ed25519"}),
}

_log = structlog.get_logger(__name__)


class KeysUnavailable(Exception):
    """No keys that may still be trusted. `retry_after` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("the issuer's keys cannot be had; see that the identity provider answers")
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One public key and the algorithms it may be used with."""

    key_id: str
    algorithms: frozenset[str]
    key: Key


class JwksCache:
    """The keys behind one JWKS URL.

    `max_age`, `cooldown` and `refresh` are in seconds; `clock` returns unix seconds.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        url: str,
        *,
        max_age: float = 3600.0,
        cooldown: float = 10.0,
        refresh: float = 300.0,
        timeout: float = 5.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._http = http
        self._url = url
        self._max_age = max_age
        self._cooldown = cooldown
        self._refresh = min(refresh, max_age)
        self._timeout = timeout
        self._clock = clock
        self._keys: Mapping[str, SigningKey] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._asked_at: float | None = None
        self._last_try_failed = False
        self._flight: asyncio.Task[None] | None = None
        self.fetches = 0
        """Requests made so far; a metric."""

    async def find(self, key_id: str) -> SigningKey:
        """The key of that id.

        Raises `TokenRejected` when the issuer has no such key, `KeysUnavailable` when we cannot know.
        """
        if not self._within(self._fetched_at, self._refresh):
            await self._renew()
        key = self._live().get(key_id)
        if key is None and self._flight is not None:
            await asyncio.shield(self._flight)
            key = self._live().get(key_id)
        if key is not None:
            return key
        # The cool-down is counted between fetches that an unknown id caused, apart from the regular
        # ones: a rotation just after a regular refresh is noticed at once, a flood still costs one.
        if not self._within(self._asked_at, self._cooldown):
            self._asked_at = self._clock()
            await self._fetch()
            key = self._live().get(key_id)
        if key is not None:
            return key
        if self._last_try_failed:
            # The key may have come into use while the issuer was away; 401 would be a guess.
            raise KeysUnavailable(self._retry_after())
        raise TokenRejected(RejectReason.KEY_UNKNOWN)

    def age(self) -> float | None:
        """Seconds since the keys were fetched, None before the first time; a metric and readiness."""
        return None if self._fetched_at is None else max(0.0, self._clock() - self._fetched_at)

    async def ready(self) -> bool:
        """Whether any keys may be trusted now; fetches them if there are none."""
        if not self._within(self._fetched_at, self._refresh):
            await self._renew()
        return self._within(self._fetched_at, self._max_age)

    def _live(self) -> Mapping[str, SigningKey]:
        if not self._within(self._fetched_at, self._max_age):
            raise KeysUnavailable(self._retry_after())
        return self._keys

    async def _renew(self) -> None:
        # While the issuer is away every request comes here; only one per cool-down tries, and only
        # those without any usable keys wait for it.
        usable = self._within(self._fetched_at, self._max_age)
        if self._flight is None and self._within(self._tried_at, self._cooldown):
            return
        if usable:
            self._start()
        else:
            self._asked_at = self._clock()
            await self._fetch()

    async def _fetch(self) -> None:
        # Shielded: the one who started a fetch may be cancelled while others wait for it.
        await asyncio.shield(self._start())

    def _start(self) -> asyncio.Task[None]:
        if self._flight is None:
            self._tried_at = self._clock()
            self._flight = asyncio.create_task(self._load())
            self._flight.add_done_callback(self._landed)
        return self._flight

    def _landed(self, _: asyncio.Task[None]) -> None:
        self._flight = None

    async def _load(self) -> None:
        self.fetches += 1
        try:
            reply = await exchange(self._http, "GET", self._url, max_bytes=_MAX_BYTES, timeout=self._timeout)
            if reply.status != 200:
                raise OutboundError(f"the key set was answered with status {reply.status}")
            keys = parse_key_set(reply.body)
        except (OutboundError, StrictJsonError) as error:
            self._last_try_failed = True
            _log.warning("jwks.fetch_failed", url=self._url, problem=str(error), age=self.age())
            return
        self._keys = keys
        self._fetched_at = self._clock()
        self._last_try_failed = False

    def _within(self, moment: float | None, seconds: float) -> bool:
        # A clock set back makes the difference negative; then the moment cannot be trusted.
        return moment is not None and 0 <= self._clock() - moment < seconds

    def _retry_after(self) -> int:
        return max(1, int(self._cooldown))


def parse_key_set(body: bytes) -> Mapping[str, SigningKey]:
    """The usable signing keys of a JWKS document, by key id.

    A key of an unknown kind, for encryption, too small or malformed is left out, as RFC 7517
    section 5 asks; two keys of one id are both left out, for nobody can say which is meant. A
    document without any usable key raises `StrictJsonError`: it is never what an issuer means.
    """
    entries = loads_object(body, max_bytes=_MAX_BYTES).get("keys")
    if not isinstance(entries, list) or len(entries) > _MAX_KEYS:
        raise StrictJsonError("the document is not a key set")
    keys: dict[str, SigningKey] = {}
    ambiguous: set[str] = set()
    for entry in entries:
        key = _signing_key(entry) if isinstance(entry, dict) else None
        if key is None:
            continue
        if key.key_id in keys:
            ambiguous.add(key.key_id)
        keys[key.key_id] = key
    usable = {key_id: key for key_id, key in keys.items() if key_id not in ambiguous}
    if not usable:
        raise StrictJsonError("the key set holds no usable signing key")
    return usable


def _signing_key(entry: Mapping[str, Any]) -> SigningKey | None:
    key_id, use, operations = entry.get("kid"), entry.get("use", "sig"), entry.get("key_ops", ["verify"])
    if not isinstance(key_id, str) or use != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return None
    if "d" in entry or "k" in entry:
        return None  # A private or symmetric key that is published is nobody's secret any more.
    try:
        key, algorithms = _import(entry)
    except (JoseError, ValueError, TypeError, KeyError, OverflowError):
        return None
    declared = entry.get("alg")
    if declared is not None:
        if not isinstance(declared, str) or declared not in algorithms:
            return None
        if entry["kty"] != "OKP":
            algorithms = frozenset({declared})
    return SigningKey(key_id, algorithms, key)


def _import(entry: Mapping[str, Any]) -> tuple[Key, frozenset[str]]:
    """The key and what it can verify. Raises KeyError, ValueError or TypeError for any other key."""
    kind = entry["kty"]
    if kind == "RSA":
        # The size is known before the library sees the number, so a huge one costs nothing.
        bits = int.from_bytes(_number(entry["n"])).bit_length()
        exponent = int.from_bytes(_number(entry["e"]))
        if bits not in _RSA_BITS or exponent < 3 or exponent % 2 == 0 or exponent.bit_length() > 32:
            raise ValueError("the modulus or the exponent is out of range")
        return RSAKey.import_key({"kty": "RSA", "n": entry["n"], "e": entry["e"]}), _RSA_ALGORITHMS
    algorithms = _CURVE_ALGORITHMS[(kind, entry["crv"])]
    if kind == "EC":
        return ECKey.import_key({"kty": "EC", "crv": entry["crv"], "x": entry["x"], "y": entry["y"]}), algorithms
    return OKPKey.import_key({"kty": "OKP", "crv": entry["crv"], "x": entry["x"]}), algorithms


def _number(text: Any) -> bytes:
    if not isinstance(text, str) or len(text) > 2048:
        raise TypeError("a key parameter is not text of a plausible length")
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise ValueError("a key parameter is not base64url") from None
