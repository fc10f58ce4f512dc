"""A role that a grant gave is not given back by a token of before, because an identity provider might give it too."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bundle_workshop import POLICY, Workshop

from admin_sync.bundle.directory import Directory
from admin_sync.bundle.lapsed import KEPT, lapsed
from admin_sync.bundle.publish import Outcome, publish
from admin_sync.bundle.published import CURRENT, read_data
from admin_sync.bundle.source import PolicySource

NOW = 1795446000
ADA, EVE = "ada@example.test", "eve@example.test"


@pytest.fixture
def source(source: PolicySource) -> PolicySource:
    """In prod a provider may give what Ada was granted there without an end."""
    grants = tuple(replace(one, not_after=0) for one in source.grants if one.role == "viewer")
    return replace(source, grants=grants, federated_roles={"prod": frozenset({"viewer"})})


class Served:
    """What is published, and what OPA says by it."""

    def __init__(self, workshop: Workshop, place: Path) -> None:
        self.workshop, self.place = workshop, place

    def data(self) -> dict[str, Any]:
        return read_data((self.place / CURRENT).read_bytes())

    def publish(self, source: PolicySource, at: int) -> Outcome:
        before = self.data() if (self.place / CURRENT).exists() else None
        made = self.workshop.build(source, at, before=before)
        return publish(made, Directory(self.place), clock=lambda: at).outcome

    def reasons(self, email: str, at: int) -> set[str]:
        """Of somebody whose token names the role of viewer in prod."""
        question = {
            "environment": "prod", "permission": "analytics:read", "partner": None, "resource": {},
            "subject": {
                "kind": "person", "id": "7f0c", "email": email, "environment": "prod", "client": "tradepulse",
                "groups": ["viewer"], "assurance_level": "aal2", "acr": "aal2", "amr": ["pwd", "otp"],
                "auth_time": at - 5, "organizations": {},
            },
        }  # fmt: skip
        query = (
            "answer := data.tradepulse.authz.decision with input as data.question "
            f"with data.tradepulse.iam as data.served with time.now_ns as {at}000000000"
        )
        file = self.place / "question.json"
        file.write_text(json.dumps({"question": question, "served": self.data()}))
        command = [self.workshop.opa, "eval", "--format", "json", "--data", POLICY, "--data", file, query]
        done = subprocess.run(command, capture_output=True, check=True)
        answer = json.loads(done.stdout)["result"][0]["bindings"]["answer"]
        return set(answer["reasons"])


@pytest.fixture
def served(workshop: Workshop, tmp_path: Path) -> Served:
    return Served(workshop, tmp_path / "place")


def test_a_grant_that_was_taken_away_gives_a_token_of_before_nothing(served: Served, source: PolicySource) -> None:
    served.publish(source, NOW)
    assert served.reasons(ADA, NOW) == {"role:viewer"}
    served.publish(replace(source, grants=()), NOW + 1)
    assert served.reasons(ADA, NOW + 1) == {"grant_expired"}
    assert served.reasons(EVE, NOW + 1) == {"role:viewer"}, "whom the provider gives it has never had a grant"
    assert served.reasons(ADA, NOW + KEPT) == {"grant_expired"}
    assert served.reasons(ADA, NOW + 1 + KEPT) == {"role:viewer"}, "no token of before lives; the provider gave it"


def test_a_grant_that_ended_and_was_cleared_from_the_file_stays_ended(served: Served, source: PolicySource) -> None:
    ending = tuple(replace(one, not_after=NOW + 10) for one in source.grants)
    served.publish(replace(source, grants=ending), NOW)
    assert served.reasons(ADA, NOW + 10) == {"grant_expired"}
    served.publish(replace(source, grants=()), NOW + 11)
    assert served.reasons(ADA, NOW + 11) == {"grant_expired"}


def test_what_lapsed_is_known_through_later_bundles_and_freezes_and_a_new_grant_ends_it(
    served: Served, source: PolicySource
) -> None:
    bare = replace(source, grants=())
    served.publish(source, NOW)
    served.publish(bare, NOW + 1)
    assert served.publish(bare, NOW + 2) is Outcome.UNCHANGED
    frozen = served.workshop.build(bare, NOW + 3, before=served.data(), frozen=True)
    publish(frozen, Directory(served.place), clock=lambda: NOW + 3)
    thawed = served.workshop.build(bare, NOW + 4, before=served.data())
    publish(thawed, Directory(served.place), thaw=True, clock=lambda: NOW + 4)
    assert served.data()["lapsed"]["prod"] == {ADA: {"viewer": NOW + 1 + KEPT}}
    assert served.reasons(ADA, NOW + 4) == {"grant_expired"}
    served.publish(source, NOW + 5)
    assert served.data()["lapsed"] == {"dev": {}, "prod": {}}
    assert served.reasons(ADA, NOW + 5) == {"role:viewer"}


@pytest.mark.parametrize(
    "before",
    [
        {},
        {"grants": [], "lapsed": 1, "federated_roles": "x"},
        {"grants": {"prod": {"ada@example.test": 5}}},
        {"lapsed": {"prod": {"ada@example.test": {"viewer": "soon", "trader": True}}}},
        {"lapsed": {"prod": {"ada@example.test": {"viewer": NOW}}}},
        {"grants": {"elsewhere": {"ada@example.test": {"viewer": 1}}}},
        {"grants": {"prod": {"ada@example.test": {"head": 1}}}},
    ],
)
def test_what_is_published_may_be_anything_and_then_nothing_lapsed(before: Any) -> None:
    data = {"grants": {"prod": {}}, "federated_roles": {"prod": ["viewer"]}}
    assert lapsed(data, before, NOW) == {"prod": {}}


def test_nothing_that_is_published_keeps_somebody_out_for_longer_than_a_token_may_live() -> None:
    data = {"grants": {"prod": {}}, "federated_roles": {"prod": ["viewer"]}}
    before = {"lapsed": {"prod": {ADA: {"viewer": 253402300799}}}}
    assert lapsed(data, before, NOW) == {"prod": {ADA: {"viewer": NOW + KEPT}}}


def test_no_token_lives_as_long() -> None:
    text = "".join(path.read_text() for path in sorted((POLICY.parent / "realm/base").glob("*.yaml")))
    lives = [int(one) for one in re.findall(r"(?:accessTokenLifespan|access\.token\.lifespan)\W+(\d+)", text)]
    assert lives
    assert 2 * max(lives) < KEPT
