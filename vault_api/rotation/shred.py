"""Crypto-shredding a partner: its salts go, and with them whatever they sealed, in every copy and backup.

    python -m vault_api shred PARTNER --confirm PARTNER [--report FILE]

Runs where a worker runs, with its settings. It removes the salts in Keycloak, looks again after a while
whether somebody's older copy brought them back, waits until no process can have a key in memory any more,
tries to open every row with what is left, and writes a signed report of that. It can be repeated: a
partner whose organization is gone already gets the same proof.

What it cannot reach are backups of Keycloak: a copy of the salts there, together with a copy of the
database and the root key, still opens the rows. The report says so. Rows of the earlier format
(docs/decisions/0024) are under no salt; they are overwritten, and their backups are named as well.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import rfc8785

from identity.audit.event import AuditEvent
from vault_api.rotation.compose import Rotator
from vault_api.rotation.proof import PartnerProof, prove
from vault_api.rotation.refused import CommandRefused
from vault_api.salts import SaltsMissing
from vault_api.settings import VaultSettings
from vault_api.vault import Vault, open_vault

_ATTEMPTS = 3


def main(arguments: Sequence[str]) -> int:
    """Runs the command: 0 when no row opens any more. Raises CommandRefused, StartRefused."""
    parser = argparse.ArgumentParser(prog="vault-api shred", description="Destroys what is sealed for a partner.")
    parser.add_argument("partner", help="the alias of the partner's organization")
    parser.add_argument("--confirm", metavar="ALIAS", default="", help="the alias once more; there is no way back")
    parser.add_argument("--report", type=Path, help="where to write the signed report; stdout otherwise")
    options = parser.parse_args(arguments)
    if options.confirm != options.partner:
        raise CommandRefused(
            f"this destroys every credential of {options.partner} for good; if that is meant, "
            f"add --confirm {options.partner}"
        )
    report = asyncio.run(_shred(VaultSettings(), options.partner))
    text = rfc8785.dumps(report).decode() + "\n"
    if options.report is None:
        sys.stdout.write(text)
    else:
        options.report.write_text(text)
    return 0


async def _shred(settings: VaultSettings, partner: str) -> dict[str, Any]:
    async with open_vault(settings) as vault:
        rotator = vault.rotator
        if rotator is None:
            raise CommandRefused("shredding needs the worker's settings, VAULT_ROTATOR_…")
        rows = sum(row["held"] for row in await rotator.store.census(partner))
        await _record(vault, partner, "begun")
        removed = await _remove(settings, rotator, partner)
        _say(f"{partner}: salts removed; waiting {settings.key_seconds:g} s until no process has a key in memory")
        await asyncio.sleep(settings.key_seconds)
        # Whoever read the organization before us and wrote it after us would have brought them back.
        removed |= await _remove(settings, rotator, partner)
        vault.keyring.forget(partner)
        proof = (await prove(rotator.store, vault.keyring, [partner], _tell))[0]
        if proof.opened:
            await _record(vault, partner, f"not_proven:{proof.opened}", outcome="failure")
            raise CommandRefused(f"{proof.opened} rows still open; see that nobody writes salts and run it again")
        earlier = int((await vault.database.row("SELECT vault.shred_partner($1) AS held", partner))["held"])
        report = _report(vault, partner, rows, proof, removed, earlier=earlier)
        await _record(vault, partner, f"shredded:{proof.failed}")
        return report


async def _remove(settings: VaultSettings, rotator: Rotator, partner: str) -> set[str]:
    """Removes the salts until they stay away. Answers the names of those that were there."""
    removed: set[str] = set()
    for _ in range(_ATTEMPTS):
        try:
            names = await rotator.salts.names(partner)
        except SaltsMissing:
            return removed  # The organization itself is gone, and the salts with it.
        if not names:
            return removed
        removed |= set(names)
        await rotator.salts.remove_all(partner)
        await asyncio.sleep(settings.settle_seconds)
    if await rotator.salts.names(partner):
        raise CommandRefused(f"somebody writes {partner}'s salts back; stop that and run it again")
    return removed


def _report(
    vault: Vault, partner: str, rows: int, proof: PartnerProof, removed: set[str], *, earlier: int
) -> dict[str, Any]:
    left = "backups of Keycloak from before this moment hold the salts; let them expire or destroy them"
    if earlier:
        left += (
            "; rows of the earlier format are under no salt: they were overwritten here, and backups of the database "
            "hold them for whoever has the earlier format's key"
        )
    facts: dict[str, Any] = {
        "partner": partner,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "node": vault.settings.node,
        "salts_removed": sorted(removed - {"vault.salt.current"}),
        "rows": rows,
        "rows_that_open": proof.opened,
        "rows_that_do_not": proof.failed,
        "rows_of_the_earlier_format_overwritten": earlier,
        "key_versions": {str(version): reason for version, reason in sorted(proof.reasons.items())},
        "still_to_do": left,
    }
    key = vault.settings.audit_checkpoint_key()
    if key is None:
        return {**facts, "signature": None}
    signature = base64.b64encode(key.sign(rfc8785.dumps(facts))).decode()
    return {**facts, "signature": {"algorithm": "Ed25519", "value": signature}}


async def _record(vault: Vault, partner: str, reason: str, *, outcome: str = "success") -> None:
    await vault.trail.record(
        AuditEvent(
            event="partner.shred",
            outcome=outcome,
            actor="service:vault-operator",
            partner=partner,
            action="secret:rotate",
            resource=f"partners/{partner}",
            reason=reason,
        )
    )


def _tell(proof: PartnerProof) -> None:
    _say(f"{proof.partner}: {proof.failed} rows do not open, {proof.opened} do")


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
