"""Invitations to a partner, and who gave whom which role."""

from __future__ import annotations

from identity.revisions import run_script

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script("vault_api.store.migrations", "0013_members.sql")
