"""The access service's word to the vault that an opening was approved: a signed statement, good for a minute.

The form is the vault's (`vault_api/break_glass/proof.py`): the two packages import nothing of each other, and a
test holds what is signed here against what is verified there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from joserfc import jws
from joserfc.jwk import OKPKey

from identity.secret import Secret, read_secret

TYPE: Final = "break-glass-proof+jwt"
ISSUER: Final = "tradepulse-access"
AUDIENCE: Final = "tradepulse-vault"
SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Approved:
    """An opening as far as the vault has to know it: for whom, of what, until when."""

    request: str
    hash: str
    subject: str
    """The `sub` of the account that asked; its token has to come along."""
    email: str
    environment: str
    account: str
    until: datetime


class Signer:
    """Signs proofs with the access service's Ed25519 key."""

    def __init__(self, pem: Secret) -> None:
        """Raises ValueError for anything but an Ed25519 private key in PEM."""
        try:
            key = OKPKey.import_key(pem.reveal(), {"use": "sig", "alg": "Ed25519"})
        except Exception:  # noqa: BLE001 - whatever the library says could quote the key
            key = None
        if key is None or not key.is_private or key.curve_name != "Ed25519":
            raise ValueError("not an Ed25519 private key in PEM") from None
        key.ensure_kid()
        self._key = key

    @classmethod
    def from_file(cls, path: Path) -> Signer:
        """Raises SecretUnreadable, ValueError."""
        return cls(read_secret(path, name="ACCESS_APPROVAL_KEY_FILE"))

    def key_set(self) -> str:
        """The public key as a JWKS document, for the vault's VAULT_APPROVAL_KEYS_FILE."""
        return json.dumps({"keys": [self._key.as_dict(private=False)]}, indent=1) + "\n"

    def sign(self, approved: Approved, now: datetime) -> Secret:
        """The proof, as a compact JWS."""
        issued = int(now.timestamp())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": approved.subject,
            "email": approved.email.lower(),
            "request": approved.request,
            "hash": approved.hash,
            "environment": approved.environment,
            "account": approved.account,
            "until": int(approved.until.timestamp()),
            "iat": issued,
            "exp": issued + SECONDS,
        }
        header = {"alg": "Ed25519", "kid": self._key.kid, "typ": TYPE}
        return Secret(jws.serialize_compact(header, json.dumps(claims), self._key, algorithms=["Ed25519"]))


@dataclass(frozen=True, slots=True)
class Proof:
    """What the person is given: a proof, and where the vault has to be told of it."""

    text: Secret = field(repr=False)
    environment: str
    account: str
