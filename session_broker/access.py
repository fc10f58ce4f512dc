"""Who may come in, and where to: a TOML file (SESSION_BROKER_ACCESS_FILE) that is read once, at start.

    [providers.<alias>]    issuer, jwks_url, audiences, accepts, clients, algorithms, max_age
    [services.<name>]      audience, providers, internal, direct, assurance

A provider is called as in `configs/iam/roles.yaml`, because Keycloak has to know it too. What is not
in the file is refused: an issuer, a service, a provider that a service does not list. Lists that
would have to mean "any" cannot be empty. `${NAME}` and `${NAME:-default}` are expanded in strings,
after parsing. Every mistake stops the process at start with one line.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from identity.jws import ALGORITHMS
from identity.principal import AssuranceLevel

_MAX_BYTES = 1_048_576
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_VARIABLE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)(?::-([^}]*))?\}")

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,62}$")]
Text = Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[!-~]+$")]

INTERNAL = "internal"
"""How our own realm is called where a provider is named; no external provider can be called that."""


LEGACY = "legacy"
"""How a service lists the platform's own tokens, in a migration (`migration/`); without one it lists nobody by it."""


class AccessRefused(ValueError):
    """The file cannot be used; the text is one clear line."""


class TokenKind(StrEnum):
    """What a token was issued as. An ID token says who logged in, an access token what may be called."""

    ID = "id_token"
    ACCESS = "access_token"


def _local(host: str) -> bool:
    """Whether a host name can only mean this machine (RFC 6761 gives `localhost` and what is below it that meaning)."""
    return host in _LOOPBACK or host.endswith(".localhost")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ProviderRule(_Part):
    """One issuer of external tokens.

    audiences:  the client ids whose tokens are accepted; a token has exactly one audience, and it is one of these
    accepts:    which kinds of token; the two are told apart by their marks (see `external.py`)
    clients:    who may have asked for the token (`azp`, `client_id` or `appid`); absent, nobody is asked
    max_age:    seconds since its issue after which a token is too old, whatever its `exp`
    """

    issuer: Text
    jwks_url: Text
    audiences: frozenset[Text] = Field(min_length=1)
    accepts: frozenset[TokenKind] = Field(min_length=1)
    clients: frozenset[Text] | None = Field(default=None, min_length=1)
    algorithms: tuple[str, ...] = Field(default=("RS256", "PS256", "ES256"), min_length=1)
    max_age: int = Field(default=3600, ge=60, le=86_400)

    @field_validator("issuer", "jwks_url")
    @classmethod
    def _https_or_here(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme == "https" or (parts.scheme == "http" and _local(parts.hostname or "")):
            return value
        raise ValueError("must be https; plain http is for the loopback alone")

    @field_validator("algorithms")
    @classmethod
    def _signatures(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not set(value) <= set(ALGORITHMS):
            raise ValueError(f"must be among {', '.join(ALGORITHMS)}")
        return value


class ServiceRule(_Part):
    """One service behind the proxy.

    audience:   what its internal tokens are for
    providers:  whose external tokens are exchanged for it
    internal:   whether it takes tokens of our own realm that are for its audience already
    direct:     whether `POST /token` hands its tokens to whoever holds an external one
    assurance:  the lowest level it answers at all; less is asked to step up (RFC 9470)
    """

    audience: Text
    providers: frozenset[Name] = frozenset()
    internal: bool = False
    direct: bool = False
    assurance: AssuranceLevel = AssuranceLevel.AAL1

    @model_validator(mode="after")
    def _for_somebody(self) -> Self:
        if not self.providers and not self.internal:
            raise ValueError("nobody could use it: list providers, or set internal = true")
        return self


class Access(_Part):
    """The whole file."""

    providers: Mapping[Name, ProviderRule] = Field(default_factory=dict)
    services: Mapping[Name, ServiceRule] = Field(min_length=1)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for name, meaning in ((INTERNAL, "is our own realm"), (LEGACY, "are the platform's own tokens")):
            if name in self.providers:
                raise ValueError(f"providers: {name} {meaning}; give the provider its name in roles.yaml")
        issuers = [rule.issuer for rule in self.providers.values()]
        if len(issuers) != len(set(issuers)):
            raise ValueError("providers: two of them have one issuer, so a token could not say whose it is")
        for name, service in self.services.items():
            unknown = sorted(service.providers - self.providers.keys() - {LEGACY})
            if unknown:
                raise ValueError(f"services.{name}: there is no provider {', '.join(unknown)}")
        return self


def load_access(path: Path, environment: Mapping[str, str] | None = None) -> Access:
    """The rules in the file at `path`. Raises `AccessRefused`."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise AccessRefused(f"{path} is larger than {_MAX_BYTES} bytes")
        document = _expanded(tomllib.loads(content.decode("utf-8")), os.environ if environment is None else environment)
        return Access.model_validate(document)
    except OSError as error:
        raise AccessRefused(f"cannot read {path}: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise AccessRefused(f"{path} is not TOML: {error}") from None
    except ValidationError as error:
        mistakes = ((".".join(map(str, mistake["loc"])), mistake["msg"]) for mistake in error.errors())
        text = "; ".join(f"{place}: {message}" if place else message for place, message in mistakes)
        raise AccessRefused(f"{path}: {text}") from None


def _expanded(value: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: _value(found, environment), value)
    if isinstance(value, list):
        return [_expanded(item, environment) for item in value]
    if isinstance(value, dict):
        return {name: _expanded(item, environment) for name, item in value.items()}
    return value


def _value(found: re.Match[str], environment: Mapping[str, str]) -> str:
    given = environment.get(found[1]) or found[2]
    if given is None:
        raise AccessRefused(f"the access file needs the environment variable {found[1]}")
    return given
