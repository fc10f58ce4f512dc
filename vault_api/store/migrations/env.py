"""Alembic's entry: runs the revisions as vault_owner, each in one transaction, inside the schema `vault`."""

from __future__ import annotations

from identity.revisions import environment

environment("vault")
