"""Leases of dynamic credentials."""

from __future__ import annotations

from identity.revisions import run_script

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script("vault_api.store.migrations", "0007_leases.sql")
