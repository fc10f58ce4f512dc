"""Where a partner is told what: its own routes in PostgreSQL, beside those of the configuration.

The secret of a webhook is made here, shown once, and sealed under the partner's key like a token.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import orjson

from identity.opa import OpaClient
from identity.problem import Problem, not_found
from identity.secret import Secret
from vault_api import problems
from vault_api.alerts.schemas import EVERYTHING, KINDS, MOST_ROUTES, Delivery, Log, Route, RouteRequest, Routes, Told
from vault_api.brokers.catalog import Catalog, CatalogUnavailable
from vault_api.gate import Admitted, Gate
from vault_api.keyring import KeyContextMismatch, Keyring, KeyUnavailable
from vault_api.permissions import Call
from vault_api.sealing.envelope import Place, SealError, open_sealed, seal
from vault_api.store.database import Database
from vault_api.trail.record import Trail

KIND: Final = "alert_secret"
PREFIX: Final = "route:"
"""Before the name of a partner's own route, in the log of deliveries."""
_LOG: Final = 50
_TEST_PAUSE: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class OwnRoute:
    """A route that a partner set. `sealed` is a webhook's secret under that version of the partner's key."""

    name: str
    email: str | None
    webhook: str | None
    alerts: frozenset[str]
    sealed: bytes | None = field(repr=False)
    key_version: int | None
    set_by: str
    set_at: datetime

    @property
    def label(self) -> str:
        """What tells it from every other route in the log."""
        return PREFIX + self.name

    def carries(self, kind: str, usual: frozenset[str]) -> bool:
        """Whether alerts of that kind go this way; a test goes by the route that it names (`DeliverAlerts`)."""
        told = self.alerts or usual
        return kind in told or EVERYTHING in told


