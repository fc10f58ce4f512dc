"""Proves that both tables hold the same: every row of both is opened, and tokens and facts are compared."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from vault_api.keyring import KeyContextMismatch, Keyring
from vault_api.legacy.format import LegacyKey, LegacyTokens, LegacyUnreadable
from vault_api.legacy.repository import LegacyRepository, Pair
from vault_api.sealing.envelope import Place, SealError, open_sealed
from vault_api.tokens import AccessToken, RefreshToken

_PAGE = 200
_NAMED = 20


@dataclass(slots=True)
class Report:
    """How many connections are where. `examples` names some that are not equal, and never what they hold."""

    equal: int = 0
    legacy_only: int = 0
    legacy_newer: int = 0
    present_only: int = 0
    present_newer: int = 0
    differ: int = 0
    unreadable: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether the present table alone would serve everything that is stored."""
        return not (self.legacy_only or self.legacy_newer or self.differ or self.unreadable)

    def document(self) -> dict[str, object]:
        """As JSON."""
        return {**asdict(self), "complete": self.complete}


async def compare(rows: LegacyRepository, keyring: Keyring, key: LegacyKey) -> Report:
    """Opens and compares everything. Raises DatabaseUnavailable, KeyUnavailable."""
    report = Report()
    for partner in await rows.partners():
        after: str | None = None
        while pairs := await rows.pairs(partner, after=after, limit=_PAGE):
            for pair in pairs:
                verdict = await _verdict(partner, pair, keyring, key)
                setattr(report, verdict, getattr(report, verdict) + 1)
                if verdict not in ("equal", "present_only", "present_newer") and len(report.examples) < _NAMED:
                    report.examples.append(f"{partner}/{pair.connection}: {verdict}")
            after = pairs[-1].connection
    return report


async def _verdict(partner: str, pair: Pair, keyring: Keyring, key: LegacyKey) -> str:
    if pair.present == 0:
        return "legacy_only"
    if pair.legacy == 0:
        return "present_only"
    if pair.legacy != pair.present:
        return "legacy_newer" if pair.legacy > pair.present else "present_newer"
    if pair.access_sealed is None or pair.key_version is None or pair.payload is None:
        # Revoked: the value is wiped, and the connection gives out nothing in any phase.
        return "present_newer"
    try:
        earlier = key.open(pair.payload)
        present = await _opened(partner, pair, keyring)
    except (LegacyUnreadable, SealError, KeyContextMismatch):
        return "unreadable"
    return "equal" if earlier == present and pair.same_facts else "differ"


async def _opened(partner: str, pair: Pair, keyring: Keyring) -> LegacyTokens:
    partner_key = await keyring.key(partner, pair.key_version or 0)

    def opened(kind: str, value: bytes) -> bytes:
        return open_sealed(partner_key, Place(partner, pair.connection, kind, pair.present), value)

    return LegacyTokens(
        access=AccessToken(opened(AccessToken.kind, pair.access_sealed or b"")),
        refresh=None if pair.refresh_sealed is None else RefreshToken(opened(RefreshToken.kind, pair.refresh_sealed)),
    )
