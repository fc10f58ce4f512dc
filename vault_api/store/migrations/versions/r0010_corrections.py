"""What a review of linking, refreshing, leases and the move between row formats found."""

from __future__ import annotations

from vault_api.store.migrations.script import run_script

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script("0010_corrections.sql")
