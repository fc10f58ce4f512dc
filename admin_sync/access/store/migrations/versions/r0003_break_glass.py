"""Openings of emergency accounts."""

from __future__ import annotations

from admin_sync.access.store.migrations.script import run_script

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script("0003_break_glass.sql")
