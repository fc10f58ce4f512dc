"""What a provider answers is taken only if it signed it, for us, for this login, and now."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from joserfc.jwk import OctKey, RSAKey
from joserfc.jws import JWSRegistry
from upstream_provider import b64, new_key, signed, unsigned

from stack.login import LoginFailed

if TYPE_CHECKING:
    from tests.federation.conftest import Federation

pytestmark = pytest.mark.integration

KEYS_AGAIN = 12.0
"""Seconds after which Keycloak asks for a provider's keys again at the latest; it does so every ten."""


def under_our_name(claims: dict[str, Any], key: RSAKey) -> str:
    """Signed with another key that calls itself by the name of the right one."""
    return signed(claims, RSAKey.generate_key(2048, {"kid": key.kid}))


def with_the_public_key(claims: dict[str, Any], key: RSAKey) -> str:
    """Signed by HMAC with the public key as the secret."""
    head = b64(f'{{"alg":"HS256","typ":"JWT","kid":"{key.kid}"}}'.encode())
    text = f"{head}.{b64(str(claims).encode())}"
    secret = OctKey.import_key(key.as_pem(private=False))
    return f"{text}.{b64(JWSRegistry.algorithms['HS256'].sign(text.encode(), secret))}"


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "http://localhost:1/other"},
        {"iss": None},
        {"aud": "somebody-else"},
        {"aud": None},
        {"azp": "somebody-else", "aud": ["tradepulse", "somebody-else"]},
        {"nonce": "of another login"},
        {"nonce": None},
        {"exp": 1},
        {"nbf": 4_000_000_000},
        {"sub": "of somebody else than user info"},
    ],
    ids=str,
)
def test_a_token_for_others_for_another_login_or_another_time_is_refused(
    federation: Federation, newcomer: str, changed: dict[str, Any]
) -> None:
    upstream = federation.at("plain")
    upstream.person(newcomer)
    upstream.profile = dict(upstream.claims)
    upstream.claims |= changed
    with pytest.raises(LoginFailed):
        federation.login("plain", acr="aal1")
    assert federation.account(newcomer) is None


@pytest.mark.parametrize("forged", [unsigned, under_our_name, with_the_public_key])
def test_a_token_that_the_provider_did_not_sign_is_refused(
    federation: Federation, newcomer: str, forged: Callable[[dict[str, Any], RSAKey], str]
) -> None:
    upstream = federation.at("plain")
    upstream.person(newcomer)
    upstream.sign = forged
    with pytest.raises(LoginFailed):
        federation.login("plain", acr="aal1")
    assert federation.account(newcomer) is None


def test_a_provider_that_is_down_costs_its_own_logins_and_no_other(federation: Federation, newcomer: str) -> None:
    federation.at("plain").person(newcomer)
    federation.at("trusted").person(f"other-{newcomer}")
    federation.at("plain").down = True
    try:
        with pytest.raises(LoginFailed):
            federation.login("plain", acr="aal1")
        assert federation.login("trusted", acr="aal1").claims()["email"] == f"other-{newcomer}"
    finally:
        federation.at("plain").down = False
    assert federation.login("plain", acr="aal1").claims()["email"] == newcomer


def test_a_provider_changes_its_key_and_the_old_one_is_worth_nothing(federation: Federation, newcomer: str) -> None:
    upstream = federation.at("trusted")
    upstream.person(newcomer)
    with federation.forms() as driver:
        driver.by("trusted", acr="aal1")
    old, upstream.key = upstream.key, new_key()
    deadline = time.monotonic() + KEYS_AGAIN
    while True:
        try:
            claims = federation.login("trusted", driver.factor, acr="aal1").claims()
        except LoginFailed:
            # Keycloak asks again for keys only so often, lest forged names of keys make it ask for each.
            assert time.monotonic() < deadline
            time.sleep(1)
            continue
        break
    assert claims["email"] == newcomer
    upstream.sign = lambda claims, _key: signed(claims, old)
    with pytest.raises(LoginFailed):
        federation.login("trusted", driver.factor, acr="aal1")


def test_a_flood_of_unknown_keys_makes_the_server_ask_for_keys_once(federation: Federation, newcomer: str) -> None:
    upstream = federation.at("trusted")
    upstream.person(newcomer)
    before = upstream.key_requests
    for _ in range(8):
        upstream.sign = lambda claims, _key: signed(claims, new_key())
        with pytest.raises(LoginFailed):
            federation.login("trusted", acr="aal1")
    assert upstream.key_requests - before <= 2
