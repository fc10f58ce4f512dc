"""The move between formats put together; `vault_api/vault.py` calls it once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vault_api.legacy.format import LegacyKey
from vault_api.legacy.phase import Phases
from vault_api.legacy.repository import LegacyRepository
from vault_api.store.database import Database


@dataclass(frozen=True, slots=True)
class Legacy:
    """What knows both formats."""

    rows: LegacyRepository
    phases: Phases
    key: LegacyKey


def open_legacy(path: Path | None, database: Database, *, appended: Callable[[str], None]) -> Legacy | None:
    """None without a key: then there is one format. Raises SecretUnreadable."""
    if path is None:
        return None
    return Legacy(LegacyRepository(database, appended=appended), Phases(database), LegacyKey.read(path))
