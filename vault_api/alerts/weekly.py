"""The worker's tasks that tell partners the vault's week, and of new keys; once, by the routes that want it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import orjson

from vault_api.alerts.routes import RouteStore
from vault_api.brokers.catalog import Catalog, CatalogUnavailable
from vault_api.compliance.gather import gather
from vault_api.store.database import Database

DIGEST, ROTATION = "digest", "key_rotation"
_LATELY = timedelta(days=2)
"""A key that is older than this is no news to a route that is set today."""


class TellDigest:
    """Raises an alert of the kind `digest` about the last whole ISO week for each partner that is to be told."""

    name = "tell-digest"
    every = 3600.0

    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        routes: RouteStore,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._routes = routes
        self._clock = clock

    async def run_once(self) -> None:
        """Does nothing for a partner who was told of the week. Raises DatabaseUnavailable."""
        now = self._clock()
        until = (now - timedelta(days=now.weekday())).replace(hour=0, minute=0, second=0, microsecond=0)
        since = until - timedelta(days=7)
        year, week, _ = since.isocalendar()
        about = f"digest/{year}-W{week:02d}"
        for row in await self._database.rows("SELECT partner FROM vault.partner ORDER BY partner"):
            partner = str(row["partner"])
            if not await self._wanted(partner):
                continue
            [found] = (await gather(self._database, [partner], since=since, until=until)).partners
            detail = {
                "week": f"{year}-W{week:02d}",
                "credentials": found.holdings.credentials,
                "expired": found.holdings.expired,
                "stores": found.stores,
                "releases": found.releases,
                "refusals": sum(found.refusals.values()),
                "exceptions": sum(found.exceptions.values()),
            }
            await self._database.rows(
                "SELECT vault.raise_alert($1, $2, $3, $4, NULL, $5)",
                partner, secrets.token_hex(16), about, DIGEST, orjson.dumps(detail).decode(),
            )  # fmt: skip

    async def _wanted(self, partner: str) -> bool:
        return await wanted(self._catalog, self._routes, partner, DIGEST)


class TellRotations:
    """Raises an alert of the kind `key_rotation` about each new version of a partner's key but the first."""

    name = "tell-rotations"
    every = 300.0

    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        routes: RouteStore,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._routes = routes
        self._clock = clock

    async def run_once(self) -> None:
        """Does nothing for a version that was told. Raises DatabaseUnavailable."""
        for row in await self._database.rows("SELECT partner FROM vault.partner ORDER BY partner"):
            partner = str(row["partner"])
            held = await self._database.row("SELECT keys FROM vault.digest_holdings($1)", partner)
            for key in orjson.loads(held["keys"]):
                new = datetime.fromisoformat(key["pinned_at"]) > self._clock() - _LATELY
                if not new or key["version"] <= 1 or not await wanted(self._catalog, self._routes, partner, ROTATION):
                    continue
                detail = orjson.dumps({"key_version": key["version"]}).decode()
                await self._database.rows(
                    "SELECT vault.raise_alert($1, $2, $3, $4, NULL, $5)",
                    partner, secrets.token_hex(16), f"key/{key['version']}", ROTATION, detail,
                )  # fmt: skip


async def wanted(catalog: Catalog, routes: RouteStore, partner: str, kind: str) -> bool:
    """Whether some route of a partner carries a kind. Raises DatabaseUnavailable."""
    try:
        wishes = await catalog.wishes(partner)
    except CatalogUnavailable:
        return False
    if any(route.carries(kind) for route in wishes.alert_routes):
        return True
    return any(route.carries(kind, wishes.usual_alerts) for route in await routes.of(partner))