class SecretGone(Exception):
    """The secret of a webhook cannot be had now. `final`: nor later."""

    def __init__(self, reason: str, *, final: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.final = final


class RouteStore:
    """The table, for whoever delivers."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring

    async def of(self, partner: str) -> Sequence[OwnRoute]:
        """A partner's own routes. Raises DatabaseUnavailable."""
        rows = await self._database.rows("SELECT * FROM vault.alert_routes($1)", partner)
        return [
            OwnRoute(row["route"], row["email"], row["webhook"], frozenset(row["alerts"]), row["secret_sealed"],
                     row["key_version"], row["set_by"], row["set_at"])
            for row in rows
        ]  # fmt: skip

    async def secret(self, partner: str, route: OwnRoute) -> Secret:
        """What a webhook is signed with. Raises SecretGone."""
        if route.sealed is None or route.key_version is None:
            raise SecretGone("secret_gone", final=True)
        try:
            key = await self._keyring.key(partner, route.key_version)
            return Secret(open_sealed(key, _place(partner, route.name), route.sealed))
        except KeyUnavailable:
            raise SecretGone("key_unavailable", final=False) from None
        except KeyContextMismatch:
            raise SecretGone("key_gone", final=True) from None
        except SealError:
            raise SecretGone("integrity_error", final=True) from None


class AlertRoutes:
    """What requests do with routes. `environment` is the one that this vault is of."""

    def __init__(
        self,
        database: Database,
        *,
        catalog: Catalog,
        keyring: Keyring,
        trail: Trail,
        gate: Gate,
        policy: OpaClient,
        appended: Callable[[str], None],
        environment: str,
        development: bool,
        mail: bool,
    ) -> None:
        self._database = database
        self._store = RouteStore(database, keyring)
        self._catalog = catalog
        self._keyring = keyring
        self._trail = trail
        self._gate = gate
        self._policy = policy
        self._appended = appended
        self._environment = environment
        self._development = development
        self._mail = mail

    async def list(self, admitted: Admitted) -> Routes:
        """Every route of a partner. Raises Problem 503, DatabaseUnavailable and PolicyUnavailable."""
        try:
            wishes = await self._catalog.wishes(admitted.partner)
        except CatalogUnavailable as error:
            raise problems.catalog_unavailable(error) from None
        usual = tuple(sorted(wishes.usual_alerts))
        fixed = [
            Route(route=None, email=one.email, webhook=one.webhook, alerts=tuple(sorted(one.alerts)),
                  usual=one.alerts == wishes.usual_alerts, set_by=None, set_at=None)
            for one in wishes.alert_routes
        ]  # fmt: skip
        own = [
            Route(route=one.name, email=one.email, webhook=one.webhook, alerts=tuple(sorted(one.alerts)) or usual,
                  usual=not one.alerts, set_by=one.set_by, set_at=one.set_at)
            for one in await self._store.of(admitted.partner)
        ]  # fmt: skip
        decision = await self._policy.decide(
            admitted.principal,
            Call.ALERT_ROUTE_SET.permission,
            environment=self._environment,
            partner=admitted.partner,
        )
        return Routes(
            partner=admitted.partner,
            routes=(*fixed, *own),
            kinds=KINDS,
            usual=usual,
            mail=self._mail,
            # What a stronger login would allow counts: a page leads there.
            may_change=decision.allow or decision.step_up is not None,
        )

    async def set(self, admitted: Admitted, name: str, wanted: RouteRequest) -> Secret | None:
        """Sets a route; the new secret of a webhook. Raises Problem 409, 422 and 503, recorded; DatabaseUnavailable."""
        sealed, version, secret = None, None, None
        if wanted.webhook is not None:
            if wanted.webhook.startswith("http://") and not self._development:
                raise await self._gate.refused(admitted, problems.invalid("a webhook is called by https only"))
            secret = Secret(b"whsec_" + base64.b64encode(secrets.token_bytes(32)))
            try:
                key = (await self._keyring.keys(admitted.partner)).current()
            except KeyUnavailable as error:
                raise await self._gate.refused(admitted, problems.key_unavailable(error), outcome="failure") from None
            except KeyContextMismatch as error:
                problem = problems.key_context_mismatch(error)
                raise await self._gate.refused(admitted, problem, outcome="failure") from None
            sealed, version = seal(key, _place(admitted.partner, name), secret.reveal()), key.version
        row = await self._database.row(
            "SELECT vault.alert_route_set($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) AS outcome",
            admitted.partner, name, wanted.email, wanted.webhook, sorted(set(wanted.alerts)), sealed, version,
            wanted.renew_secret, MOST_ROUTES, admitted.principal.actor,
            self._trail.line(admitted.event("success")),
        )  # fmt: skip
        self._appended(admitted.partner)
        if row["outcome"] == "too_many":
            raise _too_many()
        return secret if row["outcome"] == "new" else None

    async def drop(self, admitted: Admitted, name: str) -> None:
        """Takes a route away. Raises Problem 404 and DatabaseUnavailable."""
        line = self._trail.line(admitted.event("success"))
        row = await self._database.row(
            "SELECT vault.alert_route_drop($1, $2, $3) AS done", admitted.partner, name, line
        )
        self._appended(admitted.partner)
        if not row["done"]:
            raise not_found()

    async def test(self, admitted: Admitted, name: str) -> str:
        """Raises an alert that says only that it arrived; its id. Raises Problem 404 and 409, DatabaseUnavailable."""
        if not any(one.name == name for one in await self._store.of(admitted.partner)):
            raise await self._gate.refused(admitted, not_found())
        alert = secrets.token_hex(16)
        row = await self._database.row(
            "SELECT vault.alert_test($1, $2, $3, $4, $5, $6) AS raised",
            admitted.partner, alert, name, admitted.principal.actor, _TEST_PAUSE,
            self._trail.line(admitted.event("success")),
        )  # fmt: skip
        self._appended(admitted.partner)
        if not row["raised"]:
            raise _too_soon()
        return alert

    async def log(self, admitted: Admitted) -> Log:
        """What the partner was told lately. Raises DatabaseUnavailable."""
        rows = await self._database.rows("SELECT * FROM vault.alert_log($1, $2)", admitted.partner, _LOG)
        return Log(
            alerts=tuple(
                Told(
                    alert=row["alert"],
                    kind=row["kind"],
                    connection=row["connection"],
                    detail=orjson.loads(row["detail"]),
                    raised_at=row["raised_at"],
                    settled_at=row["settled_at"],
                    deliveries=tuple(Delivery.model_validate(one) for one in orjson.loads(row["deliveries"])),
                )
                for row in rows
            )
        )


def _place(partner: str, route: str) -> Place:
    return Place(partner, route, KIND, 1)


def _too_many() -> Problem:
    return Problem(
        409, "too-many-routes", "No more routes", f"Take one away first; a partner may have {MOST_ROUTES} of them."
    )


def _too_soon() -> Problem:
    return Problem(
        409, "too-soon", "A test was sent just now", "Look into the log whether it arrived, and try again in a minute."
    )
