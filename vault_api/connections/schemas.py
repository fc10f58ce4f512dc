"""What requests and answers look like. Nothing in here repeats what was sent when it refuses it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, ValidationError, WithJsonSchema

from identity.strict_json import StrictJsonError, loads_object
from vault_api.names import BROKER_PATTERN, CONNECTION_PATTERN
from vault_api.problems import invalid
from vault_api.tokens import MAX_TOKEN_BYTES, AccessToken, RefreshToken

MAX_BODY_BYTES = 65_536
MAX_DEPTH = 8

_TOKEN_SCHEMA = {
    "type": "string",
    "format": "password",
    "writeOnly": True,
    "minLength": 1,
    "maxLength": MAX_TOKEN_BYTES,
    "pattern": "^[!-~]+$",
}


def _moment(value: object) -> datetime:
    # Text only: pydantic would also take numbers, and guess whether they are seconds or milliseconds.
    if not isinstance(value, str) or len(value) > 40:
        raise ValueError("must be an RFC 3339 time with an offset")
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None or not 1970 <= moment.year <= 9000:
        raise ValueError("must be an RFC 3339 time with an offset")
    return moment.astimezone(UTC)


def _refresh_token(value: object) -> RefreshToken | None:
    return None if value is None else RefreshToken.parse(value)


Moment = Annotated[datetime, BeforeValidator(_moment), Field(description="RFC 3339 with an offset")]


class TokenSet(BaseModel):
    """The body of a store: what a broker gave us. Absent expiry means that the token does not expire."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, arbitrary_types_allowed=True)

    broker: str = Field(strict=True, pattern=BROKER_PATTERN)
    access_token: Annotated[AccessToken, PlainValidator(AccessToken.parse), WithJsonSchema(_TOKEN_SCHEMA)]
    refresh_token: Annotated[
        RefreshToken | None,
        PlainValidator(_refresh_token),
        WithJsonSchema({**_TOKEN_SCHEMA, "type": ["string", "null"]}),
    ] = None
    expires_at: Moment | None = None
    refresh_expires_at: Moment | None = None
    scopes: tuple[Annotated[str, Field(strict=True, pattern=r"^[!#-\[\]-~]{1,200}$")], ...] = Field(
        default=(), max_length=100
    )


class Credential(BaseModel):
    """A connection and its credential without anything secret."""

    connection: str = Field(pattern=CONNECTION_PATTERN)
    broker: str
    state: Literal["pending_link", "pending_approval", "active", "reconnect_needed", "revoked"]
    state_reason: str | None = Field(description="Why it has to be connected again, as a stable code")
    state_since: datetime
    linked_by: str | None = Field(description="Who connected the broker last, approved or not")
    linked_at: datetime | None
    approved_by: str | None
    approved_at: datetime | None
    relink_at: datetime | None = Field(description="When the broker wants to be connected again whatever happens")
    awaiting_approval: bool = Field(description="Whether a token set waits for somebody else to approve it")
    version: int | None = Field(description="Counts token sets; give it in If-Match to replace this one")
    key_version: int | None = Field(description="The version of the partner's key that it is sealed under")
    created_at: datetime
    created_by: str
    stored_at: datetime | None
    stored_by: str | None
    age_seconds: int | None = Field(description="Since it was stored")
    expires_at: datetime | None
    expired: bool
    has_refresh_token: bool
    refresh_expires_at: datetime | None
    scopes: tuple[str, ...]
    last_released_at: datetime | None


class CredentialStored(BaseModel):
    """The answer to a store."""

    connection: str
    broker: str
    version: int
    key_version: int
    expires_at: datetime | None
    refresh_expires_at: datetime | None
    scopes: tuple[str, ...]
    stored_at: datetime


class ReleasedToken(BaseModel):
    """The one answer that holds a secret. Keep it in memory, use it, forget it."""

    connection: str
    broker: str
    version: int
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - a type, not a token
    access_token: str = Field(json_schema_extra={"format": "password"})
    expires_at: datetime | None
    scopes: tuple[str, ...]


class Connections(BaseModel):
    """A page of connections; `next` is what to give as `after` for the next one."""

    connections: tuple[Credential, ...]
    next: str | None


def parse_token_set(body: bytes) -> TokenSet:
    """The token set in a request body. Raises Problem 422 that names places and never values."""
    try:
        document = loads_object(body, max_bytes=MAX_BODY_BYTES, max_depth=MAX_DEPTH)
        return TokenSet.model_validate(document)
    except StrictJsonError as error:
        raise invalid(str(error)) from None
    except ValidationError as error:
        mistakes = [
            {"location": _place(mistake["loc"]), "code": str(mistake["type"])}
            for mistake in error.errors(include_input=False, include_context=False, include_url=False)[:20]
        ]
        raise invalid("correct the places listed in errors", errors=mistakes) from None


def _place(path: tuple[int | str, ...]) -> str:
    # A name that is not a field of ours was chosen by the caller, and could be the secret itself.
    steps = [str(step) if isinstance(step, int) or step in TokenSet.model_fields else "?" for step in path]
    return "/" + "/".join(steps)
