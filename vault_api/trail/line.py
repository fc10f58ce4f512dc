"""An audit line in pieces, because its last members are only known inside the transaction.

PostgreSQL knows the sequence number, the previous hash, the time, what came of the request and under
which key; it cannot write RFC 8785 JSON. So the line is written here, in canonical form with marks in
those places, and cut at the marks. `vault.append_audit` puts the values between the pieces and hashes
the result, which is byte for byte the line that `identity.audit.chain.link` would hash.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import orjson

from identity.audit.event import AuditEvent

SOURCE = "vault-api"

_MARK = secrets.token_hex(16)
"""Random for each process: no caller can put one into a field."""

_HASH = f'"hash":"{_MARK}hash",'
_CUTS = (
    _HASH,
    f'"{_MARK}key_version"',
    f"{_MARK}outcome",
    f"{_MARK}prev",
    f'"{_MARK}reason"',
    f'"{_MARK}seq"',
    f"{_MARK}time",
)


def pieces(event: AuditEvent, *, node: str) -> Sequence[str]:
    """The eight pieces of the event's line; `outcome`, `reason` and `key_version` of the event do not count.

    All names and text are such that orjson's sorted output is RFC 8785 (ASCII names, no floats, no
    number beyond 2**53); a test holds it against `identity.audit.chain.canonical`.
    """
    record = {
        **event.record(),
        "node": node,
        "source": SOURCE,
        "hash": f"{_MARK}hash",
        "key_version": f"{_MARK}key_version",
        "outcome": f"{_MARK}outcome",
        "prev": f"{_MARK}prev",
        "reason": f"{_MARK}reason",
        "seq": f"{_MARK}seq",
        "time": f"{_MARK}time",
    }
    rest = orjson.dumps(record, option=orjson.OPT_SORT_KEYS).decode()
    cut: list[str] = []
    for mark in _CUTS:
        piece, found, rest = rest.partition(mark)
        if not found:
            raise ValueError("a member of the audit line is missing or out of order")
        cut.append(piece)
    return [*cut, rest]
