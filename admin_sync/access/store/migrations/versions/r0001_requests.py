"""Requests, approvals, and the trail."""

from __future__ import annotations

from identity.revisions import run_script

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script("admin_sync.access.store.migrations", "0001_requests.sql")
