"""Refreshing: claims, intents and what broke."""

from __future__ import annotations

from identity.revisions import run_script

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script("vault_api.store.migrations", "0005_refresh.sql")
