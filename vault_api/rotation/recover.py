"""Disaster recovery: do a restored database, an export of the salts and the root key fit together?

    python -m vault_api recover --salts realm.json [--partner ALIAS …]

It needs the database that the dump was restored into (VAULT_DATABASE_…), the KMS (VAULT_KMS…) and the export,
and none of Keycloak, OPA or a running vault. It opens every sealed row, shows nothing of what it
opened, changes nothing, and says on stdout, as JSON, how many rows opened. See docs/disaster_recovery.md.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import orjson

from identity.secret import read_secret
from vault_api.keyring import Keyring, KeyUnavailable
from vault_api.kms import KmsSettings, KmsUnavailable, provider, self_test
from vault_api.rotation.export import ExportedSalts, ExportUnreadable
from vault_api.rotation.proof import PartnerProof, prove
from vault_api.rotation.refused import CommandRefused
from vault_api.rotation.store import RotationStore
from vault_api.settings import RecoverySettings
from vault_api.store.database import Database
from vault_api.store.repository import KeyContext, Repository


class _Pins:
    """The pins as they are. A key that was never pinned sealed nothing, and looking pins it not."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    async def key_contexts(self, partner: str) -> dict[int, KeyContext]:
        return await self._repository.key_contexts(partner)

    async def pin_key(self, partner: str, key_version: int, context: KeyContext) -> KeyContext:
        del partner, key_version
        return context


def main(arguments: Sequence[str]) -> int:
    """Runs the command: 0 when every row opened, 1 when one did not. Raises CommandRefused, KmsRefused."""
    parser = argparse.ArgumentParser(prog="vault-api recover", description="Proves that the holders fit.")
    parser.add_argument("--salts", type=Path, required=True, help="the realm's export, or its organizations, as JSON")
    parser.add_argument("--partner", action="append", help="only this partner; may be repeated")
    options = parser.parse_args(arguments)
    try:
        return asyncio.run(_recover(ExportedSalts.from_file(options.salts), options.partner))
    except (ExportUnreadable, KeyUnavailable) as error:
        raise CommandRefused(str(error)) from None
    except KmsUnavailable as error:
        raise CommandRefused(f"the KMS does not answer: {error}") from None


async def _recover(salts: ExportedSalts, only: Sequence[str] | None) -> int:
    settings, kms_settings = RecoverySettings(), KmsSettings()
    password = read_secret(settings.database_password_file, name="VAULT_DATABASE_PASSWORD_FILE").text()
    async with AsyncExitStack() as stack:
        kms = provider(kms_settings)
        stack.push_async_callback(kms.close)
        await self_test(kms)
        pool = await asyncpg.create_pool(settings.database_url, password=password, min_size=1, max_size=2, timeout=5.0)
        stack.push_async_callback(pool.close)
        store = RotationStore(pool)
        pins = _Pins(Repository(Database(pool, statement_seconds=30.0, acquire_seconds=5.0)))
        keyring = Keyring(kms, salts, pins, max_age=3600.0)
        known = sorted({str(row["partner"]) for row in await store.census()})
        if missing := sorted(set(only or ()) - set(known)):
            raise CommandRefused(f"the database keeps nothing for {', '.join(missing)}")
        proofs = await prove(store, keyring, only or known, _progress)
    opened, failed = sum(proof.opened for proof in proofs), sum(proof.failed for proof in proofs)
    report = {"opened": opened, "failed": failed, "partners": [proof.facts() for proof in proofs]}
    sys.stdout.write(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode() + "\n")
    return 0 if failed == 0 else 1


def _progress(proof: PartnerProof) -> None:
    sys.stderr.write(f"{proof.partner}: {proof.opened} open, {proof.failed} do not\n")
