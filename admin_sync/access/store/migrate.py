"""`python -m admin_sync.access migrate`: brings the schema `access` to the revision that this code needs."""

from __future__ import annotations

from typing import Final

from identity import revisions

_PACKAGE: Final = "admin_sync.access.store"


async def migrate(url: str, password: str) -> str:
    """Runs every missing revision as the schema's owner and returns the revision that is in force now.

    `url` is a `postgresql://` address without a password. Safe to repeat.
    """
    return await revisions.upgrade(url, password, package=_PACKAGE, schema="access")


def needed_revision() -> str:
    """The revision this code was written for."""
    return revisions.head(_PACKAGE)
