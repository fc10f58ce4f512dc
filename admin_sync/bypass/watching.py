"""The reconciler's duty: every emergency code in a realm is held against the request that it is of.

    codes of a realm ─▶ the request of each, in the database ─▶ as was approved? ─ no ─▶ alert, closed, sessions ended

Whoever may manage accounts in Keycloak can open a code by hand, under any request's name. The database says which
requests took effect, which only the reconciler's own role can write, and both verifiers are in what was approved.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Final

from pydantic import ValidationError

from admin_sync.access.request import Record, number_of
from admin_sync.access.settings import DatabaseSettings
from admin_sync.access.state import State
from admin_sync.access.store.database import DatabaseUnavailable
from admin_sync.access.store.handover import Handover
from admin_sync.bypass.account import Accounts, Kept
from admin_sync.bypass.carried import handed_half, own_half
from admin_sync.bypass.code import digest
from admin_sync.desired import realm_name
from admin_sync.errors import AdminSyncError
from admin_sync.keycloak.connection import KeycloakProblem
from admin_sync.reconciler.duties import Hand
from admin_sync.reconciler.settings import reconciler_settings
from identity.audit.event import AuditEvent
from identity.secret import SecretUnreadable

FOUND: Final = "mfa_bypass.found_unapproved"
_ACTOR: Final = "reconciler"


class NotWatched(AdminSyncError):
    """Some codes could not be held against requests; they are looked at again with the next turn."""


def work(hand: Hand) -> None:
    """Look at every realm. Raises NotWatched after all that could be looked at was."""
    made = reconciler_settings(hand.environ)
    if made.database_url is None:
        # There are no requests, so nobody here can say what was approved.
        return
    troubles: list[str] = []
    for environment in hand.document.environments:
        try:
            _look(hand, environment)
        except (AdminSyncError, KeycloakProblem) as problem:
            troubles.append(f"{environment}: {problem}")
    if troubles:
        raise NotWatched("; ".join(troubles))


def why_not(kept: Kept, record: Record | None, environment: str) -> str | None:
    """Why a code is not what was approved, as a stable word; None if it is. Pure.

    A request that is being carried out counts: its code is opened before that can be reported.
    """
    if record is None:
        return "no_such_request"
    request, code = record.request, kept.code
    took_effect = record.state is State.FULFILLED or (record.state is State.APPROVED and record.taken_at is not None)
    differs = {
        "another_request": request.kind != "mfa_bypass" or request.hash != record.stored_hash,
        f"request_{record.state.value}": not took_effect,
        "another_account": (request.subject, request.environments) != (kept.address, (environment,)),
        "another_end": code.ends > request.expires,
        # One that was used has forgotten what recognised it.
        "another_code": code.recognised_by not in ("", _approved(record)),
    }
    return next((reason for reason, so in differs.items() if so), None)


def _approved(record: Record) -> str | None:
    handed = handed_half(record)
    try:
        return None if handed is None else digest((own_half(record), handed))
    except ValidationError:
        return None


def _look(hand: Hand, environment: str) -> None:
    accounts = Accounts(hand.session.connection, realm_name(hand.document, environment))
    found = accounts.kept()
    if not found:
        return
    records = _records(hand, {number for one in found if (number := number_of(one.code.request)) is not None})
    for kept in found:
        reason = why_not(kept, records.get(number_of(kept.code.request) or 0), environment)
        if reason is not None:
            _end(hand, accounts, kept, environment, reason)


def _end(hand: Hand, accounts: Accounts, kept: Kept, environment: str, reason: str) -> None:
    """Told first: what could not be closed is known all the same, and told again by the next look."""
    hand.audit.append_sync(
        AuditEvent(
            event=FOUND,
            outcome="failure",
            actor=_ACTOR,
            action="mfa_bypass",
            resource=f"user={kept.address} environment={environment} request={kept.code.request}",
            reason=reason,
        )
    )
    if kept.code.state == "open":
        # One that is used in this very moment is found used by the next look.
        accounts.close(kept)
    else:
        accounts.forget(kept)
    hand.note(f"an emergency code of {kept.address} in {environment} was not approved ({reason}); it is closed")


def _records(hand: Hand, numbers: Collection[int]) -> Mapping[int, Record]:
    made = reconciler_settings(hand.environ)
    if made.database_url is None or made.database_password_file is None:
        return {}
    settings = DatabaseSettings(database_url=made.database_url, database_password_file=made.database_password_file)

    async def asked() -> dict[int, Record]:
        handover = await Handover.open(settings, node=hand.settings.node)
        try:
            found = [await handover.find(number) for number in sorted(numbers)]
        finally:
            await handover.close()
        return {one.request.number: one for one in found if one is not None}

    try:
        return asyncio.run(asked())
    except (DatabaseUnavailable, SecretUnreadable) as problem:
        raise NotWatched(f"the database of requests: {problem}; it is asked again") from None
