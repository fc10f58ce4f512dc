"""Custody of the credentials of emergency accounts."""

from __future__ import annotations

from identity.revisions import run_script

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script("vault_api.store.migrations", "0011_break_glass.sql")
