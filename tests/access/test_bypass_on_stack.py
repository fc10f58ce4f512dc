"""An approved bypass on real Keycloak: what the reconciler does with it, and the login with both halves."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from admin_sync.access.request import Approval, Record, Request
from admin_sync.access.state import State
from admin_sync.bypass import watching
from admin_sync.bypass.account import Accounts
from admin_sync.bypass.carried import comment
from admin_sync.bypass.code import new_half, verifier
from admin_sync.bypass.fulfil import fulfil
from admin_sync.keycloak.connection import Connection
from admin_sync.load.document import Document, load
from admin_sync.reconciler.duties import Hand, Unfulfillable
from admin_sync.settings import settings
from identity.audit.log import AuditLog
from stack.layout import CHECKOUT
from stack.login import LoginFailed, SavedFactor
from tests.realm.conftest import REALM, Person, Realm, bare_person, new_person, person, realm

if TYPE_CHECKING:
    from tests.conftest import Stack

__all__ = ["bare_person", "new_person", "person", "realm"]
pytestmark = pytest.mark.integration

_numbers = itertools.count(int(time.time()))


class At:
    """The part of a session that a bypass needs."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection


@pytest.fixture
def hand(stack: Stack) -> Callable[[], Any]:
    document: Document = load(CHECKOUT / "configs" / "iam", stack.env)

    def made() -> Any:
        now = datetime.now(UTC)
        blank: Any = None
        session: Any = At(stack.admin)
        return Hand(replace(document, now=now), blank, session, blank, blank, now, stack.env)

    return made


