"""Alembic's environment for the schema `access`; each revision names the SQL file beside it."""
