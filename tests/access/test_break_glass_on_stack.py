"""An emergency on the real servers: sealed, opened to one person once, used, closed, and nothing left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from emergency_world import ACCOUNT, Emergency
from offboarding_world import Person

from admin_sync.break_glass import closing, opening
from admin_sync.break_glass.accounts import address
from admin_sync.break_glass.sealing import seal
from admin_sync.load.schema import Binding
from admin_sync.reconciler.duties import Unfulfillable
from admin_sync.repository import Selector
from identity.login import LoginFailed
from identity.principal import AssuranceLevel
from stack.login import Factor, Login

if TYPE_CHECKING:
    from tests.conftest import Stack


@pytest.fixture
def emergency(stack: Stack, tmp_path: Path) -> Iterator[Emergency]:
    made = Emergency(stack, tmp_path)
    yield made
    closing.work(made.hand())


def test_an_emergency_from_seal_to_the_next_seal(stack: Stack, emergency: Emergency) -> None:
    person = Person(_world(emergency), "responder", offline=False)
    stranger = Person(_world(emergency), "stranger", offline=False)
    with emergency.repository.change("operator@tradepulse.example", "Let somebody respond") as change:
        for one in (person, stranger):
            granted = {"subject": {"user": one.email}, "role": "responder", "environments": ["dev"]}
            change.add(Binding.model_validate(granted))
    account = emergency.kit().account("dev", ACCOUNT)
    with emergency.kit().custody() as custody:
        first = seal(account, custody, "dev", ACCOUNT)
    assert emergency.held() == (first, "sealed")
    assert not account.enabled()

    record = emergency.approved(person)
    result = emergency.fulfilled(record)
    # Made again, as after a crash, it changes nothing.
    assert opening.fulfil(emergency.hand(), record) == result
    assert (result["role"], account.enabled(), emergency.held()) == ("admin", True, (first, "sealed"))
    other = emergency.approved(stranger)
    with pytest.raises(Unfulfillable, match="open already") as refusal:
        opening.fulfil(emergency.hand(), other)
    emergency.failed(other, str(refusal.value))
    emergency.brought_about()

    tokens = person.login.login(Login(person.email, person.password, factor=Factor.AUTHENTICATOR_APP))
    strange = stranger.login.login(Login(stranger.email, stranger.password, factor=Factor.AUTHENTICATOR_APP))
    refused = emergency.proof(record, strange)
    assert refused.status_code == 404, refused.text
    proved = emergency.proof(record, tokens)
    assert proved.status_code == 200, proved.text
    proof = proved.json()["proof"]
    # With the proof and a token of somebody else who may open accounts, and with the token and no proof: nothing.
    assert emergency.release(proof, strange).status_code == 403
    assert emergency.release(tokens.access_token, tokens).status_code == 403
    released = emergency.release(proof, tokens)
    assert released.status_code == 200, released.text
    assert emergency.release(proof, tokens).status_code == 409

    session = emergency.logged_in(released.json()["credential"])
    who = session.who()
    assert (who.email, who.assurance_level, who.amr) == (address(ACCOUNT), AssuranceLevel.AAL3, ("pwd", "hwk"))
    token = session.bearer().text()
    assert emergency.allows(token, "iam:modify")

    # A vault that is away keeps nobody in: the account is locked, and the rest is done when it is back.
    asked = emergency.post(stack.urls["access"], f"/access/v1/break-glass/{record.request.id}/closure", tokens)
    assert asked.status_code == 202, asked.text
    with pytest.raises(closing.NotClosed, match="vault"):
        closing.work(emergency.hand(ADMIN_SYNC_VAULT_URL="http://127.0.0.1:9"))
    assert not account.enabled()
    with pytest.raises(LoginFailed):
        session.bearer(refused=token)
    with pytest.raises(LoginFailed):
        emergency.logged_in(released.json()["credential"])
    assert emergency.held() == (first, "released")
    closing.work(emergency.hand())
    assert emergency.held() == (first + 1, "sealed")
    document = emergency.repository.document()
    assert all(one.subject.user != address(ACCOUNT) for one in document.bindings.bindings)
    assert document.barred(address(ACCOUNT))
    done = emergency.run("bundle", "publish", "--config", emergency.env["ADMIN_SYNC_CONFIG"])
    assert done.returncode == 0, done.stderr
    assert not emergency.allows(token, "iam:modify")
    # Even enabled by hand, what was released opens nothing any more; and the next look disables it again.
    account.enable()
    with pytest.raises(LoginFailed):
        emergency.logged_in(released.json()["credential"])
    closing.work(emergency.hand())
    assert not account.enabled()
    assert "break_glass.found_enabled" in (emergency.folder / "iam_events.jsonl").read_text()
    stands = emergency.kit().openings(lambda openings: openings.one(record.request.number))
    assert stands is not None
    assert stands.closed_at is not None
    with emergency.repository.change("operator@tradepulse.example", "No more of it") as change:
        for one in (person, stranger):
            change.remove(Selector(user=one.email))
    for one in (person, stranger):
        # Nobody's plan has to take away from them what no file says any more.
        stack.admin.delete(f"{one.path}/users/{one.id}")


def _world(emergency: Emergency) -> Any:
    """As much of an offboarding's world as a person needs."""
    return emergency


def test_what_is_left_in_an_account_does_not_outlive_its_opening(emergency: Emergency) -> None:
    account = emergency.kit().account("dev", ACCOUNT)
    account.lock()
    found = account.found()
    assert found is not None
    users = "/tradepulse-dev/users"
    admin = emergency.stack.admin
    admin.put(f"{users}/{found['id']}", {"enabled": True, "requiredActions": ["UPDATE_PASSWORD"]})
    admin.post(
        f"{users}/{found['id']}/federated-identity/workforce",
        {"identityProvider": "workforce", "userId": "u", "userName": "u"},
    )
    otp = {"type": "otp", "userLabel": "left", "secretData": '{"value":"left-behind-secret-0"}'}
    data = '{"subType":"totp","digits":6,"counter":0,"period":30,"algorithm":"HmacSHA1"}'
    admin.put(f"{users}/{found['id']}", {"credentials": [{**otp, "credentialData": data}]})
    with emergency.kit().custody() as custody:
        seal(account, custody, "dev", ACCOUNT)
    after = account.found()
    assert after is not None
    assert (after["enabled"], after["requiredActions"]) == (False, [])
    assert admin.get(f"{users}/{found['id']}/federated-identity") == []
    kinds = sorted(one["type"] for one in admin.get(f"{users}/{found['id']}/credentials"))
    # What Keycloak remembers of passwords that may not be used again is no way in.
    assert [kind for kind in kinds if kind != "password-history"] == ["password", "webauthn"]