class Watched:
    """The reconciler's hand as the watch over codes needs it; its audit is a file of the test's own."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self.file = folder / "iam_events.jsonl"
        self.audit = AuditLog(self.file, source="test", node="test")

    def look(self) -> str:
        """One look; what it told."""
        document = load(CHECKOUT / "configs" / "iam", self.stack.env)
        blank: Any = None
        session: Any = At(self.stack.admin)
        made = settings(self.stack.env)
        watching.work(Hand(document, made, session, blank, self.audit, datetime.now(UTC), self.stack.env))
        return self.file.read_text() if self.file.exists() else ""


def approved(subject: str, own: str, handed: str | None, lasting: timedelta = timedelta(hours=4)) -> Record:
    """A request as the reconciler takes it from the database."""
    now = datetime.now(UTC)
    request = Request(
        number=next(_numbers),
        kind="mfa_bypass",
        requester=subject,
        requester_account="account",
        subject=subject,
        payload={"half": verifier(own, "tradepulse-dev", subject).model_dump()},
        environments=("dev",),
        justification="The phone fell into the sea.",
        asked_at=now,
        expires=now + lasting,
    )
    said = comment("Called.", verifier(handed, "tradepulse-dev", subject)) if handed is not None else "Fine."
    yes = Approval(
        person="security.one@tradepulse.example",
        by="security.one@tradepulse.example",
        account="s",
        capacity="security",
        hash=request.hash,
        at=now,
        acr="aal2",
        auth_time=int(now.timestamp()),
        session="sid",
        comment=said,
    )
    return Record(
        request=request,
        stored_hash=request.hash,
        state=State.APPROVED,
        changed_at=now,
        changed_by=yes.by,
        approvals=(yes,),
    )


def test_both_halves_open_one_login_and_a_second_report_opens_none(
    realm: Realm, bare_person: Person, hand: Callable[[], Any]
) -> None:
    own, handed = new_half(), new_half()
    record = approved(bare_person.email, own, handed)
    assert fulfil(hand(), record)["state"] == "open"
    # Killed before it could report: the same request comes again.
    assert fulfil(hand(), record)["state"] == "open"
    with realm.forms(SavedFactor(emergency_code=(own.lower(), handed.replace("-", " ")))) as driver:
        claims = driver.login(bare_person.again(acr="aal2", emergency_code=True)).claims()
    assert (claims["assurance_level"], claims["amr"]) == ("aal2", ["pwd", "mfa_bypass"])
    assert fulfil(hand(), record)["state"] == "used"
    with realm.forms(SavedFactor(emergency_code=(own, handed))) as driver, pytest.raises((LoginFailed, ValueError)):
        driver.login(bare_person.again(acr="aal2", essential=True, emergency_code=True))


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (lambda email: approved(email, new_half(), None), "nobody of security handed a half over"),
        (lambda email: approved(email, "AAAAA-AAAAA", "BBBBB-BBBBB", timedelta(seconds=-1)), "bad_end"),
        (lambda email: approved(f"nobody.{email}", "AAAAA-AAAAA", "BBBBB-BBBBB"), "0 accounts"),
    ],
)
def test_what_cannot_take_effect_is_said_to_who_asked(
    bare_person: Person, hand: Callable[[], Any], record: Callable[[str], Record], why: str
) -> None:
    with pytest.raises(Unfulfillable, match=why):
        fulfil(hand(), record(bare_person.email))


def test_a_code_that_nobody_approved_is_closed_and_what_it_proved_is_ended(
    realm: Realm, bare_person: Person, new_person: Callable[..., Any], stack: Stack, hand: Callable[[], Any],
    tmp_path: Path,
) -> None:  # fmt: skip
    """Opened past the database of requests, as whoever manages accounts in Keycloak could: one waits, one is used."""
    watched, waiting, accounts = Watched(stack, tmp_path), bare_person, Accounts(stack.admin, REALM)

    def opened(email: str) -> SavedFactor:
        own, handed = new_half(), new_half()
        assert fulfil(hand(), approved(email, own, handed))["state"] == "open"
        return SavedFactor(emergency_code=(own, handed))

    with new_person() as used:
        credential = {"type": "password", "value": used.password, "temporary": False}
        stack.admin.put(f"{realm.path}/users/{used.id}/reset-password", credential)
        unused = opened(waiting.email)
        with realm.forms(opened(used.email)) as driver:
            driver.login(used.again(acr="aal2", emergency_code=True))
            assert len(stack.admin.get(f"{realm.path}/users/{used.id}/sessions")) == 1
            told = watched.look()
        assert [told.count(f"user={one.email} ") for one in (waiting, used)] == [1, 1]
        assert told.count('"no_such_request"') == told.count(watching.FOUND)
        assert stack.admin.get(f"{realm.path}/users/{used.id}/sessions") == []
        assert accounts.find(used.email) is None
    with realm.forms(unused) as driver, pytest.raises((LoginFailed, ValueError)):
        driver.login(waiting.again(acr="aal2", essential=True, emergency_code=True))
    left = accounts.find(waiting.email)
    assert left is not None
    assert left.state == "withdrawn"
    # It is told once, and a further look finds nothing.
    assert watched.look() == told


def test_a_code_that_somebody_else_opened_in_the_name_of_a_request_is_closed_by_its_fulfilment(
    bare_person: Person, stack: Stack, hand: Callable[[], Any]
) -> None:
    record = approved(bare_person.email, new_half(), new_half())
    theirs = [verifier(new_half(), REALM, bare_person.email) for _ in range(2)]
    accounts = Accounts(stack.admin, REALM)
    accounts.open(bare_person.email, record.request.id, record.request.expires, theirs)
    with pytest.raises(Unfulfillable, match="another code was opened in its name"):
        fulfil(hand(), record)
    left = accounts.find(bare_person.email)
    assert left is not None
    assert left.state == "withdrawn"


def test_of_a_clock_that_was_set_back_a_code_is_still_no_longer_than_the_policy(
    bare_person: Person, hand: Callable[[], Any]
) -> None:
    # Approved when the clock was an hour ahead: counted from now that would be five hours.
    record = approved(bare_person.email, new_half(), new_half(), timedelta(hours=5))
    told = fulfil(hand(), record)
    assert datetime.fromisoformat(told["ends"]) <= datetime.now(UTC) + timedelta(hours=4)


def test_a_code_that_was_made_for_another_realm_opens_nothing_here(
    realm: Realm, bare_person: Person, stack: Stack
) -> None:
    own, handed = new_half(), new_half()
    halves = [verifier(half, "tradepulse-prod", bare_person.email) for half in (own, handed)]
    Accounts(stack.admin, REALM).open(bare_person.email, "REQ-000001", datetime.now(UTC) + timedelta(hours=1), halves)
    with realm.forms(SavedFactor(emergency_code=(own, handed))) as driver, pytest.raises(LoginFailed):
        driver.login(bare_person.again(acr="aal2", emergency_code=True))
