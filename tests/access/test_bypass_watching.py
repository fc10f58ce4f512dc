"""Whether an emergency code in a realm is one that was approved: what the reconciler holds it against."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from admin_sync.access.request import Approval, Record, Request
from admin_sync.access.state import State
from admin_sync.bypass.account import Code, Kept
from admin_sync.bypass.carried import comment
from admin_sync.bypass.code import Verifier, digest
from admin_sync.bypass.watching import why_not

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
OWN = Verifier(salt="0" * 32, hash="a" * 64)
HANDED = Verifier(salt="1" * 32, hash="b" * 64)
OTHER = Verifier(salt="2" * 32, hash="c" * 64)
WHO = "mlops.one@tradepulse.example"


def request(**changes: Any) -> Request:
    base: dict[str, Any] = {
        "number": 7, "kind": "mfa_bypass", "requester": WHO, "requester_account": "a", "subject": WHO,
        "payload": {"half": OWN.model_dump()}, "environments": ("prod",),
        "justification": "The phone fell into the sea.", "asked_at": NOW, "expires": NOW + timedelta(hours=2),
    }  # fmt: skip
    return Request(**{**base, **changes})


def record(state: State = State.FULFILLED, **changes: Any) -> Record:
    asked = request(**changes)
    yes = Approval(
        person="s@x.example", by="s@x.example", account="s", capacity="security", hash=asked.hash, at=NOW, acr="aal2",
        auth_time=1, session="s", realm="prod", comment=comment("Called.", HANDED),
    )  # fmt: skip
    return Record(
        request=asked, stored_hash=asked.hash, state=state, changed_at=NOW, changed_by="reconciler", approvals=(yes,),
    )  # fmt: skip


OPEN = Kept(WHO, "account", "credential", Code("REQ-000007", "open", request().expires, 0, digest((OWN, HANDED))))
USED = replace(OPEN, code=replace(OPEN.code, state="used", recognised_by=""))


@pytest.mark.parametrize("kept", [OPEN, USED], ids=["open", "used"])
def test_a_code_of_a_request_that_took_effect_is_left_alone(kept: Kept) -> None:
    assert why_not(kept, record(), "prod") is None
    # Opened, and killed before that was reported: what the reconciler has taken nobody else can move.
    assert why_not(kept, replace(record(State.APPROVED), taken_at=NOW), "prod") is None


@pytest.mark.parametrize("kept", [OPEN, USED], ids=["open", "used"])
@pytest.mark.parametrize(
    ("known", "reason"),
    [
        (None, "no_such_request"),
        (record(State.OPEN), "request_open"),
        (record(State.APPROVED), "request_approved"),
        (record(State.CANCELLED), "request_cancelled"),
        (record(State.FAILED), "request_failed"),
        (record(kind="grant", payload={"role": "viewer"}), "another_request"),
        (replace(record(), stored_hash="0" * 64), "another_request"),
        (record(subject="quant.one@tradepulse.example"), "another_account"),
        (record(environments=("dev",)), "another_account"),
        (record(expires=NOW + timedelta(hours=1)), "another_end"),
    ],
)
def test_a_code_that_was_opened_by_hand_is_not_what_was_approved(kept: Kept, known: Record | None, reason: str) -> None:
    assert why_not(kept, known, "prod") == reason


@pytest.mark.parametrize("halves", [(OWN, OTHER), (OTHER, HANDED), (HANDED, OWN)])
def test_a_code_of_other_halves_in_the_name_of_an_approved_request_is_found(halves: tuple[Verifier, Verifier]) -> None:
    forged = replace(OPEN, code=replace(OPEN.code, recognised_by=digest(halves)))
    assert why_not(forged, record(), "prod") == "another_code"
    silent = replace(record(), approvals=())
    assert why_not(OPEN, silent, "prod") == "another_code"
