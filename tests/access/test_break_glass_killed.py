"""The reconciler killed inside an emergency, before each step that it notes or makes: on the real servers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from emergency_world import ACCOUNT, Emergency

from admin_sync.break_glass import closing, opening
from admin_sync.break_glass.accounts import address
from identity.audit.event import AuditEvent
from identity.secret import Secret

if TYPE_CHECKING:
    from tests.conftest import Stack


@dataclass
class Asking:
    """Somebody who asked, and whom nobody has to log in."""

    email: str = "platform.one@tradepulse.example"
    id: str | None = "the-account-that-asked"


@pytest.fixture
def emergency(stack: Stack, tmp_path: Path) -> Iterator[Emergency]:
    made = Emergency(stack, tmp_path)
    made.a_minute_later()
    closing.work(made.hand())
    yield made
    made.a_minute_later()
    closing.work(made.hand())


def test_killed_anywhere_an_opening_opens_nothing_early_and_a_closing_leaves_nothing_open(
    emergency: Emergency,
) -> None:
    account = emergency.kit().account("dev", ACCOUNT)
    account.lock()
    with emergency.kit().custody() as custody:
        # Given up by another process long ago: the opening has to make a credential of its own.
        custody.keep("dev", ACCOUNT, Secret("nothing that opens anything"))
    emergency.a_minute_later()
    record = emergency.approved(Asking())
    number = record.request.number

    for step, state in (
        ("held", "pending"), ("keep", "pending"), ("take", "pending"), ("confirm", "pending"),
        ("change", "sealed"), ("enable", "sealed"),
    ):  # fmt: skip
        emergency.killed_before(step, record)
        assert not account.enabled(), step
        assert emergency.held()[1] == state, step
        emergency.a_minute_later()
    sealed, _ = emergency.held()
    result = emergency.fulfilled(record)
    # Killed after all was done and before it could be said: made again, it is the same opening.
    assert opening.fulfil(emergency.hand(), record) == result
    assert (account.enabled(), emergency.held()) == (True, (sealed, "sealed"))
    assert emergency.told_of(record).count("break_glass.opened") == 1
    grants = emergency.repository.git.text("log", "--format=%H", "--grep", f"^Request: {record.request.id}$")
    assert len(grants.split()) == 1

    emergency.released_to(record)
    asked = AuditEvent(event="break_glass.close_asked", outcome="success", actor=Asking().email)
    emergency.asked_to_close(number, asked)
    emergency.killed_before("lock")
    for step, bound, state in (
        ("change", True, "released"), ("keep", False, "released"), ("take", False, "pending"),
        ("confirm", False, "pending"), ("close", False, "sealed"),
    ):  # fmt: skip
        emergency.killed_before(step)
        # The account is disabled by the first thing that a closing does, whatever else is left to be done.
        assert (account.enabled(), emergency.held()[1]) == (False, state), step
        document = emergency.repository.document()
        assert any(one.subject.user == address(ACCOUNT) for one in document.bindings.bindings) is bound, step
        assert document.barred(address(ACCOUNT)) is not bound, step
        stands = emergency.kit().openings(lambda openings: openings.one(number))
        assert stands is not None, step
        assert stands.closed_at is None, step
        emergency.a_minute_later()
    closing.work(emergency.hand())
    assert emergency.told_of(record).count("break_glass.closed") == 1
    version, state = emergency.held()
    assert (version > sealed, state, account.enabled()) == (True, "sealed", False)
