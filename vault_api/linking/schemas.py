"""What requests for links look like, and their answers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from identity.strict_json import StrictJsonError, loads_object
from vault_api.names import BROKER_PATTERN, CONNECTION_PATTERN
from vault_api.problems import invalid

_MAX_BYTES = 16_384


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, strict=True)


class LinkRequest(_Request):
    """The body that begins a link. An existing connection is connected again and keeps its id."""

    broker: str = Field(pattern=BROKER_PATTERN)
    connection: str = Field(pattern=CONNECTION_PATTERN, description="What to call it; or one that exists")
    redirect_uri: str | None = Field(
        default=None, max_length=2000, description="Where the browser returns to; one of those the operator allows"
    )


class LinkStarted(BaseModel):
    """Where to send the person."""

    connection: str
    broker: str
    authorize_url: str
    expires_at: datetime = Field(description="Until when the callback is accepted")


class Callback(_Request):
    """What the broker put into the redirect."""

    state: str = Field(min_length=1, max_length=512)
    code: str | None = Field(default=None, min_length=1, max_length=4096, json_schema_extra={"format": "password"})
    iss: str | None = Field(default=None, max_length=2000)
    error: str | None = Field(default=None, max_length=200)


class Linked(BaseModel):
    """What came of a callback or of an approval."""

    partner: str
    connection: str
    broker: str
    state: Literal["active", "pending_approval"]
    version: int = Field(description="The version that the token set has, or will have once it is approved")
    expires_at: datetime | None
    scopes: tuple[str, ...]


class Approved(BaseModel):
    """What came of an approval."""

    connection: str
    state: Literal["active"] = "active"
    version: int


_T = TypeVar("_T", bound=_Request)


def parse_body(model: type[_T], body: bytes) -> _T:
    """The body as that model. Raises Problem 422 that names places and never values."""
    try:
        return model.model_validate(loads_object(body, max_bytes=_MAX_BYTES, max_depth=4))
    except StrictJsonError as error:
        raise invalid(str(error)) from None
    except ValidationError as error:
        raise _invalid(model, error) from None


def parse_query(given: Mapping[str, str], counts: Mapping[str, int]) -> Callback:
    """A callback out of a redirect's query; what it holds besides is nobody's business. Raises Problem 422."""
    known = {name: given[name] for name in Callback.model_fields if name in given}
    if any(counts[name] != 1 for name in known):
        raise invalid("a parameter of the callback is there twice")
    try:
        return Callback.model_validate(known)
    except ValidationError as error:
        raise _invalid(Callback, error) from None


def _invalid(model: type[BaseModel], error: ValidationError) -> Exception:
    mistakes = [
        {
            "location": "/" + "/".join(str(step) if step in model.model_fields else "?" for step in mistake["loc"]),
            "code": str(mistake["type"]),
        }
        for mistake in error.errors(include_input=False, include_context=False, include_url=False)[:20]
    ]
    return invalid("correct the places listed in errors", errors=mistakes)
