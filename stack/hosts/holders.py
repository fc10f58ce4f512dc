"""Who holds which secret on hosts: what containers have, and what only hosts run or do."""

from __future__ import annotations

from collections.abc import Mapping

from stack.compose import holders
from stack.compose.holders import password

HOLDERS: Mapping[str, tuple[str, ...]] = {
    **holders.HOLDERS,
    # Operators offboard people and open emergency accounts from the host of the administration.
    "admin-sync": (*holders.HOLDERS["admin-sync"], "client-offboarding.pem", "client-emergency-keeper.pem",
                   password("access_reconciler")),
    "reconciler": (*holders.HOLDERS["reconciler"], "client-offboarding.pem", "client-emergency-keeper.pem"),
    "workspace": (password("workspace_app"), "client-tradepulse.pem", "audit-checkpoint.pem", "audit-mac"),
}  # fmt: skip
"""Holder -> its files, below the directory of that name."""
