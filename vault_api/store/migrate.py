"""`python -m vault_api migrate`: brings the schema `vault` to the revision that this code needs."""

from __future__ import annotations

from typing import Final

from identity.schema_head import head

_PACKAGE: Final = "vault_api.store"


async def migrate(url: str, password: str) -> str:
    """Runs every missing revision as the schema's owner and returns the revision that is in force now.

    `url` is a `postgresql://` address without a password. Safe to repeat.
    """
    # Every process of the service imports this module, and almost none migrates.
    from identity.revisions import upgrade  # noqa: PLC0415

    return await upgrade(url, password, package=_PACKAGE, schema="vault")


def needed_revision() -> str:
    """The revision this code was written for."""
    return head(_PACKAGE)
