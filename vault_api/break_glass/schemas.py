"""What is sent to and answered by custody. Nothing in here repeats what was sent."""

from __future__ import annotations

import re
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from identity.problem import not_found
from vault_api.break_glass.repository import Kept

_ENVIRONMENT = re.compile(r"[a-z][a-z0-9-]{0,31}\Z")
_ACCOUNT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\Z")


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class KeepRequest(_Request):
    """A new credential of an account, in whatever form the one who opens it will understand."""

    credential: SecretStr = Field(strict=True, min_length=1, max_length=16_384)


class ConfirmRequest(_Request):
    """The version that is in force now."""

    version: int = Field(strict=True, ge=1, le=2**53)


class ReleaseRequest(_Request):
    """The access service's word that this opening was approved."""

    proof: SecretStr = Field(strict=True, min_length=1, max_length=4096)


class CustodyState(BaseModel):
    """A credential in custody, without the credential."""

    environment: str
    account: str
    version: int
    state: str
    kept_at: datetime
    confirmed_at: datetime | None
    released_at: datetime | None
    request: str | None


class CustodyList(BaseModel):
    """All that is in custody."""

    accounts: tuple[CustodyState, ...]


class Version(BaseModel):
    """Which version of a credential an answer is about, and what it is now."""

    environment: str
    account: str
    version: int
    state: str


class Released(BaseModel):
    """The one answer that holds the credential. It is given once."""

    environment: str
    account: str
    version: int
    credential: str


def names(environment: str, account: str) -> tuple[str, str]:
    """Both names, if something could be called that. Raises Problem 404."""
    if not _ENVIRONMENT.match(environment) or not _ACCOUNT.match(account):
        raise not_found()
    return environment, account


def shown(row: Kept) -> CustodyState:
    """A row as it is answered."""
    return CustodyState(
        environment=row.environment,
        account=row.account,
        version=row.version,
        state=row.state,
        kept_at=row.kept_at,
        confirmed_at=row.confirmed_at,
        released_at=row.released_at,
        request=row.request,
    )
