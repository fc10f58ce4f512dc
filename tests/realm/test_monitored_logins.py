"""What the monitor makes of what Keycloak really writes: failures, lock-outs, refusals, tokens used twice."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from admin_sync.monitor.alert import Alert
from admin_sync.monitor.detect import Limits
from admin_sync.monitor.line import lines
from admin_sync.monitor.service import Monitor
from admin_sync.monitor.settings import MonitorSettings
from stack.login import Factor, LoginFailed, SavedFactor

if TYPE_CHECKING:
    from stack.login import Tokens
    from tests.realm.conftest import Person, Realm

pytestmark = pytest.mark.integration


class Watching:
    """A monitor over the stack's audit file, from now on."""

    def __init__(self, audit: Path, state: Path) -> None:
        self.alerts: list[Alert] = []
        state.mkdir()
        settings = MonitorSettings(state, None, None, "127.0.0.1", 0)
        limits = Limits(count=2, window=600)
        notes: list[str] = []
        self.monitor = Monitor(audit / "iam_events.jsonl", settings, limits, self.alerts.append, notes.append)
        self.monitor.once()

    def told(self, kind: str, about: str) -> Alert:
        """The alert of a kind about somebody; Keycloak writes just after it has answered."""
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            self.monitor.once()
            found = [one for one in self.alerts if one.kind == kind and about in (one.actor, one.detail.get("session"))]
            if found:
                return found[-1]
            time.sleep(0.1)
        pytest.fail(f"no alert {kind} about {about}; there are {[one.kind for one in self.alerts]}")


@pytest.fixture
def watching(realm: Realm, tmp_path: Path) -> Watching:
    return Watching(realm.audit, tmp_path / "state")


def refreshed(realm: Realm, tokens: Tokens) -> int:
    given = {"grant_type": "refresh_token", "client_id": "tradepulse-cli", "refresh_token": tokens.refresh_token or ""}
    return httpx.post(f"{realm.issuer}/protocol/openid-connect/token", data=given, trust_env=False).status_code


def test_wrong_codes_and_the_lock_out_they_end_in_are_told(
    realm: Realm, watching: Watching, new_person: Callable[..., AbstractContextManager[Person]]
) -> None:
    with new_person() as person:
        with realm.forms() as driver:
            driver.first_login(person.first(Factor.AUTHENTICATOR_APP))
        for _ in range(2):
            with realm.forms(SavedFactor(secret="A" * 20)) as driver, pytest.raises(LoginFailed):
                driver.login(person.again(acr="aal2"))
        alert = watching.told("mfa.failed_repeatedly", person.email)
        assert (alert.realm, alert.detail["factor"], len(alert.lines)) == ("tradepulse-dev", "otp", 2)
        assert watching.told("mfa.locked_out", person.email).severity == "warning"
        # The first factor of all is registered in a login that could not prove one, and that is no alert.
        assert not [one for one in watching.alerts if one.kind == "mfa.registered_unproved"]
        [first] = [
            line
            for line in lines(realm.audit / "iam_events.jsonl")
            if line.event == "credential.registered"
            and line.actor == person.email
            and line.about["credential_type"] == "otp"
        ]
        assert first.level == "aal1"


def test_a_refresh_token_used_twice_is_told_with_its_session(
    realm: Realm, watching: Watching, app_holder: tuple[Person, SavedFactor]
) -> None:
    person, app = app_holder
    with realm.forms(app) as driver:
        tokens = driver.login(person.again(acr="aal2"))
    assert (refreshed(realm, tokens), refreshed(realm, tokens)) == (200, 400)
    alert = watching.told("session.refresh_token_reused", tokens.claims()["sid"])
    assert (alert.severity, alert.detail["client"]) == ("critical", "tradepulse-cli")


def test_a_registration_that_was_refused_is_told(
    realm: Realm, watching: Watching, app_holder: tuple[Person, SavedFactor]
) -> None:
    person, _ = app_holder
    place = f"{realm.path}/users/{person.id}"
    realm.admin.put(place, {**realm.admin.get(place), "requiredActions": ["webauthn-register"]})
    with realm.forms() as driver:
        driver.login(person.again(acr="aal1"))
    assert watching.told("mfa.bypass_attempt", person.email).detail["action"] == "webauthn-register"


def test_a_recovery_code_in_use_is_told(
    realm: Realm, watching: Watching, new_person: Callable[..., AbstractContextManager[Person]]
) -> None:
    with new_person() as person:
        with realm.forms() as driver:
            driver.first_login(replace(person.first(Factor.AUTHENTICATOR_APP), recovery_codes=True))
            saved = driver.factor
        with realm.forms(saved) as driver:
            driver.login(person.again(acr="aal2", recovery_code=True))
        assert watching.told("mfa.recovery_code_used", person.email).realm == "tradepulse-dev"
