"""An emergency code at the login: it stands in for the second factor once, for one person, until its end."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import pytest

from admin_sync.bypass.account import Accounts, CodeRefused
from admin_sync.bypass.code import new_half, verifier
from admin_sync.keycloak.connection import Refused, segment
from stack.login import HttpLogin, LoginFailed, SavedFactor
from tests.realm.conftest import REALM, Person, Realm

if TYPE_CHECKING:
    from stack.login import Tokens

pytestmark = pytest.mark.integration

FORM = "tradepulse-mfa-bypass"
HOUR = timedelta(hours=1)
_numbers = itertools.count(int(time.time()))


@dataclass(frozen=True)
class Opened:
    """A code that is open on an account, with its two halves."""

    request: str
    own: str
    handed: str
    ends: datetime

    def typed(self, own: str | None = None, handed: str | None = None) -> SavedFactor:
        return SavedFactor(emergency_code=(own or self.own, handed or self.handed))


@pytest.fixture(scope="module")
def accounts(realm: Realm) -> Accounts:
    return Accounts(realm.admin, REALM)


@pytest.fixture(scope="module")
def open_code(accounts: Accounts) -> Callable[..., Opened]:
    """Opens a code on somebody's account, the way the reconciler does."""

    def opened(person: Person, lasting: timedelta = HOUR) -> Opened:
        own, handed = new_half(), new_half()
        halves = [verifier(half, REALM, person.email) for half in (own, handed)]
        request, ends = f"REQ-{next(_numbers):06d}", datetime.now(UTC) + lasting
        accounts.open(person.email, request, ends, halves)
        return Opened(request, own, handed, ends)

    return opened


@pytest.fixture
def keyless(realm: Realm, new_person: Callable[..., AbstractContextManager[Person]]) -> Iterator[Person]:
    """Somebody whose factor is registered and out of reach."""
    kind = {"subType": "totp", "digits": 6, "counter": 0, "period": 30, "algorithm": "HmacSHA1"}
    secret = {"value": "somewhere at the bottom of the sea"}
    app = {"type": "otp", "credentialData": orjson.dumps(kind).decode(), "secretData": orjson.dumps(secret).decode()}
    with new_person(credentials=[app]) as somebody:
        password = {"type": "password", "value": somebody.password, "temporary": False}
        realm.admin.put(f"{realm.path}/users/{somebody.id}/reset-password", password)
        yield somebody


def enter(driver: HttpLogin, person: Person, **asked: Any) -> Tokens:
    return driver.login(person.again(acr=asked.pop("acr", "aal2"), emergency_code=True, **asked))


def refused(realm: Realm, person: Person, typed: SavedFactor) -> bool:
    """Whether the login does not get past the page for the code, or is not shown it."""
    try:
        with realm.forms(typed) as driver:
            driver.login(person.again(acr="aal2", emergency_code=True))
    except (LoginFailed, ValueError):
        return True
    return False


def refreshed(realm: Realm, token: str) -> httpx.Response:
    form = {"grant_type": "refresh_token", "client_id": "tradepulse-cli", "refresh_token": token}
    return httpx.post(f"{realm.issuer}/protocol/openid-connect/token", data=form, trust_env=False)


def audited(realm: Realm, person: Person, wanted: Sequence[str]) -> list[dict[str, Any]]:
    """The audit lines about somebody's codes, once as many as wanted are there."""
    deadline = time.monotonic() + 10
    while True:
        lines = [
            orjson.loads(line)
            for line in (realm.audit / "iam_events.jsonl").read_text().splitlines()
            if '"mfa_bypass.' in line and person.email in line
        ]
        if len(lines) >= len(wanted) or time.monotonic() > deadline:
            assert [line["event"].removeprefix("mfa_bypass.") for line in lines] == list(wanted)
            return lines
        time.sleep(0.1)


