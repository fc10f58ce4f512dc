"""Refreshing: claims, intents and what broke."""

from __future__ import annotations

from vault_api.store.migrations.script import run_script

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script("0005_refresh.sql")
