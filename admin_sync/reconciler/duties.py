"""What the reconciler does besides grants: one line in a table for each.

A fulfilment is what an approved request of one kind brings about (`FULFILMENTS`); a duty is work that is due
now and then (`DUTIES`). Both may be interrupted at any instant and are then done again, so both have to be
idempotent: a fulfilment by the request's id, a duty by what it finds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from admin_sync.access.request import Record
from admin_sync.errors import AdminSyncError
from admin_sync.load.document import Document
from admin_sync.repository import Repository
from admin_sync.settings import Settings
from admin_sync.sync import Session
from identity.audit.log import AuditLog


class Unfulfillable(AdminSyncError):
    """A request can never take effect; the text says why, and is what the requester is told."""


@dataclass(frozen=True, slots=True)
class Hand:
    """What a fulfilment or a duty may use. `document` is the configuration in force, `now` the requests' time."""

    document: Document
    settings: Settings
    session: Session
    repository: Repository
    audit: AuditLog
    now: datetime
    environ: Mapping[str, str] = field(repr=False)
    note: Callable[[str], None] = field(default=lambda text: None)


Fulfilment = Callable[[Hand, Record], Mapping[str, Any]]
"""Bring a request about; the plain JSON that its requester may see. Called after the request was verified again.

Raises Unfulfillable where it can never be; any other AdminSyncError or KeycloakProblem means "try again"."""


@dataclass(frozen=True, slots=True)
class Duty:
    """Work that is due every so often. `work` returns when it wants to be called earlier than that, or None."""

    name: str
    every: timedelta
    work: Callable[[Hand], datetime | None]


def _open_emergency(hand: Hand, record: Record) -> Mapping[str, Any]:
    # Loaded when it is needed: these modules use what is defined here.
    from admin_sync.break_glass import opening  # noqa: PLC0415

    return opening.fulfil(hand, record)


def _open_bypass(hand: Hand, record: Record) -> Mapping[str, Any]:
    from admin_sync.bypass import fulfil  # noqa: PLC0415

    return fulfil.fulfil(hand, record)


def _withdraw_bypass(hand: Hand, record: Record) -> None:
    from admin_sync.bypass import fulfil  # noqa: PLC0415

    fulfil.take_back(hand, record)


def _close_emergencies(hand: Hand) -> datetime | None:
    from admin_sync.break_glass import closing  # noqa: PLC0415

    return closing.work(hand)


def _hold_codes_to_requests(hand: Hand) -> None:
    from admin_sync.bypass import watching  # noqa: PLC0415

    watching.work(hand)


def _rotate_secrets(hand: Hand) -> datetime | None:
    from admin_sync.service_secrets import duty  # noqa: PLC0415

    return duty.work(hand)


FULFILMENTS: Final[dict[str, Fulfilment]] = {"break_glass": _open_emergency, "mfa_bypass": _open_bypass}
"""By kind of request (`admin_sync/access/kinds.py`), for those that are no grant."""

RETRACTIONS: Final[dict[str, Callable[[Hand, Record], None]]] = {"mfa_bypass": _withdraw_bypass}
"""Takes back what a request brought about, where it is found cancelled afterwards. An emergency account needs none: its
opening was noted and ends by that, and no proof is signed for a request that is not fulfilled."""

DUTIES: Final[list[Duty]] = [
    Duty("break-glass", timedelta(seconds=30), _close_emergencies),
    Duty("emergency-codes", timedelta(seconds=60), _hold_codes_to_requests),
    Duty("service-secrets", timedelta(hours=1), _rotate_secrets),
]
"""Every duty; one that fails is tried again with the next turn and stops no other."""
