"""What the reconciler's part of break-glass works with, opened for one call and closed after it.

A fulfilment and a duty run in a program without an event loop, so each thing that is asked of the database is one
short-lived connection; openings are rare.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

import httpx

from admin_sync.access.store.database import Database, DatabaseUnavailable
from admin_sync.break_glass.custody import Custody, CustodyUnavailable, custody_settings
from admin_sync.break_glass.realm import RealmAccount
from admin_sync.break_glass.store import Openings
from admin_sync.desired import realm_name
from admin_sync.errors import AdminSyncError
from admin_sync.keycloak.connection import Connection
from admin_sync.load.document import Document
from admin_sync.reconciler.settings import reconciler_settings
from identity.secret import SecretUnreadable, read_secret

ACTOR: Final = "reconciler"
_VAULT: Final = "ADMIN_SYNC_VAULT_URL"

Result = TypeVar("Result")


class OpeningsUnavailable(AdminSyncError):
    """The database of openings does not answer; the next turn asks again."""


@dataclass(frozen=True, slots=True)
class Kit:
    """The realm, the vault and the openings. `environ` says where the latter two are."""

    document: Document
    connection: Connection
    environ: Mapping[str, str]
    node: str

    @property
    def configured(self) -> bool:
        """Whether there is a vault that keeps credentials; without one no account is ever made or opened."""
        return bool(self.environ.get(_VAULT))

    def account(self, environment: str, name: str) -> RealmAccount:
        """An emergency account in the realm of an environment."""
        return RealmAccount(self.connection, realm_name(self.document, environment), name)

    @contextmanager
    def custody(self) -> Iterator[Custody]:
        """The vault. Raises Misconfigured."""
        made = custody_settings(self.environ)
        with httpx.Client(trust_env=False) as http:
            yield Custody(made, http)

    def openings(self, work: Callable[[Openings], Awaitable[Result]]) -> Result:
        """Ask something of the openings. Raises OpeningsUnavailable."""
        made = reconciler_settings(self.environ)
        if made.database_url is None or made.database_password_file is None:
            raise OpeningsUnavailable("set ACCESS_RECONCILER_DATABASE_URL: openings are noted there")
        url = made.database_url
        try:
            password = read_secret(made.database_password_file, name="ACCESS_RECONCILER_DATABASE_PASSWORD_FILE").text()
        except SecretUnreadable as problem:
            raise OpeningsUnavailable(str(problem)) from None

        async def asked() -> Result:
            database = await Database.connect(url, password, size=1, name=ACTOR)
            try:
                return await work(Openings(database, self.node))
            finally:
                await database.close()

        try:
            return asyncio.run(asked())
        except DatabaseUnavailable as problem:
            raise OpeningsUnavailable(f"the database of openings: {problem}; it is asked again") from None


__all__ = ["ACTOR", "CustodyUnavailable", "Kit", "OpeningsUnavailable"]
