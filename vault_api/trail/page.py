"""Reading a partner's own trail: the lines as they were hashed, and whether they still say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from identity.audit.chain import GENESIS, head_of, link
from identity.audit.errors import AuditUnavailable
from vault_api.gate import Admitted
from vault_api.store.database import DatabaseUnavailable
from vault_api.store.repository import AuditPage, Repository
from vault_api.trail.record import Trail
from vault_api.trail.schemas import AuditEvents, Chain


@dataclass(frozen=True, slots=True)
class Checked:
    """The records of a page and the first sequence number that does not fit, None if all do."""

    records: Sequence[dict[str, object]]
    first_bad_seq: int | None


async def read_page(repository: Repository, trail: Trail, admitted: Admitted, *, after: int, limit: int) -> AuditEvents:
    """A page of the partner's chain behind sequence number `after`. Raises AuditUnavailable."""
    try:
        page = await repository.audit(
            admitted.partner, after=after, limit=limit, line=trail.line(admitted.event("success"))
        )
    except DatabaseUnavailable:
        raise AuditUnavailable("the reading could not be recorded") from None
    checked = check(page, after=after)
    last = after + len(page.lines)
    return AuditEvents(
        events=tuple(checked.records),
        next=last if page.lines and last < page.head_seq else None,
        chain=Chain(
            head_seq=page.head_seq,
            head_hash=page.head_hash,
            shipped_seq=page.shipped_seq,
            prev=page.prev or GENESIS,
            intact=checked.first_bad_seq is None,
            first_bad_seq=checked.first_bad_seq,
        ),
    )


def check(page: AuditPage, *, after: int) -> Checked:
    """Recomputes every hash of a page and the links between its lines."""
    records = [orjson.loads(line) for line in page.lines]
    prev, first_bad = page.prev or GENESIS, None
    if after > 0 and page.prev is None and records:
        first_bad = after  # The line that this page should follow is not there.
    for seq, record in enumerate(records, start=after + 1):
        try:
            sound = record["prev"] == prev and record["seq"] == seq and link(prev, record) == record["hash"]
            prev = head_of(record).hash
        except (KeyError, ValueError):
            sound = False
        if not sound and first_bad is None:
            first_bad = seq
    return Checked(records, first_bad)
