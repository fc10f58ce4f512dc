"""Alembic's environment for the schema `vault`; each revision names the SQL files beside it."""
