"""Emergencies on a stack: the reconciler's hand, the access service's database, and a process that is killed inside."""

from __future__ import annotations

import asyncio
import base64
import json
import multiprocessing
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import asyncpg
import httpx
from offboarding_world import question_of

from admin_sync.access.request import Approval, Record, Request
from admin_sync.access.settings import DatabaseSettings
from admin_sync.access.state import State
from admin_sync.access.store.database import Database
from admin_sync.access.store.handover import Handover
from admin_sync.access.store.ledger import Ledger
from admin_sync.break_glass import closing, opening
from admin_sync.break_glass.credential import Credential
from admin_sync.break_glass.custody import Custody
from admin_sync.break_glass.kit import Kit
from admin_sync.break_glass.login import Answering
from admin_sync.break_glass.realm import RealmAccount
from admin_sync.break_glass.store import Openings
from admin_sync.desired.facts import gather
from admin_sync.keycloak.connection import Connection
from admin_sync.reconciler.duties import Hand
from admin_sync.repository import Repository, repository_settings
from admin_sync.settings import settings
from admin_sync.sync import Session
from identity.audit.event import AuditEvent
from identity.audit.log import AuditLog
from identity.login import Kind, PersonSession, Wanted, registration
from identity.principal import AssuranceLevel
from identity.secret import Secret, read_secret
from stack.layout import CHECKOUT
from stack.login.oidc import Tokens

if TYPE_CHECKING:
    from tests.conftest import Stack

ACCOUNT = "break-glass-2"
APPROVERS = ("security.one@tradepulse.example", "security.two@tradepulse.example")

STEPS: Mapping[str, tuple[type, str]] = {
    "held": (Custody, "held"),
    "lock": (RealmAccount, "lock"),
    "change": (Repository, "change"),
    "keep": (Custody, "keep"),
    "take": (RealmAccount, "take"),
    "confirm": (Custody, "confirm"),
    "enable": (RealmAccount, "enable"),
    "close": (Openings, "close"),
}
"""What an opening and a closing do, by the call that does it."""


class Asker(Protocol):
    """Whoever asks for an account."""

    email: str
    id: str | None


class Bench:
    """The reconciler's hand with a stack's settings, in whichever process."""

    def __init__(self, env: Mapping[str, str], folder: Path) -> None:
        self.env, self.folder = dict(env), folder
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


class Emergency(Bench):
    """That hand, the access service's database and people, on one stack."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        super().__init__(stack.env, folder)
        self.stack = stack

    def held(self) -> tuple[int, str]:
        with self.kit().custody() as custody:
            found = custody.held()["dev", ACCOUNT]
        return found.version, found.state

    def approved(self, person: Asker, *, number: int | None = None) -> Record:
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

    def killed_before(self, step: str, record: Record | None = None) -> None:
        """Open what was approved, or close what is over, in a process that is killed when it comes to a step."""
        place = self.folder / secrets.token_hex(4)
        place.mkdir()
        forked = multiprocessing.get_context("forkserver")
        # Whoever is killed was forked from a process that has loaded what it needs and runs nothing.
        forked.set_forkserver_preload([closing.__name__, opening.__name__, Session.__module__])
        process = forked.Process(target=_until, args=(self.env, place, step, record))
        process.start()
        process.join(120)
        assert process.exitcode == -signal.SIGKILL, f"{step}: it ended with {process.exitcode}"

    def a_minute_later(self) -> None:
        """What is kept and not confirmed was kept a minute earlier than it was."""
        self._custody("UPDATE vault.break_glass SET kept_at = kept_at - interval '61 s' WHERE account = $1", ACCOUNT)

    def released_to(self, record: Record) -> None:
        """What the vault leaves when it has given the credential out."""
        self._custody(
            "WITH given AS (UPDATE vault.break_glass SET state = 'released' WHERE account = $1 AND environment = 'dev'"
            " RETURNING environment, account, version) INSERT INTO vault.break_glass_release"
            " (request, environment, account, version, subject) SELECT $2, g.*, $3 FROM given g",
            ACCOUNT, record.request.id, record.request.requester_account,
        )  # fmt: skip

    def _custody(self, statement: str, *values: str) -> None:
        password = (Path(self.env["TRADEPULSE_STACK_DIR"]) / "secrets" / "postgres-postgres").read_text().strip()

        async def done() -> None:
            url = self.env["VAULT_DATABASE_URL"].replace("vault_app@", "postgres@")
            connection = await asyncpg.connect(url, password=password)
            await connection.execute(statement, *values)
            await connection.close()

        asyncio.run(done())

    def asked_to_close(self, number: int, event: AuditEvent) -> None:
        """What the access service notes for somebody who wants an opening closed."""

        async def noted() -> None:
            password = read_secret(Path(self.env["ACCESS_DATABASE_PASSWORD_FILE"]), name="password").text()
            database = await Database.connect(self.env["ACCESS_DATABASE_URL"], password, size=1)
            try:
                openings = Openings(database, "test")
                assert await openings.ask_to_close(number, event.actor or "?", await openings.now(), event)
            finally:
                await database.close()

        asyncio.run(noted())

    def told_of(self, record: Record) -> list[str]:
        """The events of the trail about a request."""

        async def read() -> list[str]:
            password = read_secret(Path(self.env["ACCESS_DATABASE_PASSWORD_FILE"]), name="password").text()
            connection = await asyncpg.connect(self.env["ACCESS_DATABASE_URL"], password=password)
            rows = await connection.fetch(
                "SELECT event FROM access.audit WHERE number = $1 ORDER BY seq", record.request.number
            )
            await connection.close()
            return [row["event"] for row in rows]

        return asyncio.run(read())


def _until(env: Mapping[str, str], folder: Path, step: str, record: Record | None) -> None:
    owner, name = STEPS[step]

    def die(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    bench = Bench(env, folder)
    # Read before the trap is laid: the repository is asked for its document by the way in as well.
    hand = bench.hand()
    setattr(owner, name, die)
    if record is None:
        closing.work(hand)
    else:
        opening.fulfil(hand, record)


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


async def _approved(database: Database, person: Asker, number: int) -> Record:
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
