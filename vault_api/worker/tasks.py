"""The tasks of this vault. Whoever adds one builds it here from the vault's parts."""

from __future__ import annotations

from collections.abc import Sequence

from vault_api.vault import Vault
from vault_api.worker.task import Task


def tasks_of(vault: Vault) -> Sequence[Task]:
    """Every task, ready to run."""
    return (vault.leases.keeper,)
