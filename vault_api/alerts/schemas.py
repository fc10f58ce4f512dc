"""What requests and answers about alerts look like, and what somebody can be told."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

KINDS: Final = {
    "token_expiring": "a broker connection is about to stop working",
    "broker_disconnected": "a broker has to be connected again",
    "key_rotation": "the partner's key is rotated",
    "digest": "the vault's week",
}
"""What there is to be told."""

EVERYTHING: Final = "all"
MOST_ROUTES: Final = 20
"""Routes of one partner."""

_ADDRESS: Final = re.compile(r"[^\s@,;<>\"\\]{1,64}@[A-Za-z0-9][A-Za-z0-9.-]{0,188}[A-Za-z0-9]\Z")
_PRINTABLE: Final = re.compile(r"[!-~]{1,2000}\Z")

Kind = Literal["token_expiring", "broker_disconnected", "key_rotation", "digest", "all"]


def _address(value: str) -> str:
    if not _ADDRESS.match(value) or not value.isascii():
        raise ValueError("must be one e-mail address")
    return value


def _place(value: str) -> str:
    parts = urlsplit(value) if _PRINTABLE.match(value) else None
    if parts is None or parts.scheme not in ("https", "http") or not parts.hostname or parts.fragment:
        raise ValueError("must be an https URL without a fragment")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not contain a name or a password")
    return value


class RouteRequest(BaseModel):
    """Where to tell what: one address, and the kinds that go there; none of them means what the persona is told."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    email: Annotated[str, Field(strict=True, max_length=254), AfterValidator(_address)] | None = None
    webhook: Annotated[str, Field(strict=True, max_length=2000), AfterValidator(_place)] | None = None
    alerts: tuple[Kind, ...] = Field(default=(), max_length=5)
    renew_secret: bool = Field(default=False, strict=True)
    """Whether a webhook that stays where it is gets a new secret."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.email is None) == (self.webhook is None):
            raise ValueError("exactly one of email and webhook is needed")
        return self


class Route(BaseModel):
    """A route as its partner's people see it."""

    route: str | None = Field(description="Its name; null for one of the configuration, which is changed there")
    email: str | None
    webhook: str | None
    alerts: tuple[str, ...] = Field(description="What goes there, the persona's where nothing else was said")
    usual: bool = Field(description="Whether that is what the persona is told")
    set_by: str | None
    set_at: datetime | None


class Routes(BaseModel):
    """Where a partner is told what."""

    partner: str
    routes: tuple[Route, ...]
    kinds: dict[str, str] = Field(description="What there is to be told, and what that is")
    usual: tuple[str, ...] = Field(description="What the partner's persona is told")
    mail: bool = Field(description="Whether e-mail can be sent from here")
    may_change: bool


class RouteSet(BaseModel):
    """A route that was set. `secret` is in this answer and in no other: what a webhook's receiver checks with."""

    route: str
    secret: str | None


class Delivery(BaseModel):
    """How far an alert got on a route. `outcome` is null while it is tried, else `delivered` or why not."""

    route: str
    attempts: int
    settled_at: datetime | None
    outcome: str | None


class Told(BaseModel):
    """An alert and its deliveries."""

    alert: str
    kind: str
    connection: str | None
    detail: dict[str, Any]
    raised_at: datetime
    settled_at: datetime | None
    deliveries: tuple[Delivery, ...]


class Log(BaseModel):
    """What a partner was told lately, newest first."""

    alerts: tuple[Told, ...]
