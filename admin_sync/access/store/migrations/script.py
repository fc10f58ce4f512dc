"""Runs one of the `.sql` files beside this module inside the running migration.

The schema is written as SQL and not as SQLAlchemy calls, because what matters in it (row security,
grants, plpgsql) has no other notation, and whoever reviews it should read what PostgreSQL runs.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from alembic import op


def run_script(name: str) -> None:
    """Executes every statement of the file, in the transaction of the migration."""
    script = files(__package__).joinpath(name).read_text(encoding="utf-8")
    # asyncpg prepares what goes through SQLAlchemy, and a prepared statement is one statement. The
    # driver's own `execute` takes a script, on the same connection and thus in the same transaction.
    connection: Any = op.get_bind().connection.dbapi_connection
    connection.run_async(lambda driver: driver.execute(script))
