"""An approved bypass takes effect: both verifiers and the end are written to the account in Keycloak.

Called by the reconciler after it has verified the request again, and as often as it likes: Keycloak knows which
requests it has seen, so that one approval opens one code, also if the report of it is lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from admin_sync.access.request import Record
from admin_sync.bypass.account import Accounts, CodeRefused, NoAccount
from admin_sync.bypass.carried import handed_half, own_half
from admin_sync.bypass.code import Verifier, digest
from admin_sync.desired import realm_name
from admin_sync.reconciler.duties import Hand, Unfulfillable


def fulfil(hand: Hand, record: Record) -> Mapping[str, Any]:
    """Open the code of an approved request; what its requester may see of it.

    Raises Unfulfillable, KeycloakProblem, and CodeRefused (`not_now`) where it is to be tried again.
    """
    request = record.request
    if len(request.environments) != 1:
        raise Unfulfillable("a bypass is for one environment")
    realm = realm_name(hand.document, request.environments[0])
    # Approved for at most that long, from when it can be used.
    ends = min(request.expires, hand.now + hand.document.policies.break_glass.mfa_bypass.max_duration)
    accounts = Accounts(hand.session.connection, realm)
    halves = _halves(record)
    try:
        code = accounts.open(request.subject, request.id, ends, halves)
    except NoAccount as problem:
        raise Unfulfillable(str(problem)) from None
    except CodeRefused as problem:
        if problem.code == "not_now":
            raise
        raise Unfulfillable(str(problem)) from None
    if code.request != request.id:
        # It was opened before, and another one since.
        return {"realm": realm, "state": "over"}
    if code.recognised_by not in ("", digest(halves)):
        # Somebody who manages accounts was faster, and knows the halves of theirs.
        accounts.withdraw(request.subject, request.id)
        raise Unfulfillable("another code was opened in its name, and is closed now; ask again")
    return {"realm": realm, "state": code.state, "ends": code.ends.isoformat()}


def take_back(hand: Hand, record: Record) -> None:
    """Close the code of a request, if it is open. Raises NoAccount and KeycloakProblem."""
    realm = realm_name(hand.document, record.request.environments[0])
    Accounts(hand.session.connection, realm).withdraw(record.request.subject, record.request.id)


def _halves(record: Record) -> tuple[Verifier, Verifier]:
    try:
        own = own_half(record)
    except ValidationError:
        raise Unfulfillable("the request carries no half of a code; ask with `admin-sync mfa-bypass request`") from None
    handed = handed_half(record)
    if handed is None:
        raise Unfulfillable("nobody of security handed a half over; approve with `admin-sync mfa-bypass approve`")
    if handed == own:
        raise Unfulfillable("both halves are the same one")
    return own, handed
