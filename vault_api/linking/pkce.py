"""Pure: what goes into an authorization request (RFC 6749 section 4.1.1, RFC 7636, OpenID Connect Core 3.1.2.1)."""

from __future__ import annotations

import base64
import hashlib
import secrets
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Handshake:
    """The random parts of one attempt. Only `state` and `nonce` leave the vault; the verifier waits sealed."""

    state: str = field(repr=False)
    nonce: str | None = field(repr=False)
    verifier: str = field(repr=False)

    @property
    def challenge(self) -> str:
        """The S256 challenge of the verifier."""
        return base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()


def new_handshake(scopes: Sequence[str]) -> Handshake:
    """Fresh randomness, 256 bits each; a nonce only where an ID token is asked for."""
    nonce = secrets.token_urlsafe(32) if "openid" in scopes else None
    return Handshake(secrets.token_urlsafe(32), nonce, secrets.token_urlsafe(48))


def sha256(text: str) -> bytes:
    """What is kept of a state or a nonce."""
    return hashlib.sha256(text.encode()).digest()


def authorize_url(
    endpoint: str, *, client_id: str, redirect_uri: str, scopes: Sequence[str], handshake: Handshake
) -> str:
    """The address to send the person to."""
    asked = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "scope": " ".join(scopes),
        "state": handshake.state,
        "code_challenge": handshake.challenge,
        "code_challenge_method": "S256",
    }
    if handshake.nonce is not None:
        asked["nonce"] = handshake.nonce
    if "offline_access" in scopes:
        # OpenID Connect Core section 11 wants it for a refresh token.
        asked["prompt"] = "consent"
    parts = urllib.parse.urlsplit(endpoint)
    query = [*urllib.parse.parse_qsl(parts.query), *asked.items()]
    return urllib.parse.urlunsplit(parts._replace(query=urllib.parse.urlencode(query)))
