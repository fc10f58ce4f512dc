"""`python -m vault_api migrate`: brings the schema `vault` to the revision that this code needs."""

from __future__ import annotations

from typing import Final

from identity import revisions

_PACKAGE: Final = "vault_api.store"


async def migrate(url: str, password: str) -> str:
    """Runs every missing revision as the schema's owner and returns the revision that is in force now.

    `url` is a `postgresql://` address without a password. Safe to repeat.
    """
    return await revisions.upgrade(url, password, package=_PACKAGE, schema="vault")


def needed_revision() -> str:
    """The revision this code was written for."""
    return revisions.head(_PACKAGE)
