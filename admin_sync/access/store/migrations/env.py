"""Alembic's entry: runs the revisions as access_owner, each in one transaction, inside the schema `access`."""

from __future__ import annotations

from identity.revisions import environment

environment("access")
