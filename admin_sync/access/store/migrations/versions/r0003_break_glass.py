"""Openings of emergency accounts."""

from __future__ import annotations

from identity.revisions import run_script

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script("admin_sync.access.store.migrations", "0003_break_glass.sql")
