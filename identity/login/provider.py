"""What an issuer says of itself (OpenID Connect Discovery 1.0; RFC 8414)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from identity.key_set import SigningKey, parse_key_set
from identity.login.errors import Code, LoginFailed
from identity.login.registration import origin, safe_url
from identity.login.wire import Reply, Unanswered, Wire
from identity.strict_json import StrictJsonError


@dataclass(frozen=True, slots=True)
class Provider:
    """An issuer's endpoints. `names_itself`: whether it puts its name into every answer (RFC 9207)."""

    issuer: str
    authorization: str
    token: str
    keys: str
    device: str | None
    revocation: str | None
    end_session: str | None
    names_itself: bool


def discover(wire: Wire, issuer: str) -> Provider:
    """Ask an issuer for its endpoints. Raises LoginFailed (unreachable, issuer-mismatch)."""
    document = _asked(wire, f"{issuer}/.well-known/openid-configuration").document
    if document.get("issuer") != issuer:
        raise LoginFailed(
            Code.ISSUER_MISMATCH,
            f"what answers at {issuer} does not say that it is that issuer; see TRADEPULSE_ISSUER",
        )
    return Provider(
        issuer,
        _needed(document, "authorization_endpoint", issuer),
        _needed(document, "token_endpoint", issuer),
        _needed(document, "jwks_uri", issuer),
        _endpoint(document, "device_authorization_endpoint", issuer),
        _endpoint(document, "revocation_endpoint", issuer),
        _endpoint(document, "end_session_endpoint", issuer),
        document.get("authorization_response_iss_parameter_supported") is True,
    )


def signing_keys(wire: Wire, provider: Provider) -> Mapping[str, SigningKey]:
    """The issuer's keys by id. Raises LoginFailed (unreachable)."""
    try:
        return parse_key_set(_asked(wire, provider.keys).body)
    except StrictJsonError:
        raise LoginFailed(Code.UNREACHABLE, f"{provider.issuer} publishes no keys that could be read") from None


def _asked(wire: Wire, url: str) -> Reply:
    try:
        reply = wire.get(url)
    except Unanswered as problem:
        raise problem.failed() from None
    if reply.status != 200:
        raise LoginFailed(Code.UNREACHABLE, f"{url} answered {reply.status}; see TRADEPULSE_ISSUER and its health")
    return reply


def _needed(document: Mapping[str, Any], name: str, issuer: str) -> str:
    found = _endpoint(document, name, issuer)
    if found is None:
        raise LoginFailed(Code.ISSUER_MISMATCH, f"{issuer} names no {name}; is it an OpenID provider?")
    return found


def _endpoint(document: Mapping[str, Any], name: str, issuer: str) -> str | None:
    """An endpoint, which has to be on the issuer's own host: a token goes there, or a person."""
    url = document.get(name)
    if url is None:
        return None
    if not isinstance(url, str) or not safe_url(url) or origin(url) != origin(issuer):
        raise LoginFailed(Code.ISSUER_MISMATCH, f"{issuer} names a {name} that is on another host or not on https")
    return url
