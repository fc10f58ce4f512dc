"""What requests for leases and their answers look like. Nothing in here repeats what was sent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from identity.strict_json import StrictJsonError, loads_object
from vault_api.leases.repository import LeaseRow
from vault_api.names import CONNECTION_PATTERN
from vault_api.problems import invalid

_MAX_BYTES = 65_536

Body = TypeVar("Body", bound=BaseModel)


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class LeaseRequest(_Request):
    """The body of a request for a lease."""

    template: str = Field(strict=True, pattern=r"^[a-z][a-z0-9_.-]{0,62}$")
    connection: str | None = Field(default=None, strict=True, pattern=CONNECTION_PATTERN)
    """Whose token is to be narrowed; for templates of a broker only."""
    ttl_seconds: int | None = Field(default=None, strict=True, ge=30, le=604_800)
    """At most this long; the template's own time unless given, and never beyond its longest."""


class RenewRequest(_Request):
    """The body of a renewal."""

    ttl_seconds: int | None = Field(default=None, strict=True, ge=30, le=604_800)


class EndRequest(_Request):
    """Whose leases are to end: those of a partner, a session, a person, or of what is given together."""

    partner: str | None = Field(default=None, strict=True, pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")
    session: str | None = Field(default=None, strict=True, min_length=1, max_length=255)
    subject: str | None = Field(default=None, strict=True, min_length=1, max_length=255)
    reason: str = Field(strict=True, pattern=r"^[a-z][a-z0-9_]{0,62}$")
    """A stable code for the trail, such as `logout` or `offboarding`."""

    @model_validator(mode="after")
    def _not_everything(self) -> Self:
        # An empty request is a mistake more often than the wish to end all leases there are.
        if self.partner is None and self.session is None and self.subject is None:
            raise ValueError("give a partner, a session or a subject")
        return self


class Lease(BaseModel):
    """A lease without anything secret."""

    lease: str
    template: str
    kind: str
    target: str
    broker: str | None
    requestor: str
    roles: tuple[str, ...]
    permissions: tuple[str, ...]
    scopes: tuple[str, ...]
    decision_id: str
    state: str
    issued_at: datetime
    expires_at: datetime
    renewable_until: datetime
    renewals: int
    reason: str | None
    ended_at: datetime | None
    irrevocable: bool


class LeaseIssued(BaseModel):
    """The one answer that holds the credential. It is shown once and kept nowhere."""

    lease: Lease
    credential: dict[str, Any] = Field(
        json_schema_extra={"description": "`password` with host, port, database and username; or `access_token`"}
    )


class Leases(BaseModel):
    """A page of leases, and which templates the partner may ask for."""

    leases: tuple[Lease, ...]
    templates: tuple[str, ...]
    next: str | None


class Ending(BaseModel):
    """Which leases were living and now end, by partner."""

    ending: Mapping[str, tuple[str, ...]]


def shown(row: LeaseRow) -> Lease:
    """A row as it is answered."""
    return Lease(
        lease=row.lease,
        template=row.template,
        kind=row.kind,
        target=row.target,
        broker=row.broker,
        requestor=row.requestor,
        roles=tuple(row.roles),
        permissions=tuple(row.permissions),
        scopes=tuple(row.scopes),
        decision_id=row.decision_id,
        state=row.state,
        issued_at=row.issued_at,
        expires_at=row.expires_at,
        renewable_until=row.max_until,
        renewals=row.renewals,
        reason=row.reason,
        ended_at=row.ended_at,
        irrevocable=row.irrevocable,
    )


def parse(model: type[Body], body: bytes) -> Body:
    """A request body; an empty one is an empty object. Raises Problem 422 that names places and never values."""
    try:
        return model.model_validate(loads_object(body or b"{}", max_bytes=_MAX_BYTES, max_depth=4))
    except StrictJsonError as error:
        raise invalid(str(error)) from None
    except ValidationError as error:
        mistakes = [
            {
                # A name that is not a field of ours was chosen by the caller.
                "location": "/" + "/".join(str(step) if step in model.model_fields else "?" for step in one["loc"]),
                "code": str(one["type"]),
            }
            for one in error.errors(include_input=False, include_context=False, include_url=False)[:20]
        ]
        raise invalid("correct the places listed in errors", errors=mistakes) from None
