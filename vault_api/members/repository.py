"""Invitations and notes about members in PostgreSQL: one function of the schema `vault`, one transaction each.

All of them raise `DatabaseUnavailable`, after which nothing may be assumed to have been recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from vault_api.store.database import Database
from vault_api.store.repository import Line

LASTS: Final = timedelta(days=7)
"""How long an invitation is open."""

MOST_OPEN: Final = 100
MOST_WRONG: Final = 10
"""Wrong codes after which an invitation is locked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationRow:
    """An invitation that is open, or locked."""

    invitation: str
    email: str
    role: str
    until: datetime | None
    invited_by_name: str
    invited_at: datetime
    expires_at: datetime
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What taking an invitation up came to; the rest is there only for `accepted`."""

    outcome: str
    email: str | None
    role: str | None
    until: datetime | None
    invited_by: str | None
    invited_by_name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Who gave a role, and when."""

    given_by_name: str
    given_at: datetime


class MemberRepository:
    """`appended` is told the chain of every line that was committed here."""

    def __init__(self, database: Database, *, appended: Callable[[str], None]) -> None:
        self._database = database
        self._appended = appended

    async def invite(  # noqa: PLR0917 - a row
        self,
        partner: str,
        invitation: str,
        email: str,
        role: str,
        until: datetime | None,
        digest: bytes,
        by: tuple[str, str],
        line: Line,
    ) -> str:
        """`invited`, `already` or `too_many`."""
        found = await self._database.row(
            "SELECT vault.invite($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) AS outcome",
            partner, invitation, email, role, until, digest, *by, LASTS, MOST_OPEN, line,
        )  # fmt: skip
        self._appended(partner)
        return str(found["outcome"])

    async def invitations(self, partner: str) -> Sequence[InvitationRow]:
        """Those that nobody took up, the newest first."""
        return [
            InvitationRow(**row) for row in await self._database.rows("SELECT * FROM vault.invitations($1)", partner)
        ]

    async def take(self, partner: str, invitation: str, digest: bytes, email: str | None, line: Line) -> Taken:
        """Takes an invitation up; `email` is who is logged in."""
        found = await self._database.row(
            "SELECT * FROM vault.invitation_take($1, $2, $3, $4, $5, $6)",
            partner, invitation, digest, email, MOST_WRONG, line,
        )  # fmt: skip
        self._appended(partner)
        return Taken(**found)

    async def give_back(self, partner: str, invitation: str, reason: str, line: Line) -> None:
        """Opens it again: what it was for did not happen."""
        await self._database.row("SELECT vault.invitation_return($1, $2, $3, $4)", partner, invitation, reason, line)
        self._appended(partner)

    async def withdraw(self, partner: str, invitation: str, line: Line) -> bool:
        """Whether there was one to withdraw."""
        found = await self._database.row(
            "SELECT vault.invitation_withdraw($1, $2, $3) AS done", partner, invitation, line
        )
        self._appended(partner)
        return bool(found["done"])

    async def given(  # noqa: PLR0917 - a row
        self, partner: str, account: str, role: str, email: str, until: datetime | None, by: tuple[str, str], line: Line
    ) -> None:
        """Notes who gives a role, and the line."""
        await self._database.row(
            "SELECT vault.member_given($1, $2, $3, $4, $5, $6, $7, $8)",
            partner, account, role, email, until, *by, line,
        )  # fmt: skip
        self._appended(partner)

    async def forget(self, partner: str, account: str, role: str | None) -> None:
        """Notes that a role is held no more, so that a later one is not taken for it."""
        await self._database.row("SELECT vault.member_over($1, $2, $3)", partner, account, role)

    async def notes(self, partner: str) -> Mapping[tuple[str, str], Note]:
        """Who gave what, by account and role."""
        rows = await self._database.rows("SELECT * FROM vault.member_roles($1)", partner)
        return {
            (row["account"], row["role"]): Note(given_by_name=row["given_by_name"], given_at=row["given_at"])
            for row in rows
        }
