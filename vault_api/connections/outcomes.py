"""What came of a call on a connection, told: as a problem, or as what may be shown of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol

from identity.problem import Problem, not_found
from vault_api import problems
from vault_api.connections.schemas import Credential, TokenSet
from vault_api.gate import Admitted
from vault_api.sealing.envelope import Place, seal
from vault_api.sealing.keys import PartnerKey
from vault_api.store.repository import Connection, Held, ToStore
from vault_api.tokens import BrokerToken


class Freshness(Protocol):
    """Who refreshes a token that is about to be released."""

    async def freshen(self, partner: str, connection: str, version: int) -> bool:
        """Returns when that version was refreshed, or when a release gets what there is.

        True: should that not do, waiting may help. Raises DatabaseUnavailable.
        """


STORE_PROBLEMS = {
    "not_found": not_found,
    "precondition_failed": problems.precondition_failed,
    "broker_differs": problems.broker_differs,
}


def to_store(
    key: PartnerKey, admitted: Admitted, connection: str, tokens: TokenSet, *, expected: int, idempotency: bytes | None
) -> ToStore:
    """A token set sealed as version `expected + 1` of its connection."""

    def sealed(token: BrokerToken) -> bytes:
        return seal(key, Place(admitted.partner, connection, token.kind, expected + 1), token.reveal())

    return ToStore(
        connection=connection,
        expected=expected,
        broker=tokens.broker,
        key_version=key.version,
        access=sealed(tokens.access_token),
        refresh=None if tokens.refresh_token is None else sealed(tokens.refresh_token),
        access_expires_at=tokens.expires_at,
        refresh_expires_at=tokens.refresh_expires_at,
        scopes=tokens.scopes,
        idempotency=idempotency,
        subject=admitted.principal.subject,
    )


def unreleased(held: Held, *, hopeful: bool) -> Problem:
    if held.outcome == "refresh_due" or (held.outcome == "expired" and hopeful):
        return problems.refresh_pending()
    if held.outcome == "expired":
        return problems.reconnect_needed(held.expires_at, held.version)
    return not_found()


def described(found: Connection) -> Credential:
    now = datetime.now(UTC)
    return Credential(
        connection=found.connection,
        broker=found.broker,
        state=found.state,
        state_reason=found.state_reason,
        state_since=found.state_since,
        linked_by=found.linked_by,
        linked_at=found.linked_at,
        approved_by=found.approved_by,
        approved_at=found.approved_at,
        relink_at=found.relink_at,
        awaiting_approval=found.awaiting_approval,
        version=found.version,
        key_version=found.key_version,
        created_at=found.created_at,
        created_by=found.created_by,
        stored_at=found.stored_at,
        stored_by=found.stored_by,
        age_seconds=None if found.stored_at is None else max(0, int((now - found.stored_at).total_seconds())),
        expires_at=found.access_expires_at,
        expired=found.access_expires_at is not None and found.access_expires_at <= now,
        has_refresh_token=found.has_refresh_token,
        refresh_expires_at=found.refresh_expires_at,
        scopes=tuple(found.scopes),
        last_released_at=found.last_released_at,
    )
