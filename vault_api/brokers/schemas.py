"""The shapes of what the bundle says to the vault; anything else in its place is refused as a whole."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class RefreshPolicy(_Shape):
    """How a broker's tokens are renewed.

    before_expiry: a share of the lifetime (below 1) or seconds that are left when it is time; None: a fifth
    relink_every:  seconds after which the broker wants the person again, 0 for never
    """

    before_expiry: float | None = None
    rotates: bool = False
    never_expires: bool = False
    relink_every: int = Field(default=0, ge=0)

    def margin(self, lifetime: float) -> float:
        """Seconds before the end at which a token of that lifetime is refreshed, at most half of it."""
        wish = 0.2 if self.before_expiry is None else self.before_expiry
        return min(wish * lifetime if wish <= 1 else wish, lifetime / 2)


class Broker(_Shape):
    """A broker that partners can be linked to."""

    display_name: str
    client_id: str
    secret: str
    issuer: str | None
    authorize_url: str | None
    token_url: str | None
    revoke_url: str | None
    scopes: tuple[str, ...]
    refresh: RefreshPolicy


class AlertRoute(_Shape):
    """Where some of a partner's alerts go."""

    alerts: frozenset[str]
    email: str | None
    webhook: str | None
    secret: str | None

    @property
    def name(self) -> str:
        """What tells this route from the partner's others."""
        return f"mailto:{self.email}" if self.email is not None else str(self.webhook)

    def carries(self, kind: str) -> bool:
        """Whether alerts of that kind go this way."""
        return kind in self.alerts or "all" in self.alerts


class PartnerWishes(_Shape):
    """How a partner wants its connections kept."""

    approve_connections: bool
    proactive_refresh: bool = False
    """Whether open pages of its people stay logged in. A bundle of before does not say it."""
    alert_routes: tuple[AlertRoute, ...]
    usual_alerts: frozenset[str] = frozenset()
    """What the partner's persona is told where a route says nothing else."""


class CatalogDocument(_Shape):
    """The document at `data.tradepulse.iam.vault`."""

    brokers: Mapping[str, Broker]
    partners: Mapping[str, PartnerWishes]
