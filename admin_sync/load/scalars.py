"""The small types that the configuration is written in: names, durations, instants, secret references.

Each is a string in YAML and is checked by shape here; whether what it names exists is a matter for
`admin_sync.check`. Messages never repeat a value, because a value in the wrong place may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

_DURATION: Final = re.compile(r"(0|[1-9][0-9]{0,8})([smhd])")
_PERCENT: Final = re.compile(r"(100|[1-9]?[0-9])%")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST: Final = timedelta(days=36500)
"""A hundred years; what is longer leaves the calendar when it is added to a date."""
_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?([Zz]|[+-][0-9]{2}:[0-9]{2})?"
)
_EMAIL: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+")


class Section(BaseModel):
    """A mapping of the configuration: exactly these keys, exactly these types."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def exactly_one(*names: str) -> dict[str, Any]:
    """What the schema for editors says of a section that declares exactly one of these."""
    return {"oneOf": [{"required": [name]} for name in names]}


def _text(value: object, wanted: str) -> str:
    if not isinstance(value, str):
        raise PydanticCustomError("wrong-type", "{wanted} is written as text", {"wanted": wanted})
    return value


@dataclass(frozen=True, slots=True)
class _Form:
    """Text of one form: how it is checked, and how an editor is told about it (`load/json_schema.py`)."""

    check: Callable[[object], object]
    pattern: str
    longest: int | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        limit = {} if self.longest is None else {"maxLength": self.longest}
        return {"type": "string", "pattern": f"^(?:{self.pattern})$", **limit}


def _shaped(pattern: str, wanted: str) -> _Form:
    compiled = re.compile(pattern)

    def check(value: object) -> object:
        if not compiled.fullmatch(_text(value, "a name")) or len(str(value)) > 255:
            raise PydanticCustomError("name", "a name is {wanted}", {"wanted": wanted})
        return value

    return _Form(check, pattern, 255)


def _duration(value: object) -> timedelta:
    match = _DURATION.fullmatch(_text(value, "a duration"))
    if match is None:
        raise PydanticCustomError("duration", "a duration is a whole number and one of s, m, h, d, such as 90d")
    duration = timedelta(seconds=int(match[1]) * _UNITS[match[2]])
    if duration > _LONGEST:
        raise PydanticCustomError("duration", "a duration is at most 36500d")
    return duration


def _lifetime(value: object) -> timedelta | float:
    text = _text(value, "a share or a duration")
    percent = _PERCENT.fullmatch(text)
    return int(percent[1]) / 100 if percent else _duration(text)


def _instant(value: object) -> datetime:
    text = _text(value, "an instant")
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise PydanticCustomError("instant", "an instant is written as 2027-01-31T18:00:00Z")
    if match[3] is None:
        raise PydanticCustomError(
            "no-offset", "add the offset from UTC, such as Z or +01:00; without it this is no instant"
        )
    try:
        return datetime.fromisoformat(text.upper().replace(" ", "T")).astimezone(UTC)
    except (ValueError, OverflowError):
        raise PydanticCustomError("instant", "there is no such day or time") from None


def _email(value: object) -> str:
    text = _text(value, "an e-mail address")
    if not _EMAIL.fullmatch(text) or ".." in text or len(text) > 254:
        raise PydanticCustomError("email", "this is no e-mail address in ASCII")
    return text


Name = Annotated[str, _shaped(r"[a-z][a-z0-9_.-]*", "lower-case ASCII: a letter, then letters, digits, _ . -")]
Permission = Annotated[str, _shaped(r"[a-z][a-z0-9_.-]*:[a-z][a-z0-9_.-]*", "area:verb in lower-case ASCII")]
GroupPath = Annotated[str, _shaped(r"[a-z][a-z0-9_.-]*(/[a-z][a-z0-9_.-]*)*", "group or group/subgroup")]
ClientRolePath = Annotated[
    str, _shaped(r"[a-z][a-z0-9_.-]*/[a-z][a-z0-9_.-]*", "client/role, such as vault-api/operator")
]
Alias = Annotated[str, _shaped(r"[a-z0-9][a-z0-9-]{0,62}", "lower-case letters, digits and -, at most 63")]
Domain = Annotated[str, _shaped(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z0-9-]{2,63}", "a lower-case DNS domain")]
VariableName = Annotated[str, _shaped(r"[A-Za-z_][A-Za-z0-9_]*", "the name of an environment variable")]
Email = Annotated[str, _Form(_email, _EMAIL.pattern, 254)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
Line = Annotated[str, StringConstraints(min_length=1, max_length=255)]
"""What Keycloak keeps in a column of 255 characters."""
Description = Annotated[str, StringConstraints(max_length=255)]
"""A description may be empty: many a realm has objects that nobody described."""
RealmName = Annotated[str, StringConstraints(pattern=r"^[^/\\\\%?#;\x00-\x1f\x7f]{1,255}$")]
Url = Annotated[str, StringConstraints(max_length=2000)]
Scope = Annotated[str, _shaped(r"[!#-\[\]-~]+", "an OAuth scope, printable ASCII without spaces and quotes")]
"""One scope (RFC 6749, section 3.3)."""
Duration = Annotated[timedelta, _Form(_duration, _DURATION.pattern)]
Lifetime = Annotated[timedelta | float, _Form(_lifetime, f"{_PERCENT.pattern}|{_DURATION.pattern}")]
"""A duration, or the share (0 to 1) of a lifetime that is left."""
Instant = Annotated[datetime, _Form(_instant, _INSTANT.pattern)]
"""An aware datetime in UTC."""
TimeOfDay = Annotated[str, _shaped(r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00", "HH:MM from 00:00 to 24:00")]


class SecretReference(Section):
    """Where a secret is found: an environment variable or a file. Never the secret itself."""

    model_config = ConfigDict(json_schema_extra=exactly_one("env", "file"))

    env: VariableName | None = None
    file: Text | None = None

    @model_validator(mode="before")
    @classmethod
    def _refuse_values(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise PydanticCustomError(
                "secret-value", "a secret is a reference, {env: NAME} or {file: PATH}, never a value"
            )
        if len(value.keys() & {"env", "file"}) != 1:
            raise PydanticCustomError("secret-reference", "name exactly one of env and file")
        return value

    def __str__(self) -> str:
        return f"${{{self.env}}}" if self.env else f"file {self.file}"


Version = Annotated[int, Field(ge=1, le=1)]
