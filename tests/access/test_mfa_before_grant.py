"""No new grant takes effect before its person has a second factor, of whatever kind, and nobody is asked in vain."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from admin_sync.check import checked
from admin_sync.desired import Facts, desire
from admin_sync.desired.factors import NO_FACTOR, undecided
from admin_sync.desired.facts import Secret
from admin_sync.diff import diff
from admin_sync.impact import effects
from admin_sync.load.document import Document
from admin_sync.model import Current, Desired, Ref, Resource, index
from admin_sync.refs import (
    BINDING,
    IAM_ORDER,
    client_role_binding,
    group_binding,
    partner_binding,
    role_binding,
    user,
)
from admin_sync.render import RENDERERS, view
from admin_sync.sync import Planned

SAMPLE = Path(__file__).resolve().parents[2] / "configs" / "iam"
ANN = "ann@tradepulse.example"
ISSUER = "https://idp.example"
ENVIRON = {"WORKFORCE_ISSUER": ISSUER, "CI_ISSUER": ISSUER, "WORKSPACE_URL": ISSUER, "ADMIN_URL": ISSUER}
BINDINGS = """version: 1
bindings:
  - {subject: {user: Ann@tradepulse.example}, role: viewer, environments: [dev, prod]}
  - {subject: {user: ann@tradepulse.example}, group: research, environments: [dev, prod]}
  - {subject: {user: ann@tradepulse.example}, client_role: vault-api/operator, environments: [dev, prod]}
"""
ALL = {
    role_binding(ANN, "viewer"),
    group_binding(ANN, "research"),
    client_role_binding(ANN, "vault-api", "operator"),
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The sample with three grants to Ann, one of each kind."""
    folder = tmp_path / "iam"
    shutil.copytree(SAMPLE, folder)
    (folder / "role_bindings.yaml").write_text(BINDINGS)
    return folder


def edited(place: Path, file: str, before: str, after: str) -> Document:
    said = (place / file).read_text()
    assert before in said
    (place / file).write_text(said.replace(before, after, 1))
    return checked(place, ENVIRON)


def wanted(document: Document, current: Current, environment: str = "dev") -> Desired:
    discovered = {ISSUER: {"issuer": ISSUER, "authorizationUrl": f"{ISSUER}/a", "tokenUrl": f"{ISSUER}/t"}}
    return desire(document, environment, current, Facts(discovered=discovered, secrets={"workforce": Secret("s")}))


def account(**attrs: Any) -> Resource:
    return Resource(user(ANN), {"email": ANN, "email_verified": True, "providers": [], **attrs}, server_id="ann-id")


def realm(*resources: Resource, environment: str = "dev") -> Current:
    return Current(f"tradepulse-{environment}", exists=True, resources=index(resources))


def held(*refs: Ref) -> list[Resource]:
    return [Resource(ref, {"user": ANN, "role": "viewer"}, server_id="ann-id", managed=True) for ref in refs]


def granted(desired: Desired) -> set[Ref]:
    return {ref for ref, one in desired.resources.items() if ref.kind == BINDING and one.attrs.get("user") == ANN}


def waiting(desired: Desired) -> set[Ref]:
    return {one.ref for one in desired.pending if one.awaits == ANN and one.reason == NO_FACTOR}


def test_every_kind_of_new_grant_waits_and_the_account_is_made(place: Path) -> None:
    document = checked(place, ENVIRON)
    for current in (Current("tradepulse-dev", exists=False, resources=index(())), realm(account())):
        desired = wanted(document, current)
        assert granted(desired) == set()
        assert waiting(desired) == ALL
        assert user(ANN) in desired.resources
        assert {one.origin.line for one in desired.pending if one.awaits == ANN and one.origin} == {3, 4, 5}


def test_with_a_factor_every_grant_takes_effect_and_nothing_waits(place: Path) -> None:
    current = replace(realm(account()), second_factors=frozenset({ANN}))
    desired = wanted(checked(place, ENVIRON), current)
    assert granted(desired) == ALL
    assert waiting(desired) == set()


def test_somebody_elses_factor_is_nobody_elses(place: Path) -> None:
    current = replace(realm(account()), second_factors=frozenset({"bo@tradepulse.example"}))
    assert granted(wanted(checked(place, ENVIRON), current)) == set()


