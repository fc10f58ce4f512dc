"""The authorization request and its answer, purely (RFC 6749, RFC 7636, RFC 9207; OpenID Connect Core 1.0)."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit

from identity.login.errors import Code, LoginFailed
from identity.login.provider import Provider
from identity.login.registration import Registration, Wanted

CALLBACK = "/callback"

_MAX_ANSWER = 8192


class NotOurs(Exception):
    """Something came to the callback that is no answer to this login. It changes nothing: the login goes on."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The secrets of one login; each is used once and shown nowhere."""

    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48), repr=False)
    state: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    @property
    def challenge(self) -> str:
        """What the issuer gets instead of the verifier: S256 (RFC 7636, section 4.2)."""
        digest = hashlib.sha256(self.verifier.encode("ascii")).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def authorization_url(
    provider: Provider, registration: Registration, proof: Proof, redirect_uri: str, wanted: Wanted
) -> str:
    """Where the browser has to go. It holds no token and no secret but the state and nonce of this one login."""
    query: dict[str, str | int] = {
        "response_type": "code",
        "client_id": registration.client_id,
        "redirect_uri": redirect_uri,
        "scope": registration.scope,
        "state": proof.state,
        "nonce": proof.nonce,
        "code_challenge": proof.challenge,
        "code_challenge_method": "S256",
    }
    if wanted.level is not None:
        # Keycloak takes `acr_values` as a wish and lets somebody in below it; an essential claim is an order.
        essential = {"id_token": {"acr": {"essential": True, "values": [wanted.level.value]}}}
        query["claims"] = json.dumps(essential, separators=(",", ":"))
    if wanted.max_age is not None:
        query["max_age"] = wanted.max_age
    joint = "&" if urlsplit(provider.authorization).query else "?"
    return f"{provider.authorization}{joint}{urlencode(query)}"


def code_of(target: str, provider: Provider, proof: Proof) -> str:
    """The authorization code in the request target of a callback.

    Raises NotOurs for what anybody could have sent, because such a request must not end somebody's login, and
    LoginFailed for what the issuer answered (login-refused) or another issuer did (issuer-mismatch, RFC 9207).
    """
    if len(target) > _MAX_ANSWER:
        raise NotOurs
    try:
        parts = urlsplit(target)
        pairs = parse_qsl(parts.query, keep_blank_values=True, max_num_fields=32)
    except ValueError:
        raise NotOurs from None
    answer = dict(pairs)
    # A parameter that comes twice means one thing to us and another to somebody else.
    if parts.path != CALLBACK or len(answer) != len(pairs):
        raise NotOurs
    if not secrets.compare_digest(answer.get("state", "").encode(), proof.state.encode()):
        raise NotOurs
    named = answer.get("iss")
    if named != provider.issuer and (named is not None or provider.names_itself):
        raise LoginFailed(Code.ISSUER_MISMATCH, f"the answer is not one of {provider.issuer}; nothing was sent there")
    if "error" in answer:
        said = answer["error"] if answer["error"].replace("_", "").isalnum() else "an error"
        raise LoginFailed(Code.LOGIN_REFUSED, f"{provider.issuer} did not log you in: {said[:64]}; {_next(said)}")
    code = answer.get("code", "")
    if not code:
        raise NotOurs
    return code


def _next(error: str) -> str:
    if error == "access_denied":
        return "the login was cancelled or what was asked for could not be proved"
    if error in ("temporarily_unavailable", "server_error"):
        return "try again in a moment"
    return "log in again; if that repeats, show this to who runs the realm"
