"""Where a partner is told what, and what the vault holds."""

from __future__ import annotations

from identity.revisions import run_script

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script("vault_api.store.migrations", "0014_alert_routes.sql")
