"""Refreshing, for now without brokers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from vault_api.store.database import Database


class PutOff:
    """Refreshes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def freshen(self, partner: str, connection: str, version: int) -> None:
        """Puts it off."""
        del version
        await self._database.rows(
            "SELECT vault.put_off_refresh($1, $2, $3)", partner, connection, datetime.now(UTC) + timedelta(seconds=5)
        )
