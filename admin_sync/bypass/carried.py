"""How verifiers of a code travel: the person's half in the request, the handed half in an approval. Pure.

The request's half is under the hash that every approval names. The other is at the end of the comment of an approval
by somebody of security, who made that half on their own computer; whoever could change it in the database would have
one half and need the person's as well. An approval by anybody else may carry one too, which counts for nothing.
"""

from __future__ import annotations

import re
from typing import Final

from admin_sync.access.request import Record
from admin_sync.bypass.code import Verifier

HANDING: Final = "security"
"""The capacity in which a half is handed over."""

_MARK: Final = re.compile(r"(?:^|\s)handed-half=([0-9a-f]{32}):([0-9a-f]{64})\Z")


def comment(said: str | None, handed: Verifier) -> str:
    """What an approver says, with the verifier of the half that they hand over."""
    return f"{said or ''} handed-half={handed.salt}:{handed.hash}".strip()


def own_half(record: Record) -> Verifier:
    """The verifier of the person's half. Raises ValueError (pydantic's ValidationError) for a request without one."""
    return Verifier.model_validate(record.request.payload.get("half"))


def marked(said: str | None) -> Verifier | None:
    """The verifier that an approver's comment carries, if it does."""
    found = _MARK.search(said or "")
    return Verifier(salt=found[1], hash=found[2]) if found else None


def handed_half(record: Record) -> Verifier | None:
    """The verifier of the half that the latest approval by security handed over; None if none did."""
    for approval in sorted(record.approvals, key=lambda one: one.at, reverse=True):
        half = marked(approval.comment)
        if approval.capacity == HANDING and approval.hash == record.request.hash and half is not None:
            return half
    return None
