"""The worker's task that delivers alerts: every open one by every route that carries its kind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import orjson
import structlog

from identity.audit.event import AuditEvent
from identity.secret import Secret
from vault_api.alerts.mail import Mails
from vault_api.alerts.message import TEST, Alert
from vault_api.alerts.routes import OwnRoute, RouteStore, SecretGone
from vault_api.alerts.schemas import EVERYTHING
from vault_api.alerts.webhook import NotDelivered, Webhooks
from vault_api.brokers.catalog import Catalog, CatalogUnavailable
from vault_api.brokers.schemas import AlertRoute
from vault_api.metrics import Metrics
from vault_api.refresh.timing import retry_after
from vault_api.store.database import Database
from vault_api.trail.record import Trail
from vault_api.worker.claims import LEASE, Claim, Claims

_log = structlog.get_logger("vault_api.alerts")

GIVE_UP_AFTER = timedelta(days=2)
_AT_ONCE = 100
_TURN_SECONDS = LEASE.total_seconds() / 3
"""After this long a partner's turn begins nothing further, so that the claim outlasts what is under way."""


class DeliverAlerts:
    """Task: what `vault.alert` holds open."""

    name = "alerts"
    every = 2.0

    def __init__(
        self,
        *,
        claims: Claims,
        routes: RouteStore,
        database: Database,
        catalog: Catalog,
        webhooks: Webhooks,
        mails: Mails,
        trail: Trail,
        metrics: Metrics,
        appended: Callable[[str], None],
    ) -> None:
        self._claims = claims
        self._routes = routes
        self._database = database
        self._catalog = catalog
        self._webhooks = webhooks
        self._mails = mails
        self._trail = trail
        self._metrics = metrics
        self._appended = appended

    async def run_once(self) -> None:
        """Delivers what is due. Raises DatabaseUnavailable."""
        # Side by side, and each to its end: one partner's receiver must not hold up what others are to be told.
        claims = await self._claims.due("alerts", limit=10)
        done = await asyncio.gather(*(self._claimed(claim) for claim in claims), return_exceptions=True)
        for problem in done:
            if problem is not None:
                raise problem

    async def _claimed(self, claim: Claim) -> None:
        left = await self._partner(claim)
        again = datetime.now(UTC) + timedelta(seconds=retry_after(claim.attempts, draw=0.5)) if left else None
        await self._claims.give_back(claim, due=again, attempts=claim.attempts + 1 if left else 0)

    async def _partner(self, claim: Claim) -> int:
        """Tries everything that is open for one partner; answers how many alerts are still open."""
        try:
            wishes = await self._catalog.wishes(claim.partner)
        except CatalogUnavailable:
            return 1
        routes: list[Way] = [_configured(one) for one in wishes.alert_routes]
        routes += [_own(one, wishes.usual_alerts) for one in await self._routes.of(claim.partner)]
        rows = await self._database.rows("SELECT * FROM vault.open_alerts($1, $2)", claim.partner, _AT_ONCE)
        left, until = 0, time.monotonic() + _TURN_SECONDS
        failing: set[str] = set()
        for number, row in enumerate(rows):
            if time.monotonic() > until:
                return left + len(rows) - number
            alert = Alert(
                partner=claim.partner,
                alert=row["alert"],
                kind=row["kind"],
                connection=row["connection"],
                detail=orjson.loads(row["detail"]),
                raised_at=row["raised_at"],
            )
            settled = dict(zip(row["routes"], row["settled"], strict=True))
            open_routes = [route for route in routes if route.takes(alert) and not settled.get(route.name)]
            # A receiver that did not answer just now is asked again in the next turn, not with every alert.
            tried = {route.name: await self._tried(alert, route) for route in open_routes if route.name not in failing}
            failing |= {name for name, done in tried.items() if not done}
            if all(tried.get(route.name, False) for route in open_routes):
                await self._database.rows("SELECT vault.settle_alert($1, $2)", claim.partner, alert.alert)
            else:
                left += 1
        return left + (1 if len(rows) == _AT_ONCE else 0)

    async def _tried(self, alert: Alert, route: Way) -> bool:
        """Whether this route is through with this alert."""
        outcome: str | None = "delivered"
        try:
            if route.webhook is not None:
                await self._webhooks.deliver(alert, route.webhook, await self._secret(alert.partner, route))
            elif route.email is not None and self._mails.configured:
                await self._mails.deliver(alert, route.email)
            else:
                outcome = "no_mail_server"
        except NotDelivered as error:
            old = datetime.now(UTC) - alert.raised_at > GIVE_UP_AFTER
            outcome = error.reason if error.final or old else None
            _log.warning("alert.not_delivered", partner=alert.partner, reason=error.reason, final=outcome is not None)
        self._metrics.alerts.labels("retry" if outcome is None else _label(outcome)).inc()
        await self._database.rows(
            "SELECT vault.alert_tried($1, $2, $3, $4, $5)",
            alert.partner, alert.alert, route.name, outcome, self._trail.line(_event(alert)),
        )  # fmt: skip
        if outcome is not None:
            self._appended(alert.partner)
        return outcome is not None

    async def _secret(self, partner: str, route: Way) -> Secret:
        if route.own is None:
            return self._webhooks.named(route.secret or "")
        try:
            return await self._routes.secret(partner, route.own)
        except SecretGone as gone:
            raise NotDelivered(gone.reason, final=gone.final) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A route of either kind: of the configuration, whose secret has a name, or the partner's own."""

    name: str
    alerts: frozenset[str]
    email: str | None
    webhook: str | None
    secret: str | None = None
    own: OwnRoute | None = None

    def takes(self, alert: Alert) -> bool:
        """Whether an alert goes this way. A test goes by the one route that it is about."""
        if alert.kind == TEST:
            return self.own is not None and alert.detail.get("route") == self.own.name
        return alert.kind in self.alerts or EVERYTHING in self.alerts


def _configured(route: AlertRoute) -> Way:
    return Way(name=route.name, alerts=route.alerts, email=route.email, webhook=route.webhook, secret=route.secret)


def _own(route: OwnRoute, usual: frozenset[str]) -> Way:
    return Way(name=route.label, alerts=route.alerts or usual, email=route.email, webhook=route.webhook, own=route)


def _label(outcome: str) -> str:
    return outcome if outcome in _OUTCOMES else "given_up"


_OUTCOMES: Mapping[str, None] = dict.fromkeys(("delivered", "no_mail_server", "address_refused"))


def _event(alert: Alert) -> AuditEvent:
    place = f"partners/{alert.partner}"
    return AuditEvent(
        event="alert.delivered",
        outcome="success",
        actor="vault-worker",
        partner=alert.partner,
        action=f"alert:{alert.kind}",
        resource=place if alert.connection is None else f"{place}/connections/{alert.connection}",
    )
