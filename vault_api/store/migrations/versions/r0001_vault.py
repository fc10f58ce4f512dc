"""The vault's tables, row security, grants and functions."""

from __future__ import annotations

from identity.revisions import run_script

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script("vault_api.store.migrations", "0001_tables.sql")
    run_script("vault_api.store.migrations", "0001_functions.sql")
