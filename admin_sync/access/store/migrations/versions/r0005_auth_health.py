"""How logins go, and what people say about logging in."""

from __future__ import annotations

from identity.revisions import run_script

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script("admin_sync.access.store.migrations", "0005_auth_health.sql")
