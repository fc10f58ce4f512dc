"""What requests about members and their answers look like. Nothing in here repeats what was sent."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, SecretStr, model_validator

ROLE = r"^[a-z][a-z0-9_.-]{0,62}$"
# ASCII alone: letters of other scripts can look like, or fold to, those of somebody else's address.
EMAIL = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]{0,187}[A-Za-z0-9])?$"


def _whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


End = Annotated[AwareDatetime, AfterValidator(_whole)]
Line = Annotated[
    str,
    Field(
        strict=True,
        min_length=1,
        max_length=64,
        pattern=r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$",
    ),
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class InvitationRequest(_Body):
    """Whom to invite, to which role, and until when they are to have it."""

    email: str = Field(strict=True, pattern=EMAIL)
    role: str = Field(strict=True, pattern=ROLE)
    until: End | None = None


class RoleRequest(_Body):
    """Until when somebody is to have a role; without it, until it is taken."""

    until: End | None = None


class Acceptance(_Body):
    """The code, and for somebody who has no account yet their name."""

    code: SecretStr = Field(strict=True, min_length=1, max_length=64)
    first_name: Line | None = None
    last_name: Line | None = None

    @model_validator(mode="after")
    def _whole_name(self) -> Self:
        if (self.first_name is None) != (self.last_name is None):
            raise ValueError("a name has both parts")
        return self


class HeldRole(BaseModel):
    """A role that somebody holds. Who gave it is known where it was given here."""

    role: str
    until: datetime | None
    ended: bool = Field(description="Whether its end has passed, so that it counts no more")
    given_by: str | None
    given_at: datetime | None


class Member(BaseModel):
    """Somebody who belongs to the partner."""

    account: str
    email: str | None
    name: str
    enabled: bool
    declared: bool = Field(description="An administrator by the platform's configuration, who is changed there alone")
    factor: str = Field(description="`security_key`, `app` or `none`")
    roles: tuple[HeldRole, ...]


class Invitation(BaseModel):
    """An invitation that nobody has taken up."""

    invitation: str
    email: str
    role: str
    until: datetime | None
    invited_by: str
    invited_at: datetime
    expires_at: datetime
    state: str = Field(description="`open`, `expired`, or `locked` after too many wrong codes")


class Members(BaseModel):
    """Who belongs to a partner, and who is invited."""

    partner: str
    name: str
    domains: tuple[str, ...]
    roles: tuple[str, ...] = Field(description="Roles that the partner hands out")
    may_manage: bool
    you: str = Field(description="The caller's own account")
    members: tuple[Member, ...]
    invitations: tuple[Invitation, ...]


class Invited(BaseModel):
    """The one answer that holds the code. Hand it over by another way than the address."""

    invitation: str
    email: str
    role: str
    until: datetime | None
    expires_at: datetime
    code: str = Field(json_schema_extra={"format": "password"})


class Accepted(BaseModel):
    """What became of an invitation that was taken up."""

    partner: str
    name: str
    email: str
    role: str
    until: datetime | None
    account_made: bool = Field(description="Then the code is the password of the first login, and of no other")


class PartnerOnboarding(BaseModel):
    """How far a partner has come, for the platform's staff."""

    partner: str
    name: str
    domains: tuple[str, ...]
    roles: tuple[str, ...]
    members: int
    administrators: int
    with_factor: int
    invitations: tuple[Invitation, ...]


class Onboarding(BaseModel):
    """Every partner of the configuration."""

    partners: tuple[PartnerOnboarding, ...]
