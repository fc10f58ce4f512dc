"""What a review of linking, refreshing, leases and the move between row formats found."""

from __future__ import annotations

from identity.revisions import run_script

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script("vault_api.store.migrations", "0010_corrections.sql")
