"""Requests, approvals, and the trail."""

from __future__ import annotations

from admin_sync.access.store.migrations.script import run_script

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script("0001_requests.sql")
