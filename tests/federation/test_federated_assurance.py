"""A brokered login gets what its provider proved, as far as the provider is trusted, and no more."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import pytest

from admin_sync.keycloak.connection import segment
from stack.login import LoginFailed

if TYPE_CHECKING:
    from tests.federation.conftest import Federation, Member

pytestmark = pytest.mark.integration

HOUR = 3600


@pytest.fixture(scope="module")
def member(federation: Federation, new_member: Callable[..., AbstractContextManager[Member]]) -> Iterator[Member]:
    with new_member("trusted", "plain") as somebody:
        yield somebody


def ago(seconds: int) -> int:
    return int(time.time()) - seconds


def proved(federation: Federation, member: Member, provider: str = "trusted", **claims: Any) -> None:
    federation.at(provider).person(member.email, **claims)


def levels(claims: dict[str, Any]) -> tuple[str, str]:
    return claims["acr"], claims["assurance_level"]


def test_what_a_trusted_provider_proved_counts_with_its_own_time(federation: Federation, member: Member) -> None:
    then = ago(HOUR)
    proved(federation, member, acr="mfa", auth_time=then, amr=["pwd", "otp", "sms"])
    claims = federation.login("trusted", acr="aal2").claims()
    assert levels(claims) == ("aal2", "aal2")
    assert claims["sub"] == member.id
    assert claims["amr"] == ["otp"], "the methods that are passed on, and no other"
    assert claims["auth_time"] == then, "a proof is as old here as it is there"


@pytest.mark.parametrize(
    "claims",
    [
        {"acr": "aal3"},
        {"acr": "MFA"},
        {"acr": ["pwd"]},
        {"acr": {"mfa": True}},
        {"assurance_level": "aal3", "amr": ["hwk", "mfa"]},
        {"acr": "phrh", "auth_time": None},
        {"acr": "phrh", "auth_time": 1},
    ],
    ids=str,
)
def test_what_is_not_listed_or_has_no_time_that_counts_is_worth_nothing(
    federation: Federation, member: Member, claims: dict[str, Any]
) -> None:
    proved(federation, member, **{"auth_time": ago(5), **claims})
    with federation.forms(member.app) as driver:
        got = driver.by("trusted", acr="aal1").claims()
    assert levels(got) == ("aal1", "aal1")
    assert not {"hwk", "mfa", "otp"} & set(got["amr"])


def test_a_provider_that_nobody_trusts_raises_nothing(federation: Federation, member: Member) -> None:
    proved(federation, member, "plain", acr="phrh", auth_time=ago(5), amr=["hwk"])
    claims = federation.login("plain", acr="aal1").claims()
    assert (*levels(claims), claims["amr"]) == ("aal1", "aal1", [])


def test_where_the_proof_is_too_weak_or_too_old_a_factor_of_ours_makes_up_for_it(
    federation: Federation, member: Member
) -> None:
    proved(federation, member, acr="mfa", auth_time=ago(11 * HOUR), amr=["otp"])
    with federation.forms(member.app) as driver:
        claims = driver.by("trusted", acr="aal2").claims()
        assert driver.visited == ["kc-otp-login-form"]
    assert (*levels(claims), claims["amr"]) == ("aal2", "aal2", ["otp"])
    assert claims["auth_time"] >= ago(60), "proved now, by the factor here"


def test_the_highest_level_wants_a_proof_of_minutes(federation: Federation, member: Member) -> None:
    proved(federation, member, acr="phrh", auth_time=ago(60), amr=["hwk"])
    claims = federation.login("trusted", acr="aal3").claims()
    assert (*levels(claims), claims["amr"]) == ("aal3", "aal3", ["hwk"])
    proved(federation, member, acr="phrh", auth_time=ago(600), amr=["hwk"])
    with pytest.raises(LoginFailed, match="needs a security key"):
        federation.login("trusted", acr="aal3")
    assert levels(federation.login("trusted", acr="aal2").claims()) == ("aal2", "aal2")


def test_two_logins_of_one_person_do_not_share_what_they_proved(federation: Federation, member: Member) -> None:
    with federation.forms() as strong, federation.forms() as weak:
        proved(federation, member, acr="mfa", auth_time=ago(5))
        assert levels(strong.by("trusted", acr="aal1").claims()) == ("aal1", "aal1"), "only what was asked for"
        proved(federation, member, acr="pwd", auth_time=ago(1))
        assert levels(weak.by("trusted", acr="aal1").claims()) == ("aal1", "aal1")
        federation.at("trusted").down = True
        try:
            again = strong.login_again(acr="aal2").claims()
            assert levels(again) == ("aal2", "aal2"), "the first session knows what it proved"
            with pytest.raises(ValueError, match="no authenticator app"):
                weak.login_again(acr="aal2")
        finally:
            federation.at("trusted").down = False


def test_a_demand_for_a_fresh_login_reaches_the_provider_and_is_held_against_it(
    federation: Federation, member: Member
) -> None:
    with federation.forms() as driver:
        proved(federation, member, acr="mfa", auth_time=ago(2 * HOUR))
        assert levels(driver.by("trusted", acr="aal2").claims()) == ("aal2", "aal2")
        with pytest.raises(LoginFailed):
            driver.by("trusted", acr="aal2", max_age=300)
        assert federation.at("trusted").asked[-1]["max_age"] == "300"
        fresh = ago(3)
        proved(federation, member, acr="mfa", auth_time=fresh)
        claims = driver.by("trusted", acr="aal2", max_age=300).claims()
        assert (*levels(claims), claims["auth_time"]) == ("aal2", "aal2", fresh)


def test_a_provider_is_asked_in_its_own_words_and_never_in_ours(federation: Federation, member: Member) -> None:
    proved(federation, member, acr="mfa", auth_time=ago(5))
    federation.login("trusted", acr="aal2")
    assert federation.at("trusted").asked[-1]["acr_values"] == "mfa"
    proved(federation, member, "plain")
    federation.login("plain", acr="aal1")
    assert "acr_values" not in federation.at("plain").asked[-1]


def test_a_newcomer_comes_in_at_the_level_that_was_proved(federation: Federation, newcomer: str) -> None:
    federation.at("trusted").person(newcomer, acr="mfa", auth_time=ago(5))
    with federation.forms() as driver:
        claims = driver.by("trusted", acr="aal2").claims()
        assert driver.visited[-2:] == ["tradepulse-choose-factor", "kc-totp-settings-form"]
    assert levels(claims) == ("aal2", "aal2")
    federation.at("trusted").person(newcomer, acr="pwd", auth_time=ago(5))
    assert levels(federation.login("trusted", driver.factor, acr="aal1").claims()) == ("aal1", "aal1")


def test_a_provider_whose_checks_were_taken_away_lets_nobody_in(federation: Federation, member: Member) -> None:
    proved(federation, member, "plain")
    place = f"{federation.path}/identity-provider/instances/plain/mappers"
    (address,) = [one for one in federation.admin.get(place) if one["name"] == "address"]
    federation.admin.delete(f"{place}/{segment(address['id'])}")
    try:
        with pytest.raises(LoginFailed, match="does not take your e-mail address"):
            federation.login("plain", acr="aal1")
    finally:
        federation.admin.post(place, {name: value for name, value in address.items() if name != "id"})
    assert levels(federation.login("plain", acr="aal1").claims()) == ("aal1", "aal1")


def test_a_token_has_the_same_claims_whoever_logged_the_person_in(
    federation: Federation, new_member: Callable[..., AbstractContextManager[Member]]
) -> None:
    with new_member("trusted", "plain", password="the password of its owner") as person:
        as_local = {"username": person.email, "password": "the password of its owner"}
        with federation.forms(person.app) as driver:
            shapes = [set(driver.login_again(acr="aal2", **as_local).claims())]
        federation.at("trusted").person(person.email, acr="mfa", auth_time=ago(5), groups=["up-research"], amr=["otp"])
        shapes.append(set(federation.login("trusted", acr="aal2").claims()))
        # What Google says: no acr, no amr, no groups, and much that is nobody's business here.
        like_google = {"hd": person.email.partition("@")[2], "picture": "https://pictures.example/1", "locale": "en"}
        federation.at("plain").person(person.email, name="Ada", given_name="Ada", family_name="L", **like_google)
        shapes.append(set(federation.login("plain", acr="aal1").claims()))
    assert shapes[0] == shapes[1] == shapes[2]
    assert {"email", "groups", "acr", "amr", "assurance_level", "auth_time", "sid", "azp", "aud"} <= shapes[0]
    assert not {"hd", "picture", "locale", "name", "realm_access", "preferred_username"} & shapes[0]


def test_google_is_asked_as_itself(federation: Federation) -> None:
    url = federation.begin("google")
    assert url.host == "accounts.google.com"
    assert url.params["client_id"] == "of-google"
    assert url.params["redirect_uri"] == f"{federation.issuer}/broker/google/endpoint"
    assert set(url.params["scope"].split()) == {"openid", "profile", "email"}
    assert "acr_values" not in url.params
