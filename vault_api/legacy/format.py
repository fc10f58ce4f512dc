"""The earlier row format: one AES-256-GCM key for everybody, and JSON inside (docs/decisions/0024).

    payload = 0x00 ‖ IV[12] ‖ AES-256-GCM(key, IV, JSON, aad = "")
    JSON    = {"access_token": "…", "refresh_token": "…" or null} in UTF-8, members in any order

Nothing binds a payload to its row, partner or version: rows that were swapped open. That is why it is
left behind, and why nothing outside of this package opens it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from identity.secret import Secret, SecretUnreadable, read_secret
from identity.strict_json import StrictJsonError, loads_object
from vault_api.tokens import AccessToken, RefreshToken

FORMAT = 0x00
IV_BYTES = 12
KEY_BYTES = 32


class LegacyUnreadable(Exception):
    """A payload is not what it claims to be. Says nothing about why."""

    def __init__(self) -> None:
        super().__init__("the payload of the earlier format does not open")


@dataclass(frozen=True, slots=True)
class LegacyTokens:
    """What a payload holds."""

    access: AccessToken = field(repr=False)
    refresh: RefreshToken | None = field(repr=False)


class LegacyKey:
    """The one key of the earlier format; shows itself nowhere."""

    __slots__ = ("_cipher",)

    def __init__(self, key: Secret) -> None:
        """Raises ValueError unless it is 32 bytes."""
        if len(key.reveal()) != KEY_BYTES:
            raise ValueError("the key of the earlier format has 32 bytes")
        self._cipher = AESGCM(key.reveal())

    @classmethod
    def read(cls, path: Path) -> LegacyKey:
        """From a file with 64 hexadecimal digits. Raises SecretUnreadable."""
        text = read_secret(path, name="VAULT_LEGACY_KEY_FILE").text()
        try:
            return cls(Secret(bytes.fromhex(text)))
        except ValueError:
            raise SecretUnreadable(f"VAULT_LEGACY_KEY_FILE: {path} must hold 64 hexadecimal digits") from None

    def seal(self, tokens: LegacyTokens) -> bytes:
        """The payload under a fresh random IV."""
        return self._seal_with(tokens, iv=os.urandom(IV_BYTES))

    def _seal_with(self, tokens: LegacyTokens, *, iv: bytes) -> bytes:
        """Only frozen vectors may choose an IV. Tokens are visible ASCII, so two characters need an escape."""
        refresh = "null" if tokens.refresh is None else _quoted(tokens.refresh.text())
        text = f'{{"access_token":{_quoted(tokens.access.text())},"refresh_token":{refresh}}}'
        return bytes([FORMAT]) + iv + self._cipher.encrypt(iv, text.encode(), None)

    def open(self, payload: bytes) -> LegacyTokens:
        """The tokens. Raises LegacyUnreadable, always the same."""
        if len(payload) < 1 + IV_BYTES + 16 or payload[0] != FORMAT:
            raise LegacyUnreadable
        try:
            plain = self._cipher.decrypt(payload[1 : 1 + IV_BYTES], payload[1 + IV_BYTES :], None)
            document = loads_object(plain, max_bytes=65_536, max_depth=2)
            if set(document) != {"access_token", "refresh_token"}:
                raise LegacyUnreadable
            given = document["refresh_token"]
            return LegacyTokens(
                access=AccessToken.parse(document["access_token"]),
                refresh=None if given is None else RefreshToken.parse(given),
            )
        except (InvalidTag, StrictJsonError, ValueError):
            raise LegacyUnreadable from None

    def __repr__(self) -> str:
        return "<the key of the earlier format>"


def _quoted(token: str) -> str:
    escaped = token.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
