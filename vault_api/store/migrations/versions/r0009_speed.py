"""What the hot paths need in one round trip."""

from __future__ import annotations

from identity.revisions import run_script

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script("vault_api.store.migrations", "0009_speed.sql")
