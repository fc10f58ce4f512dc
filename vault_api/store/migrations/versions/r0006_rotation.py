"""Rotation of keys: its progress, and a census of rows by key version."""

from __future__ import annotations

from vault_api.store.migrations.script import run_script

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script("0006_rotation.sql")
