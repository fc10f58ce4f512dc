"""Removing an old salt of a partner, once nothing is sealed under it.

    python -m vault_api retire-salt PARTNER VERSION

Refused while the census counts a row under that version, while it is the current one, and until the newer
one has been in use for so long that no process can seal under the older one any more.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from identity.audit.event import AuditEvent
from vault_api.rotation.refused import CommandRefused
from vault_api.salts import SaltsMissing
from vault_api.settings import VaultSettings
from vault_api.vault import open_vault


def main(arguments: Sequence[str]) -> int:
    """Runs the command. Raises CommandRefused, StartRefused."""
    parser = argparse.ArgumentParser(prog="vault-api retire-salt", description="Removes a salt that seals nothing.")
    parser.add_argument("partner", help="the alias of the partner's organization")
    parser.add_argument("version", type=int, help="the version of the salt")
    options = parser.parse_args(arguments)
    asyncio.run(_retire(VaultSettings(), options.partner, options.version))
    sys.stdout.write(f"{options.partner}: salt {options.version} is removed; nothing was sealed under it\n")
    return 0


async def _retire(settings: VaultSettings, partner: str, version: int) -> None:
    async with open_vault(settings) as vault:
        if vault.rotator is None:
            raise CommandRefused("removing a salt needs the worker's settings, VAULT_ROTATOR_…")
        store, writer = vault.rotator.store, vault.rotator.salts
        try:
            current = (await writer.read(partner)).current
        except SaltsMissing as error:
            raise CommandRefused(f"{partner} has no current salt ({error.reason})") from None
        if version >= current:
            raise CommandRefused(f"salt {version} of {partner} is the current one or newer; rotate first")
        rows = {row["key_version"]: row for row in await store.census(partner)}
        held = rows[version]["held"] if version in rows else 0
        if held:
            raise CommandRefused(f"{held} rows of {partner} are sealed under salt {version}; rotate first")
        pinned = rows[current]["pinned_at"] if current in rows else datetime.now(UTC)
        wait = 2 * settings.key_seconds - (datetime.now(UTC) - pinned).total_seconds()
        if wait > 0:
            raise CommandRefused(f"a process may still seal under salt {version}; try again in {wait:.0f} s")
        await writer.remove(partner, version)
        await asyncio.sleep(settings.settle_seconds)
        if f"vault.salt.{version}" in await writer.names(partner):
            raise CommandRefused("somebody wrote an older copy of the organization back; run it again")
        await vault.trail.record(
            AuditEvent(
                event="key.retire",
                outcome="success",
                actor="service:vault-operator",
                partner=partner,
                action="secret:rotate",
                resource=f"partners/{partner}",
                key_version=version,
            )
        )
