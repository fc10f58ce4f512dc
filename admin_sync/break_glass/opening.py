"""Opening: the reconciler's fulfilment of an approved request of the kind `break_glass`.

    noted (so that it will be closed, whatever happens next) ─▶ sealed? ─▶ grant committed ─▶ account enabled

Killed between any two, it is made again and each step finds itself done. Nobody is given a credential here: who asked
fetches it from the vault, with a token of their own and the access service's proof.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from admin_sync.access.kinds import BreakGlassPayload, read_payload
from admin_sync.access.request import Record, request_id
from admin_sync.access.speakers import Speakers
from admin_sync.break_glass.accounts import address, role
from admin_sync.break_glass.kit import ACTOR, Kit
from admin_sync.break_glass.sealing import seal
from admin_sync.break_glass.stage import Opening
from admin_sync.load.schema import Binding
from admin_sync.reconciler.duties import Hand, Unfulfillable
from admin_sync.reconciler.granting import approvals_of, roster_of
from admin_sync.reconciler.settings import reconciler_settings
from identity.audit.event import AuditEvent

OPENED: Final = "break_glass.opened"


def fulfil(hand: Hand, record: Record) -> Mapping[str, Any]:
    """Open the account that an approved request asks for.

    Raises Unfulfillable where it can never be; OpeningsUnavailable, CustodyUnavailable, KeycloakProblem and what
    `Repository.change` raises where it is to be tried again.
    """
    kit = kit_of(hand)
    now = kit.openings(lambda openings: openings.now())
    opening = opening_of(hand, record, now)
    told = event_of(OPENED, opening, actor=opening.opener)
    noted = kit.openings(lambda openings: openings.begin(opening, told))
    if noted is None:
        raise Unfulfillable(
            f"{opening.account} is open already, for somebody or somewhere else; ask for another emergency account"
        )
    if noted.closed_at is not None or noted.over(now):
        raise Unfulfillable("it was closed before it could be used; ask again")
    account = kit.account(opening.environment, opening.account)
    with kit.custody() as custody:
        held = custody.held().get((opening.environment, opening.account))
        if held is None or (held.state != "sealed" and held.request != record.request.id):
            # Never sealed, or a change that was given up: a credential that is in force is made now.
            seal(account, custody, opening.environment, opening.account)
    commit = _granted(hand, record, opening)
    account.enable()
    return {
        "account": opening.account,
        "username": account.username,
        "environment": opening.environment,
        "role": role(hand.document),
        "until": opening.until.isoformat(),
        "commit": commit,
    }


def opening_of(hand: Hand, record: Record, now: datetime) -> Opening:
    """The opening that a request asks for. Raises Unfulfillable for one that has no such form."""
    request = record.request
    payload = read_payload(request.kind, request.payload)
    policy = hand.document.policies.break_glass
    if not isinstance(payload, BreakGlassPayload) or len(request.environments) != 1:
        raise Unfulfillable("an opening is of one account in one environment; ask for each by itself")
    if payload.account not in policy.accounts:
        raise Unfulfillable(f"the policies know no emergency account {payload.account}")
    if role(hand.document) is None:
        raise Unfulfillable("no role of roles.yaml could end an emergency, so there is nothing to open an account for")
    return Opening(
        number=request.number,
        environment=request.environments[0],
        account=payload.account,
        opener=person_of(hand, request.requester),
        approvers=tuple(dict.fromkeys(one.person for one in record.approvals)),
        reason=request.justification,
        opened_at=now,
        until=request.expires,
        due=request.expires + policy.review_within,
    )


def person_of(hand: Hand, email: str) -> str:
    """The one address of a person by the roster, as approvals name people."""
    return _speakers(hand).person(email)


def kit_of(hand: Hand) -> Kit:
    """What the reconciler's hand has, for break-glass."""
    return Kit(hand.document, hand.session.connection, hand.environ, hand.settings.node)


def _speakers(hand: Hand) -> Speakers:
    return Speakers(hand.document, roster_of(reconciler_settings(hand.environ).roster_file), hand.now)


def _granted(hand: Hand, record: Record, opening: Opening) -> str | None:
    """Commit the grant that ends with the opening, once; the commit's name."""
    request = record.request
    done = hand.repository.granted_by(request.id)
    if done is not None:
        return done
    binding = Binding.model_validate(
        {
            "subject": {"user": address(opening.account)},
            "role": role(hand.document),
            "environments": [opening.environment],
            "expires": request.expires.isoformat(),
            "request": request.id,
            "justification": request.justification,
            "approvals": approvals_of(record, _speakers(hand)),
        }
    )
    with hand.repository.change(
        request.requester,
        f"Open {opening.account} in {opening.environment} until {request.expires:%Y-%m-%d %H:%M} UTC",
        reason=request.justification,
    ) as change:
        if change.document.barred(address(opening.account)):
            change.unbar(address(opening.account))
        change.add(binding)
    return None if change.committed is None else change.committed.commit


def event_of(
    name: str, opening: Opening, *, actor: str = ACTOR, outcome: str = "success", reason: str | None = None
) -> AuditEvent:
    """An audit event about an opening. Its resource is made of pairs, by which the monitor says whose alert it is."""
    return AuditEvent(
        event=name,
        outcome=outcome,
        actor=actor,
        action="break_glass",
        resource=(
            f"user={address(opening.account)} environment={opening.environment} request={request_id(opening.number)} "
            f"opener={opening.opener} until={opening.until.isoformat()}"
        ),
        reason=reason,
    )
