"""Rotation of keys: its progress, and a census of rows by key version."""

from __future__ import annotations

from identity.revisions import run_script

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script("vault_api.store.migrations", "0006_rotation.sql")
