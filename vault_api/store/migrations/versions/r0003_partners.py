"""The names of the partners, so that work over all of them can begin somewhere."""

from __future__ import annotations

from identity.revisions import run_script

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script("vault_api.store.migrations", "0003_partners.sql")
