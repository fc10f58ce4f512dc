"""Brings the present table up to the earlier one. It may be stopped, repeated and run beside writers.

Each row is written only if neither table has moved on since it was read, so a store in between is never
overwritten; what was missed is found by the next run, and by the report.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vault_api.keyring import Keyring
from vault_api.legacy.format import LegacyKey, LegacyTokens, LegacyUnreadable
from vault_api.legacy.repository import LegacyRepository, Pair
from vault_api.sealing.envelope import Place, seal
from vault_api.sealing.keys import PartnerKey
from vault_api.tokens import AccessToken, RefreshToken

_PAGE = 200


@dataclass(slots=True)
class Filled:
    """What a back-fill came to so far."""

    looked_at: int = 0
    written: int = 0
    moved: int = 0
    """Somebody stored in between; the next run looks again."""
    unreadable: int = 0


async def backfill(
    rows: LegacyRepository, keyring: Keyring, key: LegacyKey, *, observe: Callable[[str, Filled], None]
) -> Filled:
    """Goes over all partners; `observe` is told after every page. Raises DatabaseUnavailable, KeyUnavailable,
    KeyContextMismatch; what was written by then stays.
    """
    filled = Filled()
    for partner in await rows.partners():
        after: str | None = None
        while pairs := await rows.pairs(partner, after=after, limit=_PAGE):
            for pair in pairs:
                filled.looked_at += 1
                if pair.legacy > pair.present and pair.payload is not None:
                    await _fill(rows, (await keyring.keys(partner)).current(), key, pair, filled)
            after = pairs[-1].connection
            observe(partner, filled)
    return filled


async def _fill(rows: LegacyRepository, current: PartnerKey, key: LegacyKey, pair: Pair, filled: Filled) -> None:
    try:
        tokens = key.open(pair.payload or b"")
    except LegacyUnreadable:
        filled.unreadable += 1
        return
    access, refresh = sealed_as(current, pair, tokens)
    if await rows.fill(current.partner, pair, key_version=current.version, access=access, refresh=refresh):
        filled.written += 1
    else:
        filled.moved += 1


def sealed_as(key: PartnerKey, pair: Pair, tokens: LegacyTokens) -> tuple[bytes, bytes | None]:
    """The tokens in the present format, as the version that the earlier row has."""

    def place(kind: str) -> Place:
        return Place(key.partner, pair.connection, kind, pair.legacy)

    access = seal(key, place(AccessToken.kind), tokens.access.reveal())
    if tokens.refresh is None:
        return access, None
    return access, seal(key, place(RefreshToken.kind), tokens.refresh.reveal())
