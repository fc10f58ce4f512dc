"""The earlier row format beside the present one."""

from __future__ import annotations

from identity.revisions import run_script

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script("vault_api.store.migrations", "0008_legacy.sql")
    run_script("vault_api.store.migrations", "0008_digest.sql")
