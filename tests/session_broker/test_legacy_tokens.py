"""Legacy tokens: what is accepted is exactly what the platform signed, and nothing else gets a name."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.reject import RejectReason, TokenRejected
from identity.secret import Secret
from session_broker.migration.legacy_token import LEEWAY, MAX_BYTES, LegacyTokens
from session_broker.migration.phase import Phase, parse
from session_broker.migration.roles import LegacyRole, for_groups

SECRET = b"a secret of legacy tokens, 32 bytes at the least"
NOW = 1_800_000_000
CLAIMS: dict[str, Any] = {
    "iss": "https://platform.example",
    "aud": "platform",
    "sub": "account-17",
    "email": "trader@acme.example",
    "roles": ["trader", "viewer"],
    "client": "desktop",
    "iat": NOW - 60,
    "exp": NOW + 600,
}
HEADER = {"alg": "HS256", "typ": "JWT"}


@pytest.fixture
def tokens() -> LegacyTokens:
    return LegacyTokens(Secret(SECRET), issuer="https://platform.example", audience="platform", clock=lambda: NOW)


def text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(header: object, claims: object, *, key: bytes = SECRET) -> str:
    """A token by the standard library alone, so that our own code does not judge itself."""
    parts = [one if isinstance(one, str) else json.dumps(one) for one in (header, claims)]
    body = ".".join(text(part.encode()) for part in parts)
    return f"{body}.{text(hmac.digest(key, body.encode(), hashlib.sha256))}"


def refused(tokens: LegacyTokens, token: str) -> RejectReason:
    with pytest.raises(TokenRejected) as caught:
        tokens.verify(token)
    return caught.value.reason


def test_a_token_of_the_platform_names_its_person(tokens: LegacyTokens) -> None:
    found = tokens.verify(signed(HEADER, CLAIMS))
    assert (found.subject, found.email, found.client) == ("account-17", "trader@acme.example", "desktop")
    assert found.roles == (LegacyRole.TRADER, LegacyRole.VIEWER)


def test_what_is_minted_is_signed_as_the_platform_signs_and_opens_nothing_from_outside(tokens: LegacyTokens) -> None:
    token = tokens.mint(subject="s", email="e@x.example", roles=[LegacyRole.ADMIN], client="c", expires_at=NOW + 5)
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert token == signed('{"alg":"HS256","typ":"JWT"}', json.dumps(claims, separators=(",", ":")))
    assert (claims["exp"], claims["roles"], claims["iss"]) == (NOW + 5, ["admin"], "https://platform.example")
    assert refused(tokens, token) == RejectReason.PURPOSE_REFUSED


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"alg": "none"}, RejectReason.ALGORITHM_REFUSED),
        ({"alg": "None", "typ": "JWT"}, RejectReason.ALGORITHM_REFUSED),
        ({"alg": "hs256"}, RejectReason.ALGORITHM_REFUSED),
        ({"alg": "HS512"}, RejectReason.ALGORITHM_REFUSED),
        ({"alg": "RS256"}, RejectReason.ALGORITHM_REFUSED),
        ({"alg": ["HS256"]}, RejectReason.ALGORITHM_REFUSED),
        ({**HEADER, "kid": "../../dev/null"}, RejectReason.HEADER_REFUSED),
        ({**HEADER, "jwk": {"kty": "oct", "k": "AA"}}, RejectReason.HEADER_REFUSED),
        ({**HEADER, "crit": ["exp"]}, RejectReason.HEADER_REFUSED),
        ({**HEADER, "typ": "at+jwt"}, RejectReason.TYPE_REFUSED),
        ('{"alg": "none", "alg": "HS256"}', RejectReason.MALFORMED),
    ],
)
def test_the_header_chooses_nothing(tokens: LegacyTokens, header: object, reason: RejectReason) -> None:
    assert refused(tokens, signed(header, CLAIMS)) == reason


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"iss": "https://platform.example.evil"}, RejectReason.ISSUER_REFUSED),
        ({"aud": ["platform", "other"]}, RejectReason.AUDIENCE_REFUSED),
        ({"aud": ["platform"]}, RejectReason.AUDIENCE_REFUSED),
        ({"exp": None}, RejectReason.CLAIM_MISSING),
        ({"exp": NOW - LEEWAY}, RejectReason.EXPIRED),
        ({"exp": str(NOW + 60)}, RejectReason.CLAIM_MALFORMED),
        ({"exp": True}, RejectReason.CLAIM_MALFORMED),
        ({"iat": None}, RejectReason.CLAIM_MISSING),
        ({"iat": NOW + LEEWAY + 1}, RejectReason.ISSUED_IN_FUTURE),
        ({"sub": ""}, RejectReason.CLAIM_MALFORMED),
        ({"sub": "a\nb"}, RejectReason.CLAIM_MALFORMED),
        ({"email": None}, RejectReason.CLAIM_MISSING),
        ({"roles": []}, RejectReason.CLAIM_MALFORMED),
        ({"roles": "super_admin"}, RejectReason.CLAIM_MALFORMED),
        ({"roles": ["trader", "superadmin"]}, RejectReason.ROLE_UNKNOWN),
        ({"roles": ["Super_Admin"]}, RejectReason.ROLE_UNKNOWN),
        ({"roles": [None]}, RejectReason.ROLE_UNKNOWN),
    ],
)
def test_each_claim_is_compared_exactly(tokens: LegacyTokens, changed: dict[str, Any], reason: RejectReason) -> None:
    claims = {name: value for name, value in (CLAIMS | changed).items() if value is not None}
    assert refused(tokens, signed(HEADER, claims)) == reason


def test_another_key_signs_nothing_here(tokens: LegacyTokens) -> None:
    assert refused(tokens, signed(HEADER, CLAIMS, key=SECRET + b"x")) == RejectReason.SIGNATURE_INVALID
    assert refused(tokens, signed(HEADER, CLAIMS, key=b"")) == RejectReason.SIGNATURE_INVALID


def test_a_huge_token_is_refused_before_it_is_looked_at(tokens: LegacyTokens) -> None:
    assert refused(tokens, signed(HEADER, CLAIMS | {"pad": "x" * MAX_BYTES})) == RejectReason.TOO_LARGE


@given(place=st.integers(min_value=0, max_value=10_000), letter=st.characters())
def test_no_changed_character_is_accepted(place: int, letter: str) -> None:
    tokens = LegacyTokens(Secret(SECRET), issuer="https://platform.example", audience="platform", clock=lambda: NOW)
    token = signed(HEADER, CLAIMS)
    at = place % len(token)
    changed = token[:at] + letter + token[at + 1 :]
    if changed != token:
        with pytest.raises(TokenRejected):
            tokens.verify(changed)


@pytest.mark.parametrize("short", [b"", b"x" * 31])
def test_a_short_secret_is_refused_at_the_start(short: bytes) -> None:
    with pytest.raises(ValueError, match="at least 32 bytes"):
        LegacyTokens(Secret(short), issuer="i", audience="a", clock=lambda: NOW)


def test_a_person_of_ours_has_the_legacy_roles_of_the_same_name_and_no_others() -> None:
    assert for_groups(["viewer", "quant", "super_admin"]) == (LegacyRole.SUPER_ADMIN, LegacyRole.VIEWER)
    assert for_groups(["mlops", "SUPER_ADMIN"]) == ()


def test_each_phase_is_one_step_from_the_next_and_ends_at_the_ends() -> None:
    assert [phase.label for phase in Phase] == ["legacy_only", "both", "new_preferred", "new_only"]
    assert [parse(phase.label) for phase in Phase] == list(Phase)
    for phase in Phase:
        if phase is not Phase.NEW_ONLY:
            assert phase.step(1).step(-1) is phase
    for end, steps in ((Phase.NEW_ONLY, 1), (Phase.LEGACY_ONLY, -1)):
        with pytest.raises(ValueError, match="is not a valid"):
            end.step(steps)


def test_no_phase_leaves_a_caller_without_a_way_in_and_only_the_last_is_free_of_legacy() -> None:
    assert all(phase.takes_legacy or phase.takes_new for phase in Phase)
    assert [phase for phase in Phase if not phase.takes_legacy and not phase.hands_legacy] == [Phase.NEW_ONLY]
    assert [phase for phase in Phase if phase.legacy_first] == [Phase.LEGACY_ONLY, Phase.BOTH]
    assert [phase for phase in Phase if phase.discourages_legacy] == [Phase.NEW_PREFERRED]
