"""Removing an old salt of a partner, or an old root key, once nothing is sealed under it.

    python -m vault_api retire-salt PARTNER VERSION
    python -m vault_api retire-root VERSION

Refused while the census counts a row under that version, while it is the current one, and until the newer
one has been in use for so long that no process can seal under the older one any more.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import asyncpg

from identity.audit.event import AuditEvent
from identity.secret import read_secret
from vault_api.kms import KmsSettings, KmsUnavailable, provider
from vault_api.rotation.refused import CommandRefused
from vault_api.rotation.store import RotationStore
from vault_api.salts import SaltsMissing
from vault_api.settings import RecoverySettings, VaultSettings
from vault_api.vault import open_vault


def root(arguments: Sequence[str]) -> int:
    """`retire-root`: removes an older version of the root key. Raises CommandRefused, KmsRefused."""
    parser = argparse.ArgumentParser(prog="vault-api retire-root", description="Removes a root key that seals nothing.")
    parser.add_argument("version", type=int, help="the version of the root key")
    options = parser.parse_args(arguments)
    try:
        asyncio.run(_retire_root(options.version))
    except KmsUnavailable as error:
        raise CommandRefused(f"the KMS does not answer: {error}") from None
    sys.stdout.write(f"root key version {options.version} is removed; nothing was sealed under it\n")
    return 0


async def _retire_root(version: int) -> None:
    settings, kms = RecoverySettings(), provider(KmsSettings())
    password = read_secret(settings.database_password_file, name="VAULT_DATABASE_PASSWORD_FILE").text()
    pool = await asyncpg.create_pool(settings.database_url, password=password, min_size=1, max_size=1, timeout=5.0)
    try:
        gone = {row[0] for row in await pool.fetch("SELECT partner FROM vault.partner WHERE shredded_at IS NOT NULL")}
        # What was shredded opens under no root key, and is moved to none.
        rows = [row for row in await RotationStore(pool).census() if row["partner"] not in gone]
        held = sum(row["held"] for row in rows if row["root_version"] == version)
        newest = {row["partner"]: row["root_version"] for row in rows}
        # In the order of key versions, so the last one of a partner is what it seals under.
        behind = sorted(partner for partner, root in newest.items() if root <= version)
        # These are no partner's, so the census does not know them; a new sealing takes the newest root key.
        emergency = await pool.fetchval("SELECT count(*) FROM vault.break_glass WHERE root_version = $1", version)
        if emergency:
            raise CommandRefused(
                f"{emergency} emergency credentials are sealed under root key version {version}; seal them anew with "
                "`admin-sync break-glass seal` first"
            )
        if held or behind:
            raise CommandRefused(
                f"{held} rows are sealed under root key version {version}, and {len(behind)} partners still seal under "
                "it or an older one; rotate with kind `root` first"
            )
        await kms.remove_version(version)
    finally:
        await pool.close()
        await kms.close()


def main(arguments: Sequence[str]) -> int:
    """Runs the command. Raises CommandRefused, StartRefused."""
    parser = argparse.ArgumentParser(prog="vault-api retire-salt", description="Removes a salt that seals nothing.")
    parser.add_argument("partner", help="the alias of the partner's organization")
    parser.add_argument("version", type=int, help="the version of the salt")
    options = parser.parse_args(arguments)
    asyncio.run(_retire(VaultSettings(), options.partner, options.version))
    sys.stdout.write(f"{options.partner}: salt {options.version} is removed; nothing was sealed under it\n")
    return 0


async def _unused(store: RotationStore, partner: str, version: int, current: int) -> datetime | None:
    """When the current key was pinned, if nothing is sealed under that version. Raises CommandRefused."""
    rows = {row["key_version"]: row for row in await store.census(partner)}
    if version in rows and rows[version]["held"]:
        raise CommandRefused(f"{rows[version]['held']} rows of {partner} are sealed under salt {version}; rotate first")
    return rows[current]["pinned_at"] if current in rows else None


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
        pinned = await _unused(store, partner, version, current)
        wait = 2 * settings.key_seconds - (datetime.now(UTC) - (pinned or datetime.now(UTC))).total_seconds()
        if wait > 0:
            raise CommandRefused(f"a process may still seal under salt {version}; try again in {wait:.0f} s")
        # A key may be pinned long before its salt becomes the current one, when a rotation was held up in between. Only
        # what was seen here and now says from when on nobody can come to use the older one.
        sys.stderr.write(
            f"{partner}: waiting {settings.key_seconds:g} s until no process has the older key in memory\n"
        )
        await asyncio.sleep(settings.key_seconds)
        await _unused(store, partner, version, current)
        try:
            await writer.remove(partner, version)
        except SaltsMissing as error:
            raise CommandRefused(f"the salts of {partner} changed meanwhile ({error.reason}); run it again") from None
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
