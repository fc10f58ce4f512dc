"""Simulations of a partner by staff."""

from __future__ import annotations

from identity.revisions import run_script

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script("vault_api.store.migrations", "0012_simulation.sql")
