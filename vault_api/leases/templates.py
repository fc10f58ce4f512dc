"""What the operator allows to be lent: a TOML file (VAULT_LEASES_FILE) that is read once, at start.

    [limits]                              how many a partner and a person may hold at once
    [databases.<name>]                    url (no password), password_file
    [databases.<name>.scopes]             role on that database = the permission that covers it
    [brokers.<name>]                      revokes_alone
    [brokers.<name>.scopes]               scope at that broker  = the permission that covers it
    [templates.<name>]                    database or broker, scopes, partners, ttl, max_ttl, connection_limit

Whatever is not in it cannot be lent; without a file nothing can. Unknown keys, scopes without a permission
and templates for nobody are errors, all of which stop the process at start with one line.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

_MAX_BYTES = 1_048_576
_DURATION = re.compile(r"([1-9][0-9]{0,5})([smhd])\Z")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_EVERYBODY = "*"


class LeasesRefused(ValueError):
    """The file cannot be used; the text is one clear line."""


def _seconds(value: object) -> int:
    found = _DURATION.match(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("must be a whole number and one of s m h d, such as 15m")
    return int(found[1]) * _SECONDS[found[2]]


Seconds = Annotated[int, BeforeValidator(_seconds)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,62}$")]
Permission = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]*:[a-z][a-z0-9_.-]*$")]
Scope = Annotated[str, Field(pattern=r"^[!#-\[\]-~]{1,200}$")]
Account = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_-]{0,62}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Limits(_Part):
    """Leases at once that are not known to be gone."""

    per_partner: int = Field(default=50, ge=1, le=10_000)
    per_person: int = Field(default=5, ge=1, le=10_000)


class DatabaseTarget(_Part):
    """A database on which accounts are made, and the roles there that may be lent."""

    url: str
    password_file: Path
    scopes: Mapping[Account, Permission]

    @model_validator(mode="after")
    def _an_address(self) -> Self:
        parts = urlsplit(self.url)
        if parts.scheme != "postgresql" or not parts.hostname or not parts.username or len(parts.path) < 2:
            raise ValueError("url must be postgresql://account@host:port/database")
        if parts.password is not None:
            raise ValueError("url must hold no password; name a file in password_file")
        return self


class BrokerTarget(_Part):
    """A broker whose tokens may be narrowed, and the scopes there that may be lent.

    revokes_alone: the operator has tried that revoking a narrowed token leaves the original alive
    """

    scopes: Mapping[Scope, Permission]
    revokes_alone: bool = False

    @model_validator(mode="after")
    def _can_be_ended(self) -> Self:
        if not self.revokes_alone:
            raise ValueError("set revokes_alone = true once you have seen that it does; else nothing can be lent there")
        return self


class Template(_Part):
    """Something that can be asked for by its name."""

    database: Name | None = None
    broker: Name | None = None
    scopes: tuple[str, ...] = Field(min_length=1, max_length=20)
    partners: tuple[str, ...] = Field(min_length=1)
    """Who may ask; `*` is everybody, and nobody is not a choice."""
    ttl: Seconds = 900
    max_ttl: Seconds = 28_800
    connection_limit: int = Field(default=3, ge=1, le=100)

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if (self.database is None) == (self.broker is None):
            raise ValueError("names either a database or a broker")
        if not 30 <= self.ttl <= self.max_ttl <= 7 * 86_400:
            raise ValueError("needs 30s <= ttl <= max_ttl <= 7d")
        return self

    def open_to(self, partner: str) -> bool:
        """Whether that partner may ask for it."""
        return partner in self.partners or _EVERYBODY in self.partners


class LeasePolicy(_Part):
    """The whole file. The empty one lends nothing."""

    limits: Limits = Limits()
    databases: Mapping[Name, DatabaseTarget] = {}
    brokers: Mapping[Name, BrokerTarget] = {}
    templates: Mapping[Name, Template] = {}

    @model_validator(mode="after")
    def _scopes_have_permissions(self) -> Self:
        for name, template in self.templates.items():
            unknown = [scope for scope in template.scopes if scope not in self._table(template)]
            if unknown:
                raise ValueError(f"templates.{name}: no permission is given for {', '.join(sorted(unknown))}")
        return self

    def permissions(self, template: Template) -> tuple[str, ...]:
        """What whoever asks must be allowed, sorted: the permission of every scope."""
        table = self._table(template)
        return tuple(sorted({table[scope] for scope in template.scopes}))

    def _table(self, template: Template) -> Mapping[str, str]:
        database = self.databases.get(template.database or "")
        broker = self.brokers.get(template.broker or "")
        return database.scopes if database is not None else broker.scopes if broker is not None else {}


def read_policy(path: Path | None) -> LeasePolicy:
    """The operator's file, or nothing at all. Raises LeasesRefused."""
    if path is None:
        return LeasePolicy()
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise LeasesRefused(f"VAULT_LEASES_FILE: {path} is larger than {_MAX_BYTES} bytes")
        return LeasePolicy.model_validate(tomllib.loads(content.decode("utf-8")))
    except OSError as error:
        raise LeasesRefused(f"VAULT_LEASES_FILE: cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LeasesRefused(f"VAULT_LEASES_FILE: {path} is not TOML in UTF-8: {error}") from None
    except ValidationError as error:
        mistakes = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'file'}: {one['msg']}" for one in error.errors()[:20])
        raise LeasesRefused(f"VAULT_LEASES_FILE: {path}: {mistakes}") from None
