"""Whoever comes from a provider gets the account of an address that it may vouch for, and nobody else's."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import pytest

from stack.login import LoginFailed

if TYPE_CHECKING:
    from tests.federation.conftest import Federation, Member

pytestmark = pytest.mark.integration

DOMAIN = "federated.example"
NOT_TAKEN = "does not take your e-mail address"


@pytest.mark.parametrize(
    ("provider", "says", "page", "reason"),
    [
        ("plain", {"email": "new@other.example"}, NOT_TAKEN, "email_domain_not_vouched"),
        ("plain", {"email": f"new@sub.{DOMAIN}"}, NOT_TAKEN, "email_domain_not_vouched"),
        ("nobody", {}, NOT_TAKEN, "email_domain_not_vouched"),
        ("plain", {"email_verified": False}, "has not verified", "email_not_verified"),
        ("plain", {"email": None}, "gave no e-mail address", "email_missing"),
    ],
)
def test_an_address_that_the_provider_may_not_vouch_for_opens_no_account(
    federation: Federation, newcomer: str, provider: str, says: dict[str, Any], page: str, reason: str
) -> None:
    upstream = federation.at(provider)
    upstream.person(newcomer)
    upstream.claims |= says
    before = len(federation.admin.get(f"{federation.path}/users", max=1000))
    with pytest.raises(LoginFailed, match=page):
        federation.login(provider, acr="aal1")
    assert len(federation.admin.get(f"{federation.path}/users", max=1000)) == before
    assert reason in federation.refusals(provider)


def test_user_info_does_not_overrule_the_signed_token(federation: Federation, newcomer: str) -> None:
    upstream = federation.at("plain")
    upstream.person(newcomer)
    upstream.profile = {"sub": f"at-{newcomer}", "email": f"trader@{DOMAIN}", "email_verified": True}
    with pytest.raises(LoginFailed, match=NOT_TAKEN):
        federation.login("plain", acr="aal1")
    assert federation.account(f"trader@{DOMAIN}") is None


def test_somebody_known_cannot_take_up_another_address_by_changing_it_at_the_provider(
    federation: Federation, new_member: Callable[..., AbstractContextManager[Member]]
) -> None:
    with new_member("plain") as victim, new_member("plain") as person:
        subject = f"at-{person.email}"
        for address in (victim.email, "ceo@other.example"):
            federation.at("plain").person(address, subject)
            with pytest.raises(LoginFailed, match=r"Another account here|does not take"):
                federation.login("plain", acr="aal1")
        found = federation.account(person.email)
        assert found is not None
        assert found["id"] == person.id
        moved = f"married-{person.email}"
        federation.at("plain").person(moved, subject)
        claims = federation.login("plain", acr="aal1").claims()
        assert (claims["sub"], claims["email"]) == (person.id, moved), "an address of their own they may change"


def test_two_providers_with_the_same_address_are_never_merged(
    federation: Federation, new_member: Callable[..., AbstractContextManager[Member]]
) -> None:
    with new_member("trusted") as person:
        federation.at("plain").person(person.email, f"at-{person.email}")
        with federation.forms(person.app) as driver:
            with pytest.raises(LoginFailed):
                driver.by("plain", acr="aal1", username=person.email, password="guessed")
            assert "kc-register-form" in driver.visited, "Keycloak asks whose account it is"
        assert federation.links(person.id) == {"trusted"}


def test_two_providers_with_the_same_subject_are_two_people(federation: Federation) -> None:
    subject, accounts = secrets.token_hex(6), []
    for provider in ("trusted", "plain"):
        email = f"{secrets.token_hex(6)}@{DOMAIN}"
        federation.at(provider).person(email, subject)
        claims = federation.login(provider, acr="aal1").claims()
        assert claims["email"] == email
        accounts.append(claims["sub"])
    assert len(set(accounts)) == 2


def test_a_user_name_of_the_providers_choosing_is_nobodys(
    federation: Federation, newcomer: str, new_member: Callable[..., AbstractContextManager[Member]]
) -> None:
    with new_member("trusted") as person:
        federation.at("plain").person(newcomer, preferred_username=person.email)
        claims = federation.login("plain", acr="aal1").claims()
        assert claims["sub"] != person.id
        found = federation.account(newcomer)
        assert found is not None
        assert found["username"] == newcomer


def test_a_password_alone_links_no_provider_to_an_account(
    federation: Federation, new_member: Callable[..., AbstractContextManager[Member]]
) -> None:
    with new_member(password="a password that leaked", app=False) as person:
        federation.at("trusted").person(person.email, acr="phrh")
        with pytest.raises(LoginFailed, match="linked only by the password and a second factor"):
            federation.login("trusted", username=person.email, password="a password that leaked")
        assert federation.links(person.id) == set()


def test_the_owner_links_a_provider_with_password_and_factor(
    federation: Federation, new_member: Callable[..., AbstractContextManager[Member]]
) -> None:
    with new_member(password="the password of its owner") as person:
        federation.at("trusted").person(person.email)
        claims = federation.login(
            "trusted", person.app, acr="aal1", username=person.email, password="the password of its owner"
        ).claims()
        assert claims["sub"] == person.id
        assert federation.links(person.id) == {"trusted"}


def test_a_provider_that_is_linked_does_not_stand_in_for_password_and_factor(
    federation: Federation, new_member: Callable[..., AbstractContextManager[Member]]
) -> None:
    with new_member("plain", password="the password of its owner") as person:
        federation.at("plain").person(person.email)
        federation.at("trusted").person(person.email, "of somebody else", acr="phrh")
        with federation.forms() as driver:
            driver.instead_of_password = "plain"
            with pytest.raises(LoginFailed, match="linked only by the password and a second factor"):
                driver.by("trusted", acr="aal1")
        assert federation.links(person.id) == {"plain"}
        assert len(federation.at("plain").asked) > 0
