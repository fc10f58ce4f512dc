"""Walking over every sealed row of partners and saying whether it opens. Nothing is changed and nothing shown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from vault_api.keyring import KeyContextMismatch, Keyring
from vault_api.rotation.reseal import reseal
from vault_api.rotation.sealed import SEALED
from vault_api.rotation.store import RotationStore
from vault_api.sealing.keys import PartnerKey

_PAGE = 500


@dataclass(slots=True)
class PartnerProof:
    """How many of a partner's rows open, and why keys are missing, by key version."""

    partner: str
    opened: int = 0
    failed: int = 0
    reasons: dict[int, str] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """This proof as JSON values."""
        facts = asdict(self)
        facts["reasons"] = {str(version): reason for version, reason in self.reasons.items()}
        return facts


async def prove(
    store: RotationStore, keyring: Keyring, partners: Sequence[str], tell: Callable[[PartnerProof], None]
) -> Sequence[PartnerProof]:
    """Tries every row of the partners; `tell` is called after each partner.

    Raises KeyUnavailable when a holder does not answer, DatabaseUnavailable.
    """
    proofs = []
    for partner in partners:
        proof = PartnerProof(partner)
        for table in SEALED:
            after: tuple[object, ...] | None = None
            while rows := await store.page(partner, table, 0, after, _PAGE):
                after = tuple(rows[-1][key] for key in table.keys)
                keys = await _keys(keyring, partner, {int(row["key_version"]) for row in rows}, proof)
                page = await asyncio.to_thread(reseal, table, partner, rows, keys, None)
                proof.opened += page.opened
                proof.failed += len(page.failed)
        proofs.append(proof)
        tell(proof)
    return proofs


async def _keys(keyring: Keyring, partner: str, versions: set[int], proof: PartnerProof) -> dict[int, PartnerKey]:
    keys: dict[int, PartnerKey] = {}
    for version in versions:
        try:
            keys[version] = await keyring.key(partner, version)
        except KeyContextMismatch as error:
            proof.reasons[version] = error.reason
    return keys
