"""The realm in which an approval was given."""

from __future__ import annotations

from identity.revisions import run_script

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script("admin_sync.access.store.migrations", "0004_realm_of_approvals.sql")
