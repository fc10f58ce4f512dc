"""An emergency on the real servers: sealed, opened to one person once, used, closed, and nothing left behind."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from offboarding_world import Person, question_of

from admin_sync.access.request import Approval, Record, Request
from admin_sync.access.settings import DatabaseSettings
from admin_sync.access.state import State
from admin_sync.access.store.database import Database
from admin_sync.access.store.handover import Handover
from admin_sync.access.store.ledger import Ledger
from admin_sync.break_glass import closing, opening
from admin_sync.break_glass.accounts import address
from admin_sync.break_glass.kit import Kit
from admin_sync.break_glass.login import Answering
from admin_sync.break_glass.sealing import seal
from admin_sync.desired.facts import gather
from admin_sync.keycloak.connection import Connection
from admin_sync.load.schema import Binding
from admin_sync.reconciler.duties import Hand, Unfulfillable
from admin_sync.repository import Repository, Selector, repository_settings
from admin_sync.settings import settings
from admin_sync.sync import Session
from identity.audit.event import AuditEvent
from identity.audit.log import AuditLog
from identity.login import Kind, LoginFailed, PersonSession, Wanted, registration
from identity.principal import AssuranceLevel
from identity.secret import read_secret
from stack.layout import CHECKOUT
from stack.login import Factor, Login
from stack.login.oidc import Tokens

if TYPE_CHECKING:
    from tests.conftest import Stack

ACCOUNT = "break-glass-2"
APPROVERS = ("security.one@tradepulse.example", "security.two@tradepulse.example")


class Emergency:
    """The reconciler's hand, the access service's database and people, on one stack."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack, self.folder = stack, folder
        self.env = dict(stack.env)
        self.repository = Repository(repository_settings(self.env))
        made = settings(self.env)
        self.audit = AuditLog(folder / "iam_events.jsonl", source="test", node="test")
        self.connection = Connection(made.account())
        self.settings = made

    def hand(self, **changed: str) -> Hand:
        document = self.repository.document()
        session = Session(document, self.settings, self.connection, gather(document, ("dev",), self.settings.jwks_dir))
        return Hand(
            document, self.settings, session, self.repository, self.audit, datetime.now(UTC), {**self.env, **changed}
        )

    def kit(self) -> Kit:
        return opening.kit_of(self.hand())

    def held(self) -> tuple[int, str]:
        with self.kit().custody() as custody:
            found = custody.held()["dev", ACCOUNT]
        return found.version, found.state

    def approved(self, person: Person, *, number: int | None = None) -> Record:
        """A request that was made and agreed to, as the access service would leave it."""

        async def made() -> Record:
            password = read_secret(Path(self.env["ACCESS_DATABASE_PASSWORD_FILE"]), name="password").text()
            database = await Database.connect(self.env["ACCESS_DATABASE_URL"], password, size=1)
            try:
                return await _approved(database, person, number or secrets.randbelow(10**9) + 10**6)
            finally:
                await database.close()

        return asyncio.run(made())

    def fulfilled(self, record: Record) -> Mapping[str, Any]:
        """What the reconciler's turn does with it."""
        result = opening.fulfil(self.hand(), record)
        self.told(record, lambda handover: handover.fulfilled(record.request.number, result))
        return result

    def failed(self, record: Record, why: str) -> None:
        """What the reconciler's turn does with one that cannot take effect, so that no later turn opens it."""
        self.told(record, lambda handover: handover.failed(record.request.number, why))

    def told(self, record: Record, report: Callable[[Handover], Awaitable[bool]]) -> None:
        """Say to the database what came of a request."""

        async def say() -> None:
            handover = await Handover.open(
                DatabaseSettings(
                    database_url=self.env["ACCESS_RECONCILER_DATABASE_URL"],
                    database_password_file=Path(self.env["ACCESS_RECONCILER_DATABASE_PASSWORD_FILE"]),
                ),
                node="test",
            )
            await handover.take(record.request.number)
            assert await report(handover)
            await handover.close()

        asyncio.run(say())

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "admin_sync", *words],
            cwd=CHECKOUT, env={"PATH": os.environ["PATH"], "HOME": str(self.folder), **self.env},
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    def brought_about(self) -> None:
        """The realm of dev and the bundle are as the repository says."""
        for words in (("apply", "--env", "dev"), ("bundle", "publish")):
            done = self.run(*words, "--config", self.env["ADMIN_SYNC_CONFIG"])
            assert done.returncode == 0, done.stderr

    def post(self, service: str, path: str, tokens: Tokens, body: dict[str, Any] | None = None) -> httpx.Response:
        bearer = {"Authorization": f"Bearer {tokens.access_token}"}
        return httpx.post(f"{service}{path}", headers=bearer, json=body, trust_env=False, timeout=30)

    def proof(self, record: Record, tokens: Tokens) -> httpx.Response:
        return self.post(self.stack.urls["access"], f"/access/v1/break-glass/{record.request.id}/proof", tokens)

    def release(self, proof: str, tokens: Tokens) -> httpx.Response:
        return self.post(self.stack.urls["vault"], f"/v1/break-glass/dev/{ACCOUNT}/release", tokens, {"proof": proof})

    def logged_in(self, released: str) -> PersonSession:
        from admin_sync.break_glass.credential import Credential  # noqa: PLC0415
        from identity.secret import Secret  # noqa: PLC0415

        credential = Credential.read(Secret(released))
        told = registration(self.env)
        session = PersonSession(told, self.folder / secrets.token_hex(4), talk=Answering(credential, told.issuer))
        session.log_in(store=Kind.FILE, wanted=Wanted(AssuranceLevel.AAL3))
        return session

    def allows(self, token: str, permission: str) -> bool:
        """What the stack's OPA says about a token's claims."""
        claims = json.loads(_decoded(token.split(".")[1]))
        question = {"input": question_of(claims, permission, "dev")}
        url = f"{self.stack.urls['opa']}/v1/data/tradepulse/authz/decision"
        answer = httpx.post(url, json=question, trust_env=False)
        return bool(answer.json()["result"]["allow"])


def _decoded(part: str) -> bytes:
    import base64  # noqa: PLC0415

    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


async def _approved(database: Database, person: Person, number: int) -> Record:
    async with database.transaction() as connection:
        ledger = Ledger(connection, "test")
        asked = (await ledger.now()).replace(microsecond=0)
        request = Request(
            number=number, kind="break_glass", requester=person.email, requester_account=person.id or "",
            subject=person.email, payload={"account": ACCOUNT}, environments=("dev",),
            justification="Nobody can log in any more, and trading has stopped.", asked_at=asked,
            expires=asked + timedelta(minutes=50),
        )  # fmt: skip
        await ledger.insert(request, requester_person=person.email, subject_person=person.email)
        await ledger.append(AuditEvent(event="request.submitted", outcome="success"), number=number)
    async with database.transaction() as connection:
        ledger = Ledger(connection, "test")
        at = await ledger.now()
        for name in APPROVERS:
            voice = Approval(
                person=name, by=name, account=f"account of {name}", capacity="security", hash=request.hash, at=at,
                acr="aal2", auth_time=int(at.timestamp()), session="s", realm="dev",
            )  # fmt: skip
            await ledger.approve(number, voice)
        await ledger.move(number, State.APPROVED, at=at, by=APPROVERS[-1])
        await ledger.append(AuditEvent(event="request.approved", outcome="success"), number=number)
        found = await ledger.find(number)
    assert found is not None
    return found


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
