"""A release asks for its connection's broker before it asks the policy."""

from __future__ import annotations

from identity.revisions import run_script

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script("vault_api.store.migrations", "0002_broker.sql")
