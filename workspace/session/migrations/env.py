"""Alembic's entry."""

from __future__ import annotations

from identity.revisions import environment

environment("workspace")
