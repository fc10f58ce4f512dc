"""Closing: the reconciler's duty. What is over ends, what nobody opened is disabled, what nobody reviewed is told.

    over ─▶ account locked, sessions ended ─▶ grant gone, account barred ─▶ new credential sealed ─▶ noted as closed

The most dangerous goes first. Each step finds itself done when it is made again, and an opening counts as closed
only when its credential can open nothing any more, so that a crash between any two leaves it to the next turn.
Whatever is down meanwhile, OPA denies the account from the second of its end by the bundle's own data.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from admin_sync.access.request import request_id
from admin_sync.break_glass.accounts import address, places
from admin_sync.break_glass.kit import ACTOR, Kit
from admin_sync.break_glass.opening import event_of, kit_of
from admin_sync.break_glass.sealing import seal
from admin_sync.break_glass.stage import Opening, next_event
from admin_sync.bundle.errors import BundleError
from admin_sync.errors import AdminSyncError
from admin_sync.keycloak.connection import KeycloakProblem
from admin_sync.reconciler.duties import Hand
from admin_sync.repository import Selector
from identity.audit.event import AuditEvent

EVERY: Final = timedelta(seconds=30)
"""How long an account that somebody enabled by hand stays so."""
AGAIN: Final = timedelta(hours=24)
"""How often it is told again that an opening was not reviewed."""


class NotClosed(AdminSyncError):
    """Something of what is over could not be ended; it is tried again with the next turn."""


def work(hand: Hand) -> datetime | None:
    """Do all that is due; when something is due by itself the next time. Raises NotClosed, OpeningsUnavailable."""
    kit = kit_of(hand)
    if not kit.configured:
        return None
    now = kit.openings(lambda openings: openings.now())
    openings = kit.openings(lambda found: found.unfinished())
    troubles: list[str] = []
    for opening in openings:
        if opening.closed_at is None and opening.over(now):
            try:
                close(hand, kit, opening)
            except (AdminSyncError, KeycloakProblem, BundleError) as problem:
                # One account that cannot be closed does not keep another one open.
                troubles.append(f"{request_id(opening.number)}: {problem}")
        elif opening.to_escalate(now, AGAIN):
            _escalate(kit, opening, now)
    standing = {(one.environment, one.account) for one in openings if one.closed_at is None}
    troubles += _sweep(hand, kit, standing)
    if troubles:
        raise NotClosed("; ".join(troubles))
    return next_event(openings, now)


def close(hand: Hand, kit: Kit, opening: Opening) -> None:
    """Have nothing left of an opening. Raises CustodyUnavailable, KeycloakProblem, GitFailed, OpeningsUnavailable."""
    account = kit.account(opening.environment, opening.account)
    account.lock()
    request = request_id(opening.number)
    with hand.repository.change(
        opening.close_asked_by or hand.repository.settings.committer_email,
        f"Close {opening.account} in {opening.environment}",
        reason="" if opening.close_asked_by else "its time is over",
    ) as change:
        change.remove(Selector(request=request, user=address(opening.account)))
        # A grant that is merely gone lets a token that still names its role live on for minutes where an identity
        # provider may give that role too; who is barred is denied by the next bundle, whatever their token says.
        if not change.document.barred(address(opening.account)):
            now = kit.openings(lambda openings: openings.now())
            change.bar(address(opening.account), now, "an emergency account, closed")
    with kit.custody() as custody:
        seal(account, custody, opening.environment, opening.account)
    at = kit.openings(lambda openings: openings.now())
    why = "asked" if opening.close_asked_by else "over"
    told = event_of("break_glass.closed", opening, actor=opening.close_asked_by or ACTOR, reason=why)
    kit.openings(lambda openings: openings.close(opening.number, at, told))
    hand.note(f"{request}: {opening.account} is closed in {opening.environment}")


def _escalate(kit: Kit, opening: Opening, now: datetime) -> None:
    told = event_of("break_glass.review_overdue", opening, outcome="failure", reason="not_reviewed")
    kit.openings(lambda openings: openings.escalate(opening.number, now, told))


def _sweep(hand: Hand, kit: Kit, standing: set[tuple[str, str]]) -> list[str]:
    """Disable accounts that are enabled although nothing was opened; what could not be looked at."""
    troubles = []
    for environment, name in places(hand.document):
        if (environment, name) in standing:
            continue
        account = kit.account(environment, name)
        try:
            if account.enabled():
                account.lock()
                hand.audit.append_sync(
                    AuditEvent(
                        event="break_glass.found_enabled",
                        outcome="failure",
                        actor=ACTOR,
                        action="break_glass",
                        resource=f"user={account.username} environment={environment}",
                        reason="not_opened",
                    )
                )
                hand.note(f"{account.username} was enabled in {environment} although nobody opened it; it is disabled")
        except (AdminSyncError, KeycloakProblem) as problem:
            troubles.append(f"{account.username} in {environment}: {problem}")
    return troubles
