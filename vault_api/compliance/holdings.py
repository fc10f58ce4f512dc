"""The worker's task that says, as metrics, how old what the vault holds is: broker tokens, and partners' keys."""

from __future__ import annotations

from datetime import timedelta

from vault_api.metrics import Metrics
from vault_api.store.database import Database


class MeasureHoldings:
    """`allowed` is how old the newest version of a partner's key may be before its rotation is overdue."""

    name = "holdings"
    every = 60.0

    def __init__(self, database: Database, metrics: Metrics, *, allowed: timedelta) -> None:
        self._database = database
        self._metrics = metrics
        self._allowed = allowed

    async def run_once(self) -> None:
        """Raises DatabaseUnavailable."""
        row = await self._database.row("SELECT * FROM vault.holdings($1)", self._allowed)
        self._metrics.held(
            {
                "credentials": row["credentials"],
                "credentials_expired": row["expired"],
                "credential_age_seconds_oldest": row["oldest_seconds"],
                "credential_age_seconds_mean": row["mean_seconds"],
                "keys": row["keys"],
                "keys_overdue": row["keys_overdue"],
                "key_age_seconds_oldest": row["oldest_key_seconds"],
                "key_rotation_seconds": self._allowed.total_seconds(),
            }
        )
