"""A row of the table becomes a `Record`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

import asyncpg

from admin_sync.access.request import Approval, Record, read_content
from admin_sync.access.state import State

COLUMNS: Final = "r.number, r.content, r.hash, r.state, r.changed_at, r.changed_by, r.reason, r.taken_at, r.result"
"""What a record is made of, of `access.request r`."""

APPROVALS: Final = (
    "SELECT number, person, by_email, account, capacity, hash, comment, acr, auth_time, session, given_at, realm "
    "FROM access.approval WHERE number = ANY ($1) ORDER BY number, given_at, person"
)
"""The approvals of some requests, in the order in which they were given."""


def record(row: asyncpg.Record, approvals: Iterable[asyncpg.Record] = ()) -> Record:
    """One request. Raises MalformedRequest for a text that is none, which no program of ours writes."""
    return Record(
        request=read_content(row["content"]),
        stored_hash=row["hash"],
        state=State(row["state"]),
        changed_at=row["changed_at"],
        changed_by=row["changed_by"],
        reason=row["reason"],
        approvals=tuple(approval(one) for one in approvals if one["number"] == row["number"]),
        taken_at=row["taken_at"],
        result=json.loads(row["result"]),
    )


def approval(row: asyncpg.Record) -> Approval:
    """One approval."""
    return Approval(
        person=row["person"],
        by=row["by_email"],
        account=row["account"],
        capacity=row["capacity"],
        hash=row["hash"],
        at=row["given_at"],
        acr=row["acr"],
        auth_time=row["auth_time"],
        session=row["session"],
        realm=row["realm"],
        comment=row["comment"],
    )
