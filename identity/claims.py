"""The claims of an internal access token, checked one by one and turned into a `Principal`.

The shapes are those of `docs/architecture.md`; a claim of another type is refused rather than
converted, because a number that is a string here is a number somewhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Literal

from identity.principal import AssuranceLevel, Membership, Principal
from identity.reject import RejectReason, TokenRejected

_MAX_TEXT = 512
_MAX_NAMES = 1024
_MAX_TIME = 2**40  # Far beyond any date, far below where a double loses seconds.
_ALIAS = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}\Z")
_LENT = re.compile(r"/([^/]+)/until-([1-9][0-9]{0,11})\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def principal_from(
    claims: Mapping[str, Any],
    *,
    issuer: str,
    audience: str,
    environment: str,
    clients: frozenset[str],
    leeway: int,
    now: float,
    token_name: str,
) -> Principal:
    """The principal of claims whose signature was checked. Raises `TokenRejected`."""
    # Keycloak marks what a token is for in `typ`: Bearer is access; ID, Refresh, Offline and Logout
    # are signed with the same keys and would otherwise pass for one.
    if claims.get("typ") != "Bearer":
        raise TokenRejected(RejectReason.PURPOSE_REFUSED)
    if claims.get("iss") != issuer:
        raise TokenRejected(RejectReason.ISSUER_REFUSED)
    # A token for us and for others could be replayed to us by any of the others.
    if claims.get("aud") not in (audience, [audience]):
        raise TokenRejected(RejectReason.AUDIENCE_REFUSED)
    client = _text(claims, "azp")
    if client not in clients:
        raise TokenRejected(RejectReason.CLIENT_REFUSED)
    expires_at = _check_times(claims, now=now, leeway=leeway)
    if "cnf" in claims:
        # Bound to a key that we do not ask for; taking it as plain bearer undoes the binding
        # (RFC 9449 section 7.1).
        raise TokenRejected(RejectReason.SENDER_CONSTRAINED)
    kind = _kind(claims, client)
    acr = _optional_text(claims, "acr")
    return Principal(
        subject=_text(claims, "sub"),
        email=_optional_text(claims, "email"),
        kind=kind,
        environment=environment,
        issuer=issuer,
        client=client,
        groups=frozenset(_names(claims, "groups")),
        assurance_level=_assurance(_optional_text(claims, "assurance_level"), acr),
        acr=acr,
        amr=tuple(dict.fromkeys(_names(claims, "amr"))),
        auth_time=_optional_time(claims, "auth_time"),
        session=_optional_text(claims, "sid"),
        expires_at=expires_at,
        organizations=_organizations(claims.get("organization")),
        token_name=token_name,
    )


def _check_times(claims: Mapping[str, Any], *, now: float, leeway: int) -> int:
    expires_at, issued_at = moment(claims, "exp"), moment(claims, "iat")
    not_before = _optional_time(claims, "nbf")
    if now >= expires_at + leeway:
        raise TokenRejected(RejectReason.EXPIRED)
    if not_before is not None and now < not_before - leeway:
        raise TokenRejected(RejectReason.NOT_YET_VALID)
    if now < issued_at - leeway:
        raise TokenRejected(RejectReason.ISSUED_IN_FUTURE)
    return expires_at


def _kind(claims: Mapping[str, Any], client: str) -> Literal["person", "service"]:
    """A service account's token names its own client; a person's has a session and no such claim.

    The distinction lifts the demand for a second factor, so a token that looks like both is refused.
    """
    if "client_id" not in claims:
        return "person"
    if claims["client_id"] != client or "sid" in claims or "auth_time" in claims:
        raise TokenRejected(RejectReason.CLAIM_MALFORMED)
    return "service"


def _assurance(level: str | None, acr: str | None) -> AssuranceLevel:
    """The level that both claims support; what we do not know counts as the lowest."""
    known = {level.value: level for level in AssuranceLevel}
    claimed = known.get(level or "", AssuranceLevel.AAL1)
    return min(claimed, known[acr]) if acr in known else claimed


def _organizations(claim: Any) -> Mapping[str, Membership]:
    """`{"acme-capital": {"id": "…", "groups": ["/partner-trader"]}}` as memberships by alias."""
    if claim is None:
        return MappingProxyType({})
    if not isinstance(claim, dict) or len(claim) > _MAX_NAMES:
        raise TokenRejected(RejectReason.ORGANIZATION_MALFORMED)
    return MappingProxyType({alias: _membership(alias, entry) for alias, entry in claim.items()})


def _membership(alias: str, entry: Any) -> Membership:
    if not _ALIAS.match(alias) or not isinstance(entry, dict):
        raise TokenRejected(RejectReason.ORGANIZATION_MALFORMED)
    identifier, groups = entry.get("id"), entry.get("groups", [])
    if not isinstance(identifier, str) or not _is_text(identifier) or not _are_texts(groups):
        raise TokenRejected(RejectReason.ORGANIZATION_MALFORMED)
    roles = frozenset(_top_level(groups))
    return Membership(alias, identifier, roles, MappingProxyType(_lent(groups, roles)))


def _top_level(paths: Iterable[str]) -> Iterable[str]:
    """Role names of groups directly under the organization. A nested group's name is no role's:
    a delegated administrator may create `/team/partner-admin` freely."""
    for path in paths:
        if path.startswith("/") and "/" not in path[1:] and len(path) > 1:
            yield path[1:]


def _lent(paths: Iterable[str], roles: frozenset[str]) -> dict[str, int]:
    """Roles with an end by `/role/until-<unix seconds>`, the latest end of each; one that is held for good has none."""
    ends: dict[str, int] = {}
    for path in paths:
        found = _LENT.match(path)
        if found is not None and found[1] not in roles:
            ends[found[1]] = max(ends.get(found[1], 0), int(found[2]))
    return ends


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = _optional_text(claims, name)
    if value is None:
        raise TokenRejected(RejectReason.CLAIM_MISSING)
    return value


def _optional_text(claims: Mapping[str, Any], name: str) -> str | None:
    if name not in claims:
        return None
    value = claims[name]
    if not _is_text(value):
        raise TokenRejected(RejectReason.CLAIM_MALFORMED)
    return str(value)


def _names(claims: Mapping[str, Any], name: str) -> list[str]:
    value = claims.get(name, [])
    if not _are_texts(value):
        raise TokenRejected(RejectReason.CLAIM_MALFORMED)
    return list(value)


def moment(claims: Mapping[str, Any], name: str) -> int:
    """A claim that is a time in unix seconds. Raises `TokenRejected`."""
    value = _optional_time(claims, name)
    if value is None:
        raise TokenRejected(RejectReason.CLAIM_MISSING)
    return value


def _optional_time(claims: Mapping[str, Any], name: str) -> int | None:
    if name not in claims:
        return None
    value = claims[name]
    # bool is an int to Python: `"exp": true` would be a second after the epoch.
    if type(value) is not int or not 0 <= value <= _MAX_TIME:
        raise TokenRejected(RejectReason.CLAIM_MALFORMED)
    return value


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _MAX_TEXT and not _CONTROL.search(value)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= _MAX_NAMES and all(_is_text(item) for item in value)
