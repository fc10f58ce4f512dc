"""Certification campaigns."""

from __future__ import annotations

from admin_sync.access.store.migrations.script import run_script

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script("0002_campaigns.sql")