def test_what_is_held_stays_without_a_factor_and_only_what_is_new_waits(place: Path) -> None:
    viewer = role_binding(ANN, "viewer")
    current = realm(account(), *held(viewer))
    desired = wanted(checked(place, ENVIRON), current)
    assert waiting(desired) == ALL - {viewer}
    assert viewer in desired.resources
    assert viewer not in {change.ref for change in diff(desired, current, IAM_ORDER).changes}


def test_nobody_who_holds_everything_is_asked_about(place: Path) -> None:
    document = checked(place, ENVIRON)
    settled = realm(account(), *held(*ALL))
    assert ANN not in undecided(wanted(document, settled), settled)
    new = realm(account())
    assert undecided(wanted(document, new), new)[ANN] == "ann-id"
    # Whose account is yet to be made cannot have a factor, so there is nothing to ask.
    assert ANN not in undecided(wanted(document, realm()), realm())


def test_where_policy_says_so_a_grant_does_not_wait(place: Path) -> None:
    document = edited(place, "policies.yaml", "mfa_before_grant: true", "mfa_before_grant: false")
    assert granted(wanted(document, realm(account()))) == ALL


def test_a_grant_that_has_ended_waits_for_nothing(place: Path) -> None:
    ended = "environments: [dev, prod], expires: 2020-01-01T00:00:00Z}\n  - {subject: {user: ann@"
    document = edited(place, "role_bindings.yaml", "environments: [dev, prod]}\n  - {subject: {user: ann@", ended)
    assert waiting(wanted(document, realm(account()))) == ALL - {role_binding(ANN, "viewer")}


def test_partners_administrators_wait_as_well(place: Path) -> None:
    document = edited(place, "partners.yaml", "admin@acme.example", ANN)
    grant = partner_binding(ANN, "acme-capital", "partner-admin")
    assert grant in waiting(wanted(document, realm(account())))
    current = replace(realm(account()), second_factors=frozenset({ANN}))
    assert grant in granted(wanted(document, current))


@pytest.mark.parametrize(
    ("providers", "levels", "environment", "enough"),
    [
        (["workforce"], "{mfa: aal2, phr: aal2, phrh: aal3}", "prod", True),
        (["workforce"], "{phrh: aal3}", "prod", True),
        (["workforce"], "{mfa: aal1}", "prod", False),
        (["google"], "{mfa: aal2}", "prod", False),
        (["mock"], "{mfa: aal2}", "dev", False),
        ([], "{mfa: aal2}", "prod", False),
    ],
)
def test_an_account_at_a_provider_counts_only_where_its_word_can_be_worth_a_factor(
    place: Path, providers: Iterable[str], levels: str, environment: str, enough: bool
) -> None:
    document = edited(place, "roles.yaml", "{mfa: aal2, phr: aal2, phrh: aal3}", levels)
    current = realm(account(providers=list(providers)), environment=environment)
    desired = wanted(document, current, environment)
    assert bool(granted(desired)) is enough
    assert bool(waiting(desired)) is not enough


def test_a_provider_that_is_not_of_this_environment_proves_nothing_here(place: Path) -> None:
    document = edited(place, "roles.yaml", "  workforce:    ", "  workforce:\n    environments: [staging]\n    #")
    current = realm(account(providers=["workforce"]), environment="prod")
    assert granted(wanted(document, current, "prod")) == set()


def test_an_unverified_address_gets_nothing_even_with_a_factor(place: Path) -> None:
    current = replace(realm(account(email_verified=False)), second_factors=frozenset({ANN}))
    assert granted(wanted(checked(place, ENVIRON), current)) == set()


@pytest.mark.parametrize("form", ["text", "json", "markdown"])
def test_a_plan_says_what_waits_and_why_and_nobody_gains_by_it(place: Path, form: str) -> None:
    document, current = checked(place, ENVIRON), realm(account())
    desired = wanted(document, current)
    found = effects(desired, current, document)
    assert [one for one in found if one.subject.name == ANN] == []
    planned = Planned(desired, current, diff(desired, current, IAM_ORDER), found, 1, 0.0)
    # Markdown has what it would take for its own signs as character references.
    shown = unescape(RENDERERS[form]([view(planned)]))
    assert shown.count(NO_FACTOR) >= len(ALL)
    assert all(ref.name in shown for ref in ALL)