def test_a_code_stands_in_for_the_factor_once_and_says_so(
    realm: Realm, keyless: Person, open_code: Callable[..., Opened], accounts: Accounts
) -> None:
    code = open_code(keyless)
    with realm.forms(code.typed()) as driver:
        tokens = enter(driver, keyless, essential=True)
        claims = tokens.claims()
        assert (claims["acr"], claims["assurance_level"], claims["amr"]) == ("aal2", "aal2", ["pwd", "mfa_bypass"])
        # No proof of the last minutes: whatever is sensitive asks for a factor, and there the code is of no use.
        assert claims["auth_time"] == 0
        with pytest.raises(ValueError, match="no authenticator app"):
            enter(driver, keyless, max_age=300)
        # What is used up is not offered, nor is there another way for whoever has one factor.
        assert driver.visited == ["kc-form-login"]
        # Without that demand the session goes on.
        assert driver.login(keyless.again(acr="aal2")).claims()["amr"] == ["pwd", "mfa_bypass"]
    again = refreshed(realm, tokens.refresh_token)
    assert again.status_code == 200
    assert refused(realm, keyless, code.typed())
    found = accounts.find(keyless.email)
    assert found is not None
    assert (found.request, found.state) == (code.request, "used")
    granted, used = audited(realm, keyless, ["granted", "used"])
    assert f"request={code.request}" in granted["resource"]
    assert "by=admin-sync" in granted["resource"]
    assert (used["actor"], used["session"], used["outcome"]) == (keyless.email, claims["sid"], "success")
    assert code.own not in str((granted, used))


def test_of_two_logins_with_one_code_one_gets_in(
    realm: Realm, keyless: Person, open_code: Callable[..., Opened]
) -> None:
    code = open_code(keyless)
    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(lambda _: refused(realm, keyless, code.typed()), range(6)))
    assert outcomes.count(False) == 1


def test_half_a_code_and_somebody_elses_are_wrong_and_the_fifth_wrong_one_closes_it(
    realm: Realm, keyless: Person, bare_person: Person, open_code: Callable[..., Opened], accounts: Accounts
) -> None:
    code, foreign = open_code(keyless), open_code(bare_person)
    try:
        wrong = (
            code.typed(own=new_half()),
            code.typed(handed=new_half()),
            code.typed(own=code.handed, handed=code.own),
            foreign.typed(),
            code.typed(handed=code.own),
        )
        for count, typed in enumerate(wrong, 1):
            assert refused(realm, keyless, typed)
            # Each counts like a wrong password; how many lock the account is the realm's rule for all of them.
            status = realm.admin.get(f"{realm.path}/attack-detection/brute-force/users/{keyless.id}")
            assert status["numFailures"] == 1
            realm.admin.delete(f"{realm.path}/attack-detection/brute-force/users/{keyless.id}")
            found = accounts.find(keyless.email)
            assert found is not None
            assert found.failures == count
        assert found.state == "guessed"
        assert refused(realm, keyless, code.typed())
    finally:
        realm.admin.delete(f"{realm.path}/attack-detection/brute-force/users/{keyless.id}")


def test_a_code_never_proves_the_highest_level_and_is_not_spent_on_it(
    realm: Realm, keyless: Person, open_code: Callable[..., Opened], accounts: Accounts
) -> None:
    code = open_code(keyless)
    with realm.forms(code.typed()) as driver, pytest.raises(LoginFailed, match="needs a security key"):
        enter(driver, keyless, acr="aal3")
    found = accounts.find(keyless.email)
    assert found is not None
    assert found.state == "open"


def test_what_a_code_proved_ends_with_it(realm: Realm, keyless: Person, open_code: Callable[..., Opened]) -> None:
    code = open_code(keyless, timedelta(seconds=8))
    ends = code.ends
    with realm.forms(code.typed()) as driver:
        tokens = enter(driver, keyless, scope="openid offline_access")
        assert tokens.claims()["exp"] <= ends.timestamp()
        newer = refreshed(realm, tokens.refresh_token)
        assert newer.status_code == 200
        while datetime.now(UTC) <= ends + timedelta(seconds=1):
            time.sleep(0.2)
        over = refreshed(realm, newer.json()["refresh_token"])
        assert (over.status_code, over.json()["error"]) == (400, "invalid_grant")
        # The browser's session is gone as well: it is asked for the password again.
        assert driver.login(keyless.again(acr="aal1")).claims()["amr"] == ["pwd"]
        assert driver.visited == ["kc-form-login"]


