"""Linking a broker: attempts, approvals and the state of a connection."""

from __future__ import annotations

from identity.revisions import run_script

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script("vault_api.store.migrations", "0004_link.sql")
