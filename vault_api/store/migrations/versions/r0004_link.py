"""Linking a broker: attempts, approvals and the state of a connection."""

from __future__ import annotations

from vault_api.store.migrations.script import run_script

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script("0004_link.sql")