def test_a_code_that_has_ended_is_not_asked_for(
    realm: Realm, bare_person: Person, open_code: Callable[..., Opened], accounts: Accounts
) -> None:
    code = open_code(bare_person, timedelta(seconds=3))
    while datetime.now(UTC) <= code.ends:
        time.sleep(0.1)
    found = accounts.find(bare_person.email)
    assert found is not None
    assert found.state == "ended"
    with realm.forms(code.typed()) as driver:
        assert enter(driver, bare_person).claims()["acr"] == "aal1"
        assert FORM not in driver.visited


def test_a_code_leads_to_a_new_factor_and_a_password_alone_does_not_while_it_is_open(
    realm: Realm, bare_person: Person, open_code: Callable[..., Opened]
) -> None:
    code = open_code(bare_person)
    with realm.forms() as thief:
        assert thief.login(bare_person.again(acr="aal1")).claims()["acr"] == "aal1"
        assert "tradepulse-choose-factor" not in thief.visited
    with realm.forms(code.typed()) as owner:
        assert enter(owner, bare_person).claims()["acr"] == "aal2"
        assert owner.visited[-3:] == [FORM, "tradepulse-choose-factor", "kc-totp-settings-form"]
        saved = replace(owner.factor, emergency_code=None)
    with realm.forms(saved) as later:
        claims = later.login(bare_person.again(acr="aal2")).claims()
        assert (claims["acr"], claims["amr"]) == ("aal2", ["pwd", "otp"])


def test_one_approval_opens_one_code_however_often_it_is_delivered(
    realm: Realm, keyless: Person, open_code: Callable[..., Opened], accounts: Accounts
) -> None:
    code = open_code(keyless)
    halves = [verifier(half, REALM, keyless.email) for half in (code.own, code.handed)]
    with pytest.raises(CodeRefused, match="another_open"):
        open_code(keyless)
    accounts.withdraw(keyless.email, code.request)
    assert accounts.open(keyless.email, code.request, datetime.now(UTC) + HOUR, halves).state == "withdrawn"
    assert refused(realm, keyless, code.typed())
    later = open_code(keyless)
    # The one before is remembered, although another has taken its place.
    assert accounts.open(keyless.email, code.request, datetime.now(UTC) + HOUR, halves).request == later.request
    audited(realm, keyless, ["granted", "withdrawn", "granted"])


@pytest.mark.parametrize("ends", [timedelta(seconds=-1), timedelta(hours=4, minutes=1), timedelta(days=9999)])
def test_a_code_ends_within_four_hours(accounts: Accounts, bare_person: Person, ends: timedelta) -> None:
    halves = [verifier(new_half(), REALM, bare_person.email) for _ in range(2)]
    with pytest.raises(CodeRefused, match="bad_end"):
        accounts.open(bare_person.email, "REQ-000001", datetime.now(UTC) + ends, halves)


def test_nobody_opens_a_code_for_themselves_or_reads_one(
    realm: Realm, keyless: Person, open_code: Callable[..., Opened]
) -> None:
    code = open_code(keyless)
    place = f"{realm.path}/users/{segment(keyless.id)}"
    with realm.forms() as driver:
        token = driver.login(keyless.again(acr="aal1")).access_token
    url = f"{realm.admin.url}/admin/realms{realm.path}/tradepulse-bypass/users/{keyless.id}"
    for method in ("GET", "PUT"):
        answer = httpx.request(method, url, headers={"Authorization": f"Bearer {token}"}, json={}, trust_env=False)
        assert answer.status_code in (401, 403)
    stored = [one for one in realm.admin.get(f"{place}/credentials") if one["type"].startswith(FORM)]
    assert len(stored) == 1
    made = verifier(code.own, REALM, keyless.email, b"0" * 16).hash
    assert "secretData" not in stored[0]
    assert made not in str(stored)
    # Keycloak's own way to write a credential knows none of this type.
    user = realm.admin.get(place)
    forged = {"type": FORM, "secretData": "[]", "credentialData": "{}"}
    before = len(realm.admin.get(f"{place}/credentials"))
    with suppress(Refused):
        realm.admin.put(place, {**user, "credentials": [forged]})
    assert len(realm.admin.get(f"{place}/credentials")) == before
